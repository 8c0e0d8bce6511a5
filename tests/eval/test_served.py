"""A service that was started to be measured ends with its user, also when that is terminated."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from eval.errors import EvalError
from eval.served import ROOT, served

pytestmark = pytest.mark.slow


def test_it_serves_what_it_is_told_and_is_gone_afterwards(repository: Path) -> None:
    before = signal.getsignal(signal.SIGTERM)
    with served(model_repository=repository, versions="latest") as url:
        told = urllib.request.urlopen(f"{url}/models", timeout=10).read()  # noqa: S310  # loopback
        assert b'"lamp"' in told
        assert signal.getsignal(signal.SIGTERM) is not before
    assert signal.getsignal(signal.SIGTERM) is before
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url, timeout=2)  # noqa: S310


def test_a_wrong_setting_is_said_in_the_service_s_words() -> None:
    with pytest.raises(EvalError, match="ASSAY_RUNS"), served(runs=0):
        pass


def test_a_terminated_user_takes_the_service_along(repository: Path) -> None:
    code = (
        "from eval.served import served\n"
        f"with served(model_repository={str(repository)!r}) as url:\n"
        "    print(url, flush=True)\n"
        "    input()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=os.environ
    ) as user:
        assert user.stdout is not None
        url = user.stdout.readline().decode().strip()
        user.send_signal(signal.SIGTERM)
        assert user.wait(60) == 128 + signal.SIGTERM
    with pytest.raises(urllib.error.URLError):
        urllib.request.urlopen(url, timeout=2)  # noqa: S310

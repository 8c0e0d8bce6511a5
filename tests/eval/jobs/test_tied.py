"""A process that is tied to its parent ends with it, and two with one lock never live at once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from eval.jobs import tied
from eval.jobs.settings import PROJECT
from eval.jobs.tied import command
from tests.eval.jobs.asking import gone, until

SLEEP = "import os, signal; print(os.getpid(), flush=True); signal.pause()"
PARENT = f"""
import subprocess, sys
from eval.jobs.tied import command
child = subprocess.Popen(command([sys.executable, "-c", {SLEEP!r}], lock=sys.argv[1]), start_new_session=True)
child.wait()
"""


def started(lock: str) -> tuple[subprocess.Popen[bytes], int]:
    """A parent with a tied child, and the child's id."""
    parent = subprocess.Popen([sys.executable, "-c", PARENT, lock], stdout=subprocess.PIPE, cwd=PROJECT)
    assert parent.stdout is not None
    return parent, int(parent.stdout.readline())


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child that its parent died")
def test_killing_the_parent_kills_the_child(tmp_path: Path) -> None:
    parent, child = started(str(tmp_path / "lock"))
    with parent:
        assert not gone(child)
        parent.kill()
    until(lambda: gone(child))


def test_one_whose_parent_is_gone_already_does_not_begin() -> None:
    wrong = command([sys.executable, "-c", "print('ran')"])
    wrong[3] = "1" if os.getpid() != 1 else "2"
    done = subprocess.run(wrong, cwd=PROJECT, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (1, "")
    assert "is gone" in done.stderr


def test_the_lock_lives_as_long_as_the_program(tmp_path: Path) -> None:
    lock = str(tmp_path / "lock")
    first, child = started(lock)
    with (
        first,
        subprocess.Popen([sys.executable, "-c", PARENT, lock], stdout=subprocess.PIPE, cwd=PROJECT) as second,
    ):
        assert second.stdout is not None
        assert not gone(child)
        os.kill(child, signal.SIGTERM)
        follower = int(second.stdout.readline())  # it begins only now
        assert gone(child)
        os.kill(follower, signal.SIGTERM)


def test_patience_with_a_lock_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first, child = started(str(tmp_path / "lock"))
    monkeypatch.setattr(tied, "PATIENCE_S", -1.0)
    monkeypatch.setattr(tied, "die_with_parent", lambda *_: None)
    monkeypatch.setattr(os, "execv", lambda *_: pytest.fail("two at once"))
    with first:
        try:
            with pytest.raises(SystemExit) as refused:
                tied.become(["0", str(tmp_path / "lock"), "9", sys.executable])
        finally:
            os.kill(child, signal.SIGTERM)
    assert refused.value.code == tied.LOCKED

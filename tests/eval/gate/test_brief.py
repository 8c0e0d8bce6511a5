"""What a pod leaves behind, and how the command ends when it is stopped or has a bug."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from eval.cli import cli
from eval.gate import run
from eval.gate.brief import MOST_BYTES, brief
from eval.gate.decide import EXIT
from eval.report.document import Check

CHECKS = st.lists(
    st.builds(Check, st.text(max_size=80), st.sampled_from(sorted(EXIT)), st.text(max_size=900))
)


@given(st.text(max_size=5000), CHECKS)
def test_it_is_never_longer_than_kubernetes_keeps(name: str, checks: list[Check]) -> None:
    assert len(brief(name, checks).encode()) <= MOST_BYTES


def test_the_gravest_comes_first_and_what_does_not_fit_is_counted() -> None:
    checks = [
        Check("a", "pass", "fine"),
        Check("b", "inconclusive", "few"),
        Check("c", "fail", "bad"),
        *(Check("d", "pass", "x" * 1000) for _ in range(9)),
    ]
    told = brief("toy/2", checks).splitlines()
    assert told[:4] == ["toy/2: fail", "fail: c: bad", "inconclusive: b: few", "pass: a: fine"]
    assert told[-1] == "6 more"
    assert brief("toy/2", checks[:1]) == "toy/2: pass\npass: a: fine\n"


def command(tmp_path: Path) -> tuple[int, str, str]:
    (tmp_path / "rules.yaml").write_text("require:\n  accuracy: {at_least: 0.5}")
    words = ["gate", tmp_path / "rules.yaml", "http://127.0.0.1:1#toy", "--message", tmp_path / "message"]
    done = CliRunner().invoke(cli, [*map(str, words)])
    return done.exit_code, done.output, (tmp_path / "message").read_text()


def test_a_bug_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Python ends with 1 after an exception, which would say that a rule failed."""

    async def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oh")

    monkeypatch.setattr(run, "gate", broken)
    code, output, message = command(tmp_path)
    assert code == 2
    assert "Traceback" in output
    assert (
        message == "http://127.0.0.1:1#toy: could not be asked\nerror: gate: a bug: ZeroDivisionError: oh\n"
    )


def test_an_end_that_was_asked_for_is_no_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As process 1 of a container it must hear SIGTERM itself; 143 is neither 1 nor 3."""

    async def ended(*_: object, **__: object) -> None:
        os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(run, "gate", ended)
    before = signal.signal(signal.SIGTERM, lambda *_: pytest.fail("nobody listened"))
    try:
        code, _, message = command(tmp_path)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert code == 143
    assert "stopped before it was decided" in message

"""Verdicts in a few lines, such as a pod may leave behind when it ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from eval.gate.decide import EXIT, exit_code
from eval.report.document import Check

__all__ = ["MOST_BYTES", "WORDS", "brief"]

WORDS: Mapping[int, str] = {0: "pass", 1: "fail", 2: "could not be asked", 3: "inconclusive"}
MOST_BYTES = 4096  # of a termination message: Kubernetes cuts what is longer


def brief(name: str, checks: Sequence[Check]) -> str:
    """One line of all, then one a rule, the gravest first; never longer than `MOST_BYTES` in UTF-8.

    Lines that do not fit are counted, not shown.
    """
    order = list(EXIT)
    lines = [f"{name}: {WORDS[exit_code([check.verdict for check in checks])]}"]
    lines += [
        f"{check.verdict}: {check.name}: {check.message}"
        for check in sorted(checks, key=lambda check: order.index(check.verdict))
    ]
    kept = len(lines)
    while kept and len(_text(lines, kept)) > MOST_BYTES:
        kept -= 1
    return (
        _text(lines, kept).decode() if kept else lines[0].encode()[: MOST_BYTES - 1].decode(errors="ignore")
    )


def _text(lines: Sequence[str], kept: int) -> bytes:
    left = len(lines) - kept
    return "\n".join([*lines[:kept], *([f"{left} more"] if left else []), ""]).encode()

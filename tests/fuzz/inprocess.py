"""Feeds inputs to functions in this process, one after another, each under a time limit.

An input is made from the seed and its index alone, so any of them can be made again.
"""

from __future__ import annotations

import signal
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from service.errors import ServiceError
from tests.fuzz.findings import Finding, Kind, Tally, keep
from tests.fuzz.targets import Target

__all__ = ["LIMIT_S", "feed", "made"]

LIMIT_S = 2.0  # most inputs take less than a thousandth of it


class _OverTime(BaseException):
    """Not an `Exception`: what is tested may catch those."""


def made(targets: Sequence[Target], seed: int, index: int) -> tuple[Target, Any]:
    """The target and the input of one index."""
    chance = Random(f"{seed}/{index}")
    (target,) = chance.choices(targets, [target.share for target in targets])
    return target, target.make(chance)


def feed(
    targets: Sequence[Target],
    seed: int,
    indexes: Iterable[int],
    failures: Path,
    *,
    limit_s: float = LIMIT_S,
    begin: Callable[[int], None] = lambda index: None,
) -> Tally:
    """Feed every index. Whatever goes wrong is counted and kept, and the next one is fed.

    Call on the main thread: the time limit is a signal.

    Args:
        begin: told each index before it is fed.
    """
    tally = Tally()
    before = signal.signal(signal.SIGALRM, _over)
    try:
        for index in indexes:
            begin(index)
            target, given = made(targets, seed, index)
            began = time.perf_counter()
            how, told = _run(target, given, limit_s)
            if how == "hang":  # a busy machine is none: it must be slow twice
                began = time.perf_counter()
                how, told = _run(target, given, limit_s)
            tally.note(target.name, how, time.perf_counter() - began, index)
            if how not in ("accepted", "refused"):
                kind: Kind = "hang" if how == "hang" else "exception"
                keep(failures, Finding(kind, target.name, index, told), seed, given)
    finally:
        signal.signal(signal.SIGALRM, before)
    return tally


def _over(_number: int, _frame: FrameType | None) -> None:
    raise _OverTime


def _run(target: Target, given: Any, limit_s: float) -> tuple[str, str]:
    """How it ended, and the trace where it should not have."""
    try:
        signal.setitimer(signal.ITIMER_REAL, limit_s)
        try:
            target.run(given)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    except _OverTime:
        return "hang", traceback.format_exc(limit=-12)
    except Exception as error:
        known = isinstance(error, target.refusals)
        if known and not (isinstance(error, ServiceError) and error.status == 500):
            return "refused", ""
        return "exception", traceback.format_exc(limit=-12)
    return "accepted", ""

"""Runs through a bad network, beside the same runs through none."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from unittest.mock import patch

import numpy as np

from eval import runs
from eval.auditing.plan import Audit
from eval.auditing.run import audit
from eval.errors import EvalError
from eval.pool import Pace
from eval.report.document import Report
from eval.target import Access
from models.decoding import encode_png
from tests.faults.cases import Case
from tests.faults.proxy import Proxy

__all__ = ["RUNS", "Outcome", "during", "pictures", "through", "whole"]

IMAGES = 40
AUDIT = Audit(
    epsilon=20, attacks="uniform_noise,square", corruptions="brightness", severities="3", budget=5,
    samples=4, stability=False, curve=False,
)  # fmt: skip
Run = Callable[[Access, str, Path | None, bool], Awaitable[Report]]


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a run through a fault ended.

    Attributes:
        report: without the address; empty where there was none.
        why: there was none.
        resumed: the report once the fault had gone.
        struck: connections on which it was done.
    """

    report: str
    valid: bool
    why: str
    resumed: str
    struck: int = 0

    def wrong(self, clean: str) -> bool:
        """Whether numbers were given out as valid that are not those of a clean run, now or resumed."""
        return (self.valid and self.report != clean) or self.resumed != clean


def pictures(root: Path) -> str:
    """Dim and light pictures, some on the other side of the middle; the name of the data."""
    rng = np.random.default_rng(0)
    for label, middle in (("dim", 110), ("light", 145)):
        (root / label).mkdir(parents=True)
        for number in range(IMAGES // 2):
            level = int(np.clip(rng.normal(middle, 25), 0, 255))
            picture = np.clip(rng.normal(level, 10, (8, 8 + number % 3, 3)), 0, 255).astype(np.uint8)
            (root / label / f"{number:02}.png").write_bytes(encode_png(picture))
    return f"folder:{root}"


async def _evaluated(access: Access, data: str, out: Path | None, resume: bool) -> Report:
    return await runs.evaluate(
        access, data, model="lamp", number=1, batch=4, concurrency=3, out=out, resume=resume
    )


async def _audited(access: Access, data: str, out: Path | None, resume: bool) -> Report:
    return await audit(access, data, AUDIT, model="lamp", number=1, pace=Pace(16, 3), out=out, resume=resume)


RUNS: dict[str, Run] = {"evaluation": _evaluated, "audit": _audited}


async def whole(run: Run, url: str, data: str) -> str:
    """The report of a run with no fault, without the address."""
    return _told(await run(Access(url), data, None, False), url)


def _told(report: Report, url: str) -> str:
    return report.to_json().replace(url, "URL")


async def through(run: Run, case: Case, seed: int, url: str, data: str, out: Path) -> Outcome:
    """A run through the fault of a case."""
    proxy = Proxy(url, case.fault, seed)
    async with proxy.over() as address:
        trouble = proxy.spoiling()
        outcome = await during(trouble, run, address, data, out, case.timeout_s)
        return replace(outcome, struck=proxy.struck)


async def during(
    trouble: AbstractContextManager[None],
    run: Run,
    url: str,
    data: str,
    out: Path,
    timeout_s: float,
) -> Outcome:
    """A run in trouble; where it did not end well, it goes on once that is over."""
    report, why = None, ""
    with _hurried(), trouble:
        try:
            report = await run(Access(url, timeout_s=timeout_s), data, out, False)
        except EvalError as error:
            why = str(error)
    told = again = "" if report is None else _told(report, url)
    if report is None or not report.valid:
        again = _told(await run(Access(url), data, out, True), url)
    return Outcome(told, report is not None and report.valid, why, again)


@contextlib.contextmanager
def _hurried() -> Iterator[None]:
    """The client as it is, but that it pauses for milliseconds."""
    with patch("eval.remote.http.FIRST_WAIT_S", 0.002):
        yield

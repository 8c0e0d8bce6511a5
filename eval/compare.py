"""Two versions on the same images: what changed, how sure that is, and where."""

from __future__ import annotations

import platform
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np

from eval.comparison.columns import Columns, columns_of
from eval.comparison.differences import KEY, better_and_worse, by_class, by_slice, key_scores
from eval.errors import EvalError
from eval.metrics.intervals import mcnemar_exact
from eval.recorded import Recorded
from eval.report.compare import comparison_section, timing_section
from eval.report.document import Cell, Report
from eval.runs import clock, manifest
from eval.subject import Asking, Subject, run_of
from eval.target import name_of

__all__ = ["compare", "comparison", "opened"]

SLICE_RESAMPLES = 200  # of each slice; there may be many, and the test of a slice draws none
Progress = Callable[[str], Callable[[int, int], None]]


@asynccontextmanager
async def opened(
    subjects: Sequence[tuple[str, Subject]], asking: Asking, out: Path | None, tell: Progress | None = None
) -> AsyncIterator[list[Recorded]]:
    """The runs of all subjects, live ones asked first, one after another; closed at the end.

    Args:
        subjects: each with the name of its folder under `out`; without `out` the records are forgotten.

    Raises:
        EvalError: as `run_of`; or `out` is one of the runs.
    """
    with ExitStack() as stack:
        root = out or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        for _, subject in subjects:
            if subject.folder is not None and subject.folder.resolve() == root.resolve():
                raise EvalError(f"--out must be another folder than the run in {root}")
        runs = []
        for name, subject in subjects:
            shown = None if tell is None else tell(name)
            runs.append(await run_of(subject, asking, root / name, shown))
            stack.enter_context(runs[-1].journal)
        yield runs


async def compare(
    before: Subject,
    after: Subject,
    asking: Asking,
    *,
    out: Path | None = None,
    resamples: int = 1000,
    tell: Progress | None = None,
) -> Report:
    """What the second does better and worse than the first.

    Raises:
        EvalError: one of them is not there, or they are not about the same images.
    """
    started = time.time()
    async with opened([("a", before), ("b", after)], asking, out, tell) as (one, other):
        report = comparison(one, other, slices=asking.slices, resamples=resamples, tell=tell)
    return replace(report, clock=clock(started))


def comparison(
    before: Recorded,
    after: Recorded,
    *,
    slices: Sequence[str] = (),
    resamples: int = 1000,
    tell: Progress | None = None,
) -> Report:
    """The report of two recorded runs; equal bytes for equal runs.

    Raises:
        EvalError: they are not about the same images, or nothing was answered by both.
    """
    wanted, shown = KEY[before.target.task], None if tell is None else tell("compare")
    columns = columns_of(before, after, wanted, slices, shown)
    if not columns.paired:
        raise EvalError("no image was answered by both; there is nothing to compare")
    names = name_of(before.target), name_of(after.target)
    if names[0] == names[1]:
        names = f"{names[0]} (first)", f"{names[1]} (second)"
    scores = key_scores(columns, resamples=resamples)
    section = comparison_section(
        names, before.data.name, columns, scores,
        by_class(columns, resamples=resamples), by_slice(columns, resamples=min(resamples, SLICE_RESAMPLES)),
    )  # fmt: skip
    figures = _figures(columns)
    for one in scores:
        told = {"a": one.before, "b": one.after, "difference": one.difference.value}
        told |= {"difference.low": one.difference.low, "difference.high": one.difference.high}
        figures |= {f"compare.{side}.{one.name}": value for side, value in told.items()}
    timing = timing_section(names, (before.journal.seconds(), after.journal.seconds()))
    return Report(
        f"Comparison: {section.title}",
        _manifest(before, after, columns, resamples),
        [section],
        figures,
        columns.valid,
        timing=[timing],
    )


def _figures(columns: Columns) -> dict[str, float | None]:
    better, worse = better_and_worse(columns)
    both, lost, gained, neither = columns.units.tolist()
    return {
        "compare.images": columns.paired,
        "compare.left_out": columns.unpaired,
        "compare.a.errors": columns.errors[0],
        "compare.b.errors": columns.errors[1],
        "compare.churn": float(np.mean(columns.differs)),
        "compare.images_better": better,
        "compare.images_worse": worse,
        "compare.mcnemar_p": mcnemar_exact(better, worse),
        "compare.both": both,
        "compare.lost": lost,
        "compare.gained": gained,
        "compare.neither": neither,
    }


def _manifest(before: Recorded, after: Recorded, columns: Columns, resamples: int) -> dict[str, Cell]:
    """What a reader needs to repeat it; no folder, so that a copy gives the same bytes."""
    told = manifest(
        after.target, after.data, files_digest=columns.digest, seed=0, resamples=resamples,
        python=platform.python_version(), numpy=np.__version__,
    )  # fmt: skip
    other = {"url": before.target.url, "model": name_of(before.target), "sha256": before.target.sha256}
    return {**{f"a_{name}": value for name, value in other.items()}, **told}

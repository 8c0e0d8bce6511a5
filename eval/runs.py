"""Whole runs, from an endpoint and a data set to a report; the only place that composes the rest."""

from __future__ import annotations

import platform
import shlex
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np

from eval.data.dataset import Dataset
from eval.errors import EndpointError, EvalError
from eval.journal import Journal, alone, begun
from eval.metrics.base import Score
from eval.metrics.sample_size import width_advice
from eval.pool import Pace
from eval.recorded import JOURNAL, Recorded, Request
from eval.remote.access import target_of
from eval.report.document import Cell, Report
from eval.report.evaluation import evaluation_section
from eval.report.latency import latency_section
from eval.scoring import Scored, score
from eval.spread import ask
from eval.target import Access, Target, name_of

__all__ = [
    "clock",
    "command_of",
    "evaluate",
    "manifest",
    "record",
    "release_of",
    "report_of",
    "reported",
    "unchanged",
]

WIDE = 0.03  # half an interval that does not tell a few points apart


def manifest(target: Target, data: Dataset, **more: Cell) -> dict[str, Cell]:
    """What a reader needs to repeat a run."""
    return {
        "url": target.url,
        "model": name_of(target),
        "sha256": target.sha256,
        "data": data.name,
        "images": len(data),
        "assay": release_of(),
        **more,
    }


def release_of() -> str:
    """The release of Assay that runs."""
    try:
        return version("assay")
    except PackageNotFoundError:  # run from a checkout that is not installed
        return "unreleased"


def clock(started: float, ended: float | None = None, **more: Cell) -> dict[str, Cell]:
    """When a run began and how long it took, until now or `ended`; seconds of the epoch."""
    return {
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "seconds": round((time.time() if ended is None else ended) - started, 3),
        **more,
    }


async def evaluate(
    access: Access | str,
    data_name: str,
    *,
    model: str | None = None,
    number: int | None = None,
    limit: int | None = None,
    batch: int = 16,
    concurrency: int = 4,
    workers: int = 1,
    ray: str | None = None,
    slices: Sequence[str] = (),
    mapping: Mapping[str, str | None] | None = None,
    out: Path | None = None,
    resume: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Every score of one model on one data set, asked over the network.

    Args:
        workers: processes that ask; `ray`: address of a cluster that does, or `local`.
        slices: what the images are also told apart by.
        mapping: what the model calls the classes of the data; None drops one.
        out: folder of the record; without it the record is forgotten at the end.
        resume: go on with the run that is there.

    Raises:
        EvalError: the model or the data is not there, they do not fit each other, the endpoint is gone,
            or the folder holds another run.
    """
    target = await target_of(access, model, number)
    request = Request(target, data_name, limit, tuple(slices), mapping or {})
    pace = Pace(batch, concurrency, workers, ray)
    with tempfile.TemporaryDirectory() as forgotten:
        folder = Path(forgotten) if out is None else out
        with alone(folder):
            run = _begun(request, folder, resume)
            with run.journal:
                return report_of(run, await record(run, pace, progress))


def _begun(request: Request, folder: Path, resume: bool) -> Recorded:
    """The run in the folder if it is to go on, else a new one."""
    data, path = request.dataset(), folder / JOURNAL
    told = request.told(len(data))
    if not begun(path):
        return Recorded(Journal.create(path, told), request, data)
    with Journal.open(path) as old:
        so_far, before = old.progress(), Request.of(old.told).told(int(old.told["images"]))
    if so_far.done == so_far.errors:  # nothing would be lost
        return Recorded(Journal.create(path, told), request, data)
    if changed := _changed(before, told):
        raise EvalError(
            f"{folder} holds a run with another {', '.join(changed)}; repeat its command to go on, "
            "or choose another --out"
        )
    if not resume and not so_far.finished:
        raise EvalError(
            f"{folder} holds a run that did not end; go on with --resume, or choose another --out"
        )
    return Recorded(Journal.open(path) if resume else Journal.create(path, told), request, data)


def _changed(before: Mapping[str, Any], told: Mapping[str, Any]) -> list[str]:
    """What differs in two requests; how the endpoint is reached may, but for the protocol."""
    target, other = dict(before["target"]), dict(told["target"])
    ways = [target.pop("access"), other.pop("access")]
    same_way = len({tuple(way[name] for name in ("kind", "template", "card")) for way in ways}) == 1
    names = [name for name in target if target[name] != other.get(name) and name != "url"]
    names += [name for name in told if name != "target" and before.get(name) != told[name]]
    return names + ([] if same_way else ["endpoint"])


async def record(run: Recorded, pace: Pace, progress: Callable[[int, int], None] | None = None) -> Scored:
    """Ask what is missing, and keep and score every answer.

    Raises:
        EvalError: as `evaluate`; what was answered is kept.
    """
    run.journal.mark("started", time.time())
    missing, scored = run.journal.missing(), Scored.of(run)
    total, done = len(run.data), len(run.data) - len(missing)
    async with aclosing(ask(run.request, run.data, missing, pace)) as answers:
        async for rows in answers:
            run.journal.add(row for row, _ in rows)
            scored.note([(asked, row.tags) for row, asked in rows if asked is not None])
            done += len(rows)
            if progress is not None:
                progress(done, total)
    if missing:
        await unchanged(run.target)
    run.journal.mark("finished", time.time())
    return score(run, scored)


async def unchanged(target: Target) -> None:
    """See that the model is still the one that was asked; a version may be put in the place of its like.

    Raises:
        EndpointError: it is not, so that nobody knows which of the two gave which answer.
    """
    if not target.sha256:  # nobody tells
        return
    try:
        now = await target_of(target.access, target.model, target.version)
    except EvalError:  # gone since; what it answered stands
        return
    if now.sha256 and now.sha256 != target.sha256:
        raise EndpointError(
            f"{name_of(target)} became another model while it was asked: sha256 {target.sha256[:12]}, now "
            f"{now.sha256[:12]}. Its answers may be of either: run anew with another --out"
        )


def reported(run: Recorded) -> Report:
    """The report of a run that was recorded, as it was when it ended."""
    return report_of(run, score(run))


def report_of(run: Recorded, scored: Scored) -> Report:
    """What a run says: equal bytes for equal answers, but for the clock.

    Raises:
        EndpointError: not one image was answered.
    """
    if scored.errors == scored.images:
        raise EndpointError(f"no image was answered: {scored.why[0][1] if scored.why else 'there are none'}")
    target, scores = run.target, scored.scores()
    section = evaluation_section(
        f"{name_of(target)} on {run.data.name}", target.task, run.data.labels, scored.metrics, scores,
        scored.worst.examples, target.claims, slices=scored.scores_of_slices(), errors=scored.why,
        advice=_advice(scores, scored),
    )  # fmt: skip
    seconds = run.journal.seconds()
    p50, p95, p99 = (round(float(s) * 1e3, 2) for s in np.quantile(seconds, [0.5, 0.95, 0.99]))
    prefix = name_of(target).replace("/", ".")
    figures = {f"{prefix}.{one.name}": one.value for one in scores if ".class." not in one.name}
    started, finished = run.journal.marked("started"), run.journal.marked("finished")
    return Report(
        section.title,
        manifest(
            target, run.data, data_digest=scored.digest, errors=scored.errors, seed=0,
            python=platform.python_version(), numpy=np.__version__, command=command_of(
                "evaluate", target, run.request.data, limit=run.request.limit, slice=run.request.slices,
                map="FILE" if run.request.mapping else None,
            ),
        ),
        [section],
        {**figures, f"{prefix}.errors": scored.errors},
        scored.valid,
        clock(started or 0.0, finished, request_p50_ms=p50, request_p95_ms=p95, request_p99_ms=p99),
        [latency_section(seconds)],
    )  # fmt: skip


def _advice(scores: Sequence[Score], scored: Scored) -> list[str]:
    """What to know of the numbers: an interval that tells no few points apart, classes that do not occur."""
    first, told = scores[0], []
    if first.low is None or first.high is None or first.high - first.low > 2 * WIDE:
        told.append(f"{first.name}: {width_advice(first.low, first.high, scored.images, WIDE)}")
    if (there := scored.classes) is not None and there < len(scored.labels):
        told.append(
            f"{there} of {len(scored.labels)} classes occur in these {scored.images:,} images; "
            "macro averages are over those that occur or were answered"
        )
    return told


def command_of(verb: str, target: Target, data_name: str, **options: Cell | Path | Sequence[str]) -> str:
    """The line that gives the same numbers, whoever asks and however often it was interrupted.

    Args:
        options: by name; None and False are left out, True stands alone, several are repeated.
    """
    access = target.access
    given = {
        "model": target.model, "version": target.version, **options,
        "endpoint": None if access.kind == "auto" else access.kind,
        "template": access.template, "card": access.card,
    }  # fmt: skip
    words = ["assay", verb, target.url, "--data", data_name]
    for name, value in given.items():
        for one in [value] if isinstance(value, str) or not isinstance(value, Sequence) else value:
            if one is not None and one is not False:
                words += [f"--{name}"] if one is True else [f"--{name}", str(one)]
    return shlex.join(words)

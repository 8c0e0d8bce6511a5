"""A whole parity check: live against the ONNX file, against PyTorch, and what makes them differ."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from eval.collect import Asked, ask_all
from eval.data.dataset import Dataset
from eval.data.tables import open_data
from eval.errors import DatasetError, EndpointError
from eval.parity.differences import TOLERANCE, apart, overall
from eval.parity.hypotheses import HYPOTHESES
from eval.parity.local import opened, siblings, twin_of
from eval.parity.locate import Located, locate
from eval.parity.pipeline import Pipeline, only_best
from eval.parity.probes import Probe, probe
from eval.parity.record import answers_of, count_of, difference, read_record
from eval.parity.showing import Compared, comparison, skew
from eval.remote.access import endpoint_of, target_of
from eval.report.document import Cell, Report
from eval.runs import clock, command_of, manifest
from eval.scoring import MOST_ERRORS
from eval.target import Access, Target, name_of
from models.results import Array, Result

__all__ = ["NOT_THE_SAME", "SAME", "parity"]

SAME, NOT_THE_SAME = "the same", "not the same"
EXPORT, ONNX, TWIN = "PyTorch at export", "the ONNX file run here", "its graph in PyTorch"
KEYS = {EXPORT: "", ONNX: ".onnx", TWIN: ".torch"}  # between model and figure
PROBED = 4  # pictures whose tensors are sent
AGREES = 10.0  # tolerances within which a graph's outputs are the same: they are not squeezed into [0, 1]


async def parity(
    access: Access | str,
    data_name: str,
    reference: Path | None = None,
    *,
    onnx: Path | None = None,
    torch: bool = False,
    model: str | None = None,
    number: int | None = None,
    limit: int | None = None,
    tolerance: float = TOLERANCE,
    batch: int = 16,
    concurrency: int = 4,
    progress: Callable[[int, int], None] | None = None,
) -> Report:
    """Ask about the data, first to last, and compare with whatever there is to compare with.

    Args:
        reference: a version's `reference.npz`: what PyTorch answered at export, on the first images.
        onnx: a version's folder, run here; where answers differ, the skew is looked for.
        torch: also run its graph with PyTorch.
        limit: images; by default those of the reference, else all.
        tolerance: largest difference that is none; see `eval.parity.differences.Apart`.

    Raises:
        EvalError: there is nothing to compare with, a side or the data is not what it should be, or no
            image got an answer.
    """
    _require_sides(reference, onnx, torch)
    target, started = await target_of(access, model, number), time.time()
    record = read_record(reference) if reference else {}
    if target.partial and record:
        raise DatasetError("the server tells the best class only: compare with --onnx, without --reference")
    pipeline = opened(onnx) if onnx else None
    data = open_data(data_name, target.task).first(limit or (count_of(record) if record else None))
    async with endpoint_of(target) as endpoint:
        asked = [one async for one in ask_all(endpoint, data, batch=batch, concurrency=concurrency)]
    if target.partial:
        asked = [replace(one, answer=only_best(one.answer)) if one.answer else one for one in asked]
        pipeline = pipeline and replace(pipeline, best_only=True)
    kept = [one for one in asked if one.answer is not None]
    if not kept:
        raise EndpointError(f"no image was answered: {asked[0].error if asked else 'the data set is empty'}")
    found = _Found([_with_record(record, asked)] if record else [])
    if pipeline is not None and onnx is not None:
        await _locally(found, target, pipeline, onnx, kept, tolerance, progress)
        if torch:
            twin = replace(pipeline, runner=twin_of(onnx, pipeline.card))
            theirs = await asyncio.to_thread(twin.answers, _files(kept))
            found.compared.append(_compared(TWIN, kept, theirs))
    options = {"onnx": onnx, "reference": reference, "torch": torch, "limit": limit, "tolerance": tolerance}
    command = command_of("parity", target, data_name, **options)
    return _report(target, data, found, tolerance, len(asked) - len(kept), started, command)


def _require_sides(reference: Path | None, onnx: Path | None, torch: bool) -> None:
    """Raises DatasetError where there is nothing to compare with."""
    if reference is None and onnx is None:
        raise DatasetError("name what to compare with: --onnx VERSION_FOLDER, --reference FILE.npz or both")
    if torch and onnx is None:
        raise DatasetError("--torch runs the graph of a version with PyTorch: name the version with --onnx")


@dataclass(slots=True)
class _Found:
    """What a check found out."""

    compared: list[Compared]
    located: Located | None = None
    probes: Sequence[Probe] = ()


def _files(asked: Sequence[Asked]) -> list[bytes]:
    return [one.sample.file for one in asked]


def _compared(side: str, asked: Sequence[Asked], theirs: Sequence[Result]) -> Compared:
    pairs = zip(asked, theirs, strict=True)
    each = [apart(one.answer, their) for one, their in pairs if one.answer is not None]
    return Compared(side, asked, theirs, each, overall(each))


def _with_record(record: Mapping[str, Array], asked: Sequence[Asked]) -> Compared:
    """The pictures the record is of, as far as they were asked and answered."""
    pairs = [p for p in zip(asked, answers_of(record), strict=False) if p[0].answer is not None]
    kept = [one for one, _ in pairs]
    compared = _compared(EXPORT, kept, [their for _, their in pairs])
    if len(kept) == count_of(record):
        answers = [one.answer for one in kept if one.answer is not None]
        return replace(compared, amount=difference(answers, record))
    return compared


async def _locally(
    found: _Found,
    target: Target,
    pipeline: Pipeline,
    folder: Path,
    asked: Sequence[Asked],
    tolerance: float,
    progress: Callable[[int, int], None] | None,
) -> None:
    """Answers of the version folder, what would explain the difference, what the server gives away."""
    files, live = _files(asked), [one.answer for one in asked if one.answer is not None]
    try:
        local = await asyncio.to_thread(pipeline.answers, files)
    except ValueError as error:
        raise DatasetError(f"{folder} cannot answer these pictures: {error}") from error
    found.compared.append(_compared(ONNX, asked, local))
    suspects = [*HYPOTHESES, *siblings(folder, pipeline.card)]
    found.located = await asyncio.to_thread(
        locate, pipeline, suspects, files, live, local, tolerance=tolerance, progress=progress
    )
    found.probes = await probe(target, pipeline, files[:PROBED], AGREES * tolerance)


def _report(
    target: Target, data: Dataset, found: _Found, tolerance: float, errors: int, started: float, command: str
) -> Report:
    """The verdict, in the manifest, and its reasons."""
    same = all(c.amount <= tolerance for c in found.compared)
    more: dict[str, Cell] = {"tolerance": tolerance, "verdict": SAME if same else NOT_THE_SAME}
    sections = [comparison(c, target, tolerance) for c in found.compared]
    prefix = f"parity.{name_of(target).replace('/', '.')}"
    figures: dict[str, float | None] = {}
    for compared in found.compared:
        at = prefix + KEYS[compared.side]
        figures[f"{at}.max_abs_difference"] = compared.amount
        if found.located is not None:
            figures[f"{at}.changed"] = compared.changed / len(compared.each) if compared.each else None
    if found.located is not None:
        agrees = next(c for c in found.compared if c.side == ONNX).amount <= tolerance
        sections.append(skew(found.located, found.probes, agrees, tolerance))
        more["cause"] = "; ".join(cause.name for cause in found.located.causes) or None
        more["stage"] = ", ".join(dict.fromkeys(s for c in found.located.causes for s in c.stages)) or None
    return Report(
        f"Parity of {name_of(target)}",
        manifest(target, data, errors=errors, **more, command=command),
        sections,
        figures,
        valid=errors <= MOST_ERRORS * len(data),
        clock=clock(started),
    )

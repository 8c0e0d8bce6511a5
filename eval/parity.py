"""Is what is served what was trained? Live answers against those PyTorch gave at export."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from eval.collect import ask_all
from eval.data.tables import open_data
from eval.errors import DatasetError, EndpointError
from eval.remote.access import endpoint_of, target_of
from eval.report.document import Headline, Report, Section
from eval.runs import clock, manifest
from eval.target import name_of
from models.results import Array, Classification, Detections, Result, Segmentation

__all__ = ["TOLERANCE", "difference", "parity"]

TOLERANCE = 1e-4
SEEN = 0.3  # the score from which an object is shown; the last digit decides about fainter ones


def difference(answers: Sequence[Result], recorded: Mapping[str, Array]) -> float:
    """The largest difference of a probability; for label maps, the share of pixels that differ.

    Of objects, those with a score of 0.3 or more, best first.

    Args:
        recorded: the columns of a version's `reference.npz`; see `models.export.zoo.reference`.

    Raises:
        DatasetError: the record is of another task or of other images.
    """
    try:
        if all(isinstance(a, Classification) for a in answers):
            live = np.stack([a.scores for a in answers if isinstance(a, Classification)])
            return _largest(live, recorded["probabilities"])
        if all(isinstance(a, Detections) for a in answers):
            seen = [a.scores[a.scores >= SEEN] for a in answers if isinstance(a, Detections)]
            each = np.split(recorded["scores"], np.cumsum(recorded["counts"])[:-1])
            kept = [scores[scores >= SEEN] for scores in each]
            if list(map(len, seen)) != list(map(len, kept)):
                return 1.0  # an object more or less is as different as can be
            return _largest(np.concatenate(seen), np.concatenate(kept))
        maps = [a.labels.ravel() for a in answers if isinstance(a, Segmentation)]
        return float((np.concatenate(maps) != recorded["labels"]).mean())
    except (KeyError, ValueError) as error:
        raise DatasetError(f"the reference is not of these answers: {error}") from error


def _largest(live: Array, recorded: Array) -> float:
    if live.shape != recorded.shape:
        raise ValueError(f"shapes must be equal, got {live.shape} and {recorded.shape}")
    return float(np.abs(live.astype(np.float64) - recorded).max(initial=0.0))


async def parity(
    url: str, data_name: str, reference: Path, *, model: str | None = None, number: int | None = None
) -> Report:
    """Ask about the images the reference was made on, first to last, and compare.

    Raises:
        EvalError: the reference or the data is not what it should be, or an image got no answer.
    """
    target, started = await target_of(url, model, number), time.time()
    try:
        with np.load(reference, allow_pickle=False) as file:
            recorded = dict(file)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{reference} must be a reference.npz of a model version: {error}") from error
    count = next(
        (len(recorded[name]) for name in ("probabilities", "counts", "sizes") if name in recorded), 0
    )
    data = open_data(data_name, target.task).first(count)
    answers: list[Result] = []
    async with endpoint_of(target) as endpoint:
        async for asked in ask_all(endpoint, data, batch=16, concurrency=4):
            if asked.answer is None:
                raise EndpointError(f"{asked.sample.id} got no answer: {asked.error}")
            answers.append(asked.answer)
    worst = difference(answers, recorded)
    unit = "share of pixels" if target.task == "segmentation" else "of a probability"
    told = f"{count} held-out images: what the live endpoint answers, and what PyTorch answered at export."
    headline = Headline("largest difference", worst, count, note=f"{unit}; at most {TOLERANCE:g} expected")
    title = f"Parity of {name_of(target)} with PyTorch"
    figures = {f"parity.{target.model}.{target.version}.max_abs_difference": worst}
    section = Section(title, told, [headline])
    return Report(title, manifest(target, data), [section], figures, clock=clock(started))

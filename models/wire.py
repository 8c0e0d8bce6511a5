"""Results as JSON and back; the only file that knows the wire.

An answer is always an object:

    {"model": "digits", "version": 1, "task": "classification", "predictions": [...]}

with one prediction per image, in order. Numbers survive the trip exactly: a float32 is written
with the digits that bring it back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
from pydantic import BaseModel, ConfigDict

from models.card import ModelCard, TaskName
from models.results import Array, Classification, Detections, Result, Segmentation

__all__ = [
    "Answer",
    "ClassifyAnswer",
    "DetectAnswer",
    "ErrorBody",
    "Explanation",
    "Json",
    "SegmentAnswer",
    "answer_of",
    "from_runs",
    "mask_counts",
    "results_of",
    "to_runs",
]

Json: TypeAlias = dict[str, Any]


class _Told(BaseModel):
    """The wire's shapes as OpenAPI tells them; the hot path writes the same dicts unchecked."""

    model_config = ConfigDict(extra="forbid")


class Guess(_Told):
    """One class and how probable it is."""

    label: int
    name: str
    score: float


class ClassifyPrediction(Guess):
    """The best class, the `top_k` best, and every class's score where `scores` was asked for."""

    top: list[Guess]
    scores: list[float] | None = None


class MaskRuns(_Told):
    """COCO's uncompressed RLE: column-major run lengths, background first."""

    size: tuple[int, int]
    counts: list[int]


class DetectPrediction(_Told):
    """Columns, best first. `boxes` are xyxy pixels of the image as sent."""

    boxes: list[tuple[float, float, float, float]]
    scores: list[float]
    labels: list[int]
    names: list[str]
    masks: list[MaskRuns] | None = None


class Region(_Told):
    """A class that is there, and on how many pixels."""

    label: int
    name: str
    pixels: int


class SegmentPrediction(_Told):
    """The label map, row by row: `counts[i]` pixels of class `values[i]`, then the next run."""

    size: tuple[int, int]
    values: list[int]
    counts: list[int]
    classes: list[Region]


class Explanation(_Told):
    """Which parts of the picture the answer rests on: one value a cell of a grid, row by row.

    Cell i of `rows` begins at pixel row floor(i * height / rows); columns likewise. A value is what the
    score loses when the cell is covered; below 0 the score gains.
    """

    method: Literal["occlusion"]
    label: int
    name: str
    score: float
    rows: int
    cols: int
    values: list[float]


class Answer(_Told):
    """Who answered; and why, where `explain` was asked for and there was something to explain."""

    model: str
    version: int
    task: TaskName
    explanation: Explanation | None = None


class ClassifyAnswer(Answer):
    """`POST /classify`."""

    task: Literal["classification"]
    predictions: list[ClassifyPrediction]


class DetectAnswer(Answer):
    """`POST /detect`."""

    task: Literal["detection"]
    predictions: list[DetectPrediction]


class SegmentAnswer(Answer):
    """`POST /segment`."""

    task: Literal["segmentation"]
    predictions: list[SegmentPrediction]


class ErrorBody(_Told):
    """Every failure on every route."""

    error: str
    code: str
    status: int
    request_id: str


def answer_of(
    card: ModelCard,
    results: Sequence[Result],
    *,
    top_k: int = 5,
    scores: bool = False,
    score_threshold: float = 0.0,
) -> Json:
    """The answer to one request: plain dicts, with NumPy arrays where JSON has number lists.

    Args:
        top_k: classes named per image (classification).
        scores: also give every class's score (classification).
        score_threshold: leave out weaker objects (detection).
    """
    write: Callable[[Any], Json] = {
        "classification": lambda found: _classification(found, card.labels, top_k, scores),
        "detection": lambda found: _detections(found[found.scores >= score_threshold], card.labels),
        "segmentation": lambda found: _segmentation(found, card.labels),
    }[card.task]
    return {
        "model": card.name,
        "version": card.version,
        "task": card.task,
        "predictions": [write(result) for result in results],
    }


def results_of(body: Mapping[str, Any], task: TaskName, pixels: Sequence[int]) -> list[Result]:
    """The results in an answer, exactly as the model gave them.

    Classification needs `scores`. An answer filtered by a threshold holds what was left.

    Args:
        task: what was asked.
        pixels: of each picture that was sent. A few bytes of runs say how large a map is; no service
            is believed that its map is larger than the picture.

    Raises:
        ValueError: the body is not an answer to such a request; names what is wrong.
    """
    readers: Mapping[TaskName, Callable[[Mapping[str, Any], int], Result]] = {
        "classification": _read_classification,
        "detection": _read_detections,
        "segmentation": _read_segmentation,
    }
    try:
        if body["task"] != task:
            raise ValueError(f"the task must be {task}, got {str(body['task'])[:40]!r}")
        return [readers[task](*pair) for pair in zip(body["predictions"], pixels, strict=True)]
    except (KeyError, TypeError, ValueError, IndexError, OverflowError) as error:
        raise ValueError(f"not an answer of this service: {type(error).__name__}: {error}") from error


def to_runs(values: Array) -> tuple[Array, Array]:
    """Run-length encode: (value of each run, its length), both `(R,)`, of a flat `(N,)` array."""
    if len(values) == 0:
        return values, np.zeros(0, np.int64)
    starts = np.concatenate([[0], np.flatnonzero(values[1:] != values[:-1]) + 1])
    return values[starts], np.diff(starts, append=len(values))


def from_runs(values: Sequence[int] | Array, counts: Sequence[int] | Array, size: tuple[int, int]) -> Array:
    """int64 `(H, W)` from row-major runs. Raises ValueError if they do not fill `size` (H, W)."""
    lengths = np.asarray(counts, np.int64)
    total = int(lengths.sum())
    if total != size[0] * size[1] or (lengths < 0).any():
        raise ValueError(f"runs must fill {size[0]} x {size[1]} pixels, got {total}")
    return np.repeat(np.asarray(values, np.int64), lengths).reshape(size)


def mask_counts(mask: Array) -> Array:
    """int64 `(R,)`: COCO's run lengths of a bool `(H, W)`, down the columns, background first."""
    height, width = mask.shape
    there = np.flatnonzero(mask.any(axis=0))
    if not len(there):
        return np.array([height * width])
    before, after = there[0] * height, (width - 1 - there[-1]) * height  # only the columns between are read
    values, counts = to_runs(mask[:, there[0] : there[-1] + 1].ravel(order="F"))
    ends = [before] if values[0] else [], [after] if values[-1] and after else []
    counts[0] += 0 if values[0] else before
    counts[-1] += 0 if values[-1] else after
    return np.concatenate([ends[0], counts, ends[1]]).astype(np.int64)


def _classification(found: Classification, labels: Sequence[str], top_k: int, scores: bool) -> Json:
    top = [{"label": int(i), "name": labels[i], "score": found.scores[i]} for i in found.top(max(1, top_k))]
    body = {**top[0], "top": top}
    return {**body, "scores": found.scores} if scores else body


def _read_classification(body: Mapping[str, Any], _: int) -> Classification:
    return Classification(np.asarray(body["scores"], np.float32))


def _detections(found: Detections, labels: Sequence[str]) -> Json:
    body: Json = {
        "boxes": np.ascontiguousarray(found.boxes),
        "scores": found.scores,
        "labels": found.labels,
        "names": [labels[i] for i in found.labels.tolist()],
    }
    if found.masks is not None:
        body["masks"] = [_mask_runs(mask) for mask in found.masks]
    return body


def _mask_runs(mask: Array) -> Json:
    return {"size": list(mask.shape), "counts": mask_counts(mask)}


def _read_detections(body: Mapping[str, Any], pixels: int) -> Detections:
    masks = body.get("masks")
    return Detections(
        np.asarray(body["boxes"], np.float32).reshape(-1, 4),
        np.asarray(body["scores"], np.float32),
        np.asarray(body["labels"], np.int64),
        np.stack([_read_mask(mask, pixels) for mask in masks]) if masks else None,
    )


def _size(body: Mapping[str, Any], pixels: int) -> tuple[int, int]:
    height, width = body["size"]
    if height * width != pixels:
        raise ValueError(f"a map must have the {pixels} pixels of its picture, got {height} x {width}")
    return height, width


def _read_mask(body: Mapping[str, Any], pixels: int) -> Array:
    height, width = _size(body, pixels)
    values = np.arange(len(body["counts"])) % 2
    return from_runs(values, body["counts"], (width, height)).T.astype(bool)


def _segmentation(found: Segmentation, labels: Sequence[str]) -> Json:
    values, counts = to_runs(found.labels.ravel())
    pixels = np.bincount(values, weights=counts, minlength=len(labels)).astype(np.int64)
    there = [
        {"label": label, "name": labels[label], "pixels": pixels[label]}
        for label in np.flatnonzero(pixels).tolist()
    ]
    return {"size": list(found.labels.shape), "values": values, "counts": counts, "classes": there}


def _read_segmentation(body: Mapping[str, Any], pixels: int) -> Segmentation:
    return Segmentation(from_runs(body["values"], body["counts"], _size(body, pixels)))

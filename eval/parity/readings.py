"""Skews of reading an answer out of the graph's outputs."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from eval.parity.pipeline import After, Pipeline
from models.card import TaskName
from models.families.segmentation import SEGMENTATION
from models.imaging import nearest, place
from models.results import Array, Classification, Detections, Result, Segmentation, Shape

__all__ = ["READINGS"]

Change: TypeAlias = Callable[[Pipeline], Pipeline | None]


def _after(task: TaskName, after: After, family: str = "") -> Change:
    """Where the model does that task, and is of that family if one is named."""

    def change(pipeline: Pipeline) -> Pipeline | None:
        card = pipeline.reader
        return replace(pipeline, after=after) if card.task == task and family in ("", card.family) else None

    return change


def _rules(**fields: Any) -> Change:
    """Detection with other thresholds."""

    def change(pipeline: Pipeline) -> Pipeline | None:
        card = pipeline.reader
        if card.task != "detection":
            return None
        rules = card.postprocess.model_copy(update=fields)
        return replace(pipeline, reader=card.model_copy(update={"postprocess": rules}))

    return change


def _taken_back(resize: str) -> Change:
    """Boxes and maps are taken back to the picture as if it had been resized in another way."""

    def change(pipeline: Pipeline) -> Pipeline | None:
        card = pipeline.reader
        if card.task == "classification":
            return None
        spec = card.input.model_copy(update={"resize": resize, "crop_fraction": 1.0})
        return replace(pipeline, reader=card.model_copy(update={"input": spec}))

    return change


def _softmax_twice(_: Pipeline, answer: Result, __: Sequence[Array], ___: Shape) -> Result:
    odds = np.exp(answer.scores.astype(np.float64)) if isinstance(answer, Classification) else np.ones(1)
    return Classification((odds / odds.sum()).astype(np.float32))


def _no_softmax(_: Pipeline, __: Result, outputs: Sequence[Array], ___: Shape) -> Result:
    return Classification(outputs[0].reshape(-1).astype(np.float32))


def _shifted(by: int) -> After:
    def after(pipeline: Pipeline, answer: Result, _: Sequence[Array], __: Shape) -> Result:
        if isinstance(answer, Classification):
            return Classification(np.roll(answer.scores, by))
        if isinstance(answer, Detections):
            return replace(answer, labels=(answer.labels + by) % len(pipeline.reader.labels))
        return Segmentation((answer.labels.astype(np.int64) + by) % len(pipeline.reader.labels))

    return after


def _as_input(pipeline: Pipeline, answer: Result, _: Sequence[Array], shape: Shape) -> Result:
    placed = place(shape, pipeline.reader.input)
    if not isinstance(answer, Detections):
        return answer
    boxes = answer.boxes * ([placed.scale_x, placed.scale_y] * 2) + [placed.offset_x, placed.offset_y] * 2
    return replace(answer, boxes=boxes.astype(np.float32))


def _columns_first(_: Pipeline, answer: Result, __: Sequence[Array], ___: Shape) -> Result:
    return replace(answer, boxes=answer.boxes[:, [1, 0, 3, 2]]) if isinstance(answer, Detections) else answer


def _coarse(pipeline: Pipeline, answer: Result, outputs: Sequence[Array], shape: Shape) -> Result:
    """The best class first, then the map enlarged by its nearest cell."""
    found = SEGMENTATION[pipeline.reader.family].read_finite(outputs, pipeline.reader)
    if found.ndim == 2:
        return answer
    spec = pipeline.reader.input
    return Segmentation(nearest(found.argmax(axis=0), place(shape, spec), spec, shape))


def _every(after: After) -> Change:
    return lambda pipeline: replace(pipeline, after=after)


READINGS: Mapping[str, Change] = {
    "softmax applied twice": _after("classification", _softmax_twice),
    "softmax left out": _after("classification", _no_softmax, "logits"),
    "classes numbered one too high": _every(_shifted(1)),
    "classes numbered one too low": _every(_shifted(-1)),
    "objects below 0.5 left out": _rules(score_threshold=0.5),
    "suppression at IoU 0.45": _rules(iou_threshold=0.45),
    "suppression at IoU 0.7": _rules(iou_threshold=0.7),
    "suppression left out": _rules(iou_threshold=1.0),
    "suppression over all classes": _rules(class_agnostic=True),
    "boxes in pixels of the input": _after("detection", _as_input),
    "boxes as y, x": _after("detection", _columns_first),
    "taken back as if stretched": _taken_back("stretch"),
    "taken back as if letterboxed": _taken_back("letterbox"),
    "best class first, then enlarged": _after("segmentation", _coarse),
}

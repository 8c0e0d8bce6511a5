"""Random raw outputs of every family, read by us and by the slow reference; what differs is counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from models.card import ModelCard, TaskName
from models.results import Array, Classification, Detections, Result, Segmentation, Shape
from models.tasks import TASKS
from tests.models.families import references
from tests.models.families.raws import RAWS, card_of

__all__ = ["differs", "drawn", "mismatches"]

SIDES = (32, 52, 64)


def drawn(task: TaskName, family: str, seed: int) -> tuple[ModelCard, list[Array], Shape]:
    """A card, raw outputs of one picture, and its (H, W)."""
    draw = np.random.default_rng(seed)
    classes = 2 if family.startswith("binary") else int(draw.integers(2, 6))
    spec: dict[str, Any] = {
        "height": int(draw.choice(SIDES)),
        "width": int(draw.choice(SIDES)),
        "resize": str(draw.choice(["stretch", "letterbox", "crop"])),
        "align": str(draw.choice(["centre", "top_left"])),
    }
    rules: dict[str, Any] = {
        "score_threshold": float(draw.choice([0.0, 0.25, 0.5, float(np.float32(draw.random())), 1.0])),
        "iou_threshold": float(draw.choice([0.0, 0.3, 0.5, 0.6, 1.0])),
        "class_agnostic": bool(draw.random() < 0.3),
        "max_detections": int(draw.choice([1, 5, 40])),
        "activated": bool(draw.random() < 0.3),
        "box_order": str(draw.choice(["yxyx", "xyxy"])),
        "first_label": int(draw.integers(0, 2)),
    }
    card = card_of(task, family, classes, input=spec, postprocess=rules)
    outputs = RAWS[task][family](draw, {**spec, **rules, "family": family}, classes)
    return card, outputs, (int(draw.integers(1, 24)), int(draw.integers(1, 24)))


def differs(card: ModelCard, outputs: Sequence[Array], shape: Shape) -> str | None:
    """What our answer and the reference's differ in."""
    answer: Result = TASKS[card.task](card).interpret(outputs, shape)
    match answer:
        case Classification():
            want = np.array(references.classified(outputs, card))
            return None if np.allclose(answer.scores, want, rtol=1e-6, atol=1e-9) else "scores"
        case Segmentation():
            return _labels_differ(answer, card, outputs, shape)
        case Detections():
            return _objects_differ(answer, references.detected(outputs, card, shape), shape)


def _labels_differ(
    answer: Segmentation, card: ModelCard, outputs: Sequence[Array], shape: Shape
) -> str | None:
    """Classes within a float32's rounding of each other may be taken for equal."""
    if answer.labels.shape != shape:
        return "size"
    for pixel, values in references.segmented(outputs, card, shape).items():
        best, own = max(values), values[int(answer.labels[pixel])]
        if best - own > 1e-5 * max(1.0, abs(best)):
            return f"label of {pixel}"
    return None


def _objects_differ(answer: Detections, want: Sequence[references.Seen], shape: Shape) -> str | None:
    if answer.labels.tolist() != [seen.label for seen in want]:
        return "labels"
    if not np.allclose(answer.scores, [seen.score for seen in want], rtol=1e-6, atol=0):
        return "scores"
    if not np.allclose(answer.boxes, np.reshape([s.box for s in want], (-1, 4)), rtol=1e-6, atol=1e-5):
        return "boxes"
    for mask, seen in zip(answer.masks if answer.masks is not None else [], want, strict=False):
        for pixel in np.ndindex(shape):
            value = seen.pixels.get(pixel, -1.0)
            if abs(value) > 1e-5 and mask[pixel] != (value > 0):
                return f"mask at {pixel}"
    return None


def mismatches(cases: int) -> dict[str, int]:
    """For each family, as `task.family`: how many of so many random raw outputs are read wrongly."""
    return {
        f"{task}.{family}": sum(differs(*drawn(task, family, seed)) is not None for seed in range(cases))
        for task, families in RAWS.items()
        for family in families
    }

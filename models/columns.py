"""Answers as tensors of the Open Inference Protocol: one named column for each field, and back.

A graph's own outputs keep their names; the columns stand beside them as `answer.*`:

    classification  answer.scores FP32 (N, C)
    detection       answer.boxes FP32 (M, 4), answer.scores FP32 (M), answer.labels INT64 (M),
                    answer.images INT64 (M): which of the N pictures row m belongs to, in order
    segmentation    answer.labels UINT8 (N, H, W); UINT16 above 256 classes
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from models.card import ModelCard, TaskName
from models.ports import Port
from models.results import Array, Classification, Detections, Result, Segmentation

__all__ = ["PREFIX", "SizesDiffer", "columns_of", "from_columns", "ports_of"]

PREFIX = "answer."


class SizesDiffer(ValueError):
    """Label maps of several sizes do not make one tensor."""


def ports_of(card: ModelCard) -> list[Port]:
    """Name, type and shape of each column; -1 where any size goes."""
    match card.task:
        case "classification":
            return [Port("answer.scores", np.dtype("<f4"), (-1, len(card.labels)))]
        case "detection":
            return [
                Port("answer.boxes", np.dtype("<f4"), (-1, 4)),
                Port("answer.scores", np.dtype("<f4"), (-1,)),
                Port("answer.labels", np.dtype("<i8"), (-1,)),
                Port("answer.images", np.dtype("<i8"), (-1,)),
            ]
        case "segmentation":
            return [Port("answer.labels", _map_type(card), (-1, -1, -1))]


def _map_type(card: ModelCard) -> np.dtype[np.uint8] | np.dtype[np.uint16]:
    return np.dtype("<u1") if len(card.labels) <= 256 else np.dtype("<u2")


def columns_of(card: ModelCard, results: Sequence[Result]) -> dict[str, Array]:
    """The answers to one request as columns.

    Raises:
        SizesDiffer: label maps of pictures of several sizes.
    """
    found = [r for r in results if isinstance(r, Detections)]
    if card.task == "detection":
        return {
            "answer.boxes": np.concatenate([f.boxes for f in found]).astype("<f4", copy=False),
            "answer.scores": np.concatenate([f.scores for f in found]).astype("<f4", copy=False),
            "answer.labels": np.concatenate([f.labels for f in found]).astype("<i8", copy=False),
            "answer.images": np.repeat(np.arange(len(found)), [len(f) for f in found]),
        }
    if card.task == "classification":
        scores = [r.scores for r in results if isinstance(r, Classification)]
        return {"answer.scores": scores[0][None] if len(scores) == 1 else np.stack(scores)}
    maps = [r.labels for r in results if isinstance(r, Segmentation)]
    if len({m.shape for m in maps}) > 1:
        raise SizesDiffer("pictures of one request must have one size to be answered as one label map")
    return {"answer.labels": np.stack(maps).astype(_map_type(card))}


def from_columns(task: TaskName, columns: Mapping[str, Array], images: int) -> list[Result]:
    """The answers again, one for each of `images` pictures.

    Raises:
        KeyError, ValueError: the columns are not those of the task, or not of so many pictures.
    """
    results: list[Result]
    if task == "detection":
        boxes, scores, labels = (columns[f"answer.{name}"] for name in ("boxes", "scores", "labels"))
        whose = columns["answer.images"]
        if not len(whose) == len(boxes) == len(scores) == len(labels):
            raise ValueError("the columns must have one length")
        own = [whose == i for i in range(images)]
        if sum(int(rows.sum()) for rows in own) != len(whose):
            raise ValueError(f"every object must lie in one of {images} pictures")
        results = [Detections(boxes[rows], scores[rows], labels[rows]) for rows in own]
    elif task == "classification":
        results = [Classification(scores) for scores in columns["answer.scores"]]
    else:
        results = [Segmentation(labels.astype(np.int64)) for labels in columns["answer.labels"]]
    if len(results) != images:
        raise ValueError(f"there must be {images} answers, got {len(results)}")
    return results

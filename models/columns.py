"""Answers as tensors of the Open Inference Protocol: one named column for each field, and back.

A graph's own outputs keep their names; the columns stand beside them as `answer.*`:

    classification  answer.scores FP32 (N, C)
    detection       answer.boxes FP32 (M, 4), answer.scores FP32 (M), answer.labels INT64 (M),
                    answer.images INT64 (M): which of the N pictures row m belongs to, in order; where
                    the family gives masks also answer.runs INT64 (R), the run lengths of one mask after the
                    other, as COCO counts them, and answer.sizes INT64 (N, 2), H and W of each picture
    segmentation    answer.labels UINT8 (N, H, W); UINT16 above 256 classes
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from models.card import ModelCard, TaskName
from models.families.tables import FAMILIES
from models.ports import Port
from models.results import Array, Classification, Detections, Result, Segmentation
from models.wire import mask_counts

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
            masks = [
                Port("answer.runs", np.dtype("<i8"), (-1,)),
                Port("answer.sizes", np.dtype("<i8"), (-1, 2)),
            ]
            return [
                Port("answer.boxes", np.dtype("<f4"), (-1, 4)),
                Port("answer.scores", np.dtype("<f4"), (-1,)),
                Port("answer.labels", np.dtype("<i8"), (-1,)),
                Port("answer.images", np.dtype("<i8"), (-1,)),
                *(masks if _masked(card) else []),
            ]
        case "segmentation":
            return [Port("answer.labels", _map_type(card), (-1, -1, -1))]


def _map_type(card: ModelCard) -> np.dtype[np.uint8] | np.dtype[np.uint16]:
    return np.dtype("<u1") if len(card.labels) <= 256 else np.dtype("<u2")


def _masked(card: ModelCard) -> bool:
    family = FAMILIES[card.task].get(card.family)
    return family is not None and family.masks


def columns_of(card: ModelCard, results: Sequence[Result]) -> dict[str, Array]:
    """The answers to one request as columns.

    Raises:
        SizesDiffer: label maps of pictures of several sizes.
    """
    found = [r for r in results if isinstance(r, Detections)]
    if card.task == "detection":
        columns: dict[str, Array] = {
            "answer.boxes": np.concatenate([f.boxes for f in found]).astype("<f4", copy=False),
            "answer.scores": np.concatenate([f.scores for f in found]).astype("<f4", copy=False),
            "answer.labels": np.concatenate([f.labels for f in found]).astype("<i8", copy=False),
            "answer.images": np.repeat(np.arange(len(found)), [len(f) for f in found]),
        }
        masks = [f.masks for f in found if f.masks is not None]
        if _masked(card) and len(masks) == len(found):
            runs = [mask_counts(mask) for own in masks for mask in own]
            columns["answer.runs"] = np.concatenate([np.zeros(0, np.int64), *runs])
            columns["answer.sizes"] = np.array([own.shape[1:] for own in masks], np.int64).reshape(-1, 2)
        return columns
    if card.task == "classification":
        scores = [r.scores for r in results if isinstance(r, Classification)]
        return {"answer.scores": scores[0][None] if len(scores) == 1 else np.stack(scores)}
    maps = [r.labels for r in results if isinstance(r, Segmentation)]
    if len({m.shape for m in maps}) > 1:
        raise SizesDiffer("pictures of one request must have one size to be answered as one label map")
    return {"answer.labels": np.stack(maps).astype(_map_type(card))}


def from_columns(
    task: TaskName, columns: Mapping[str, Array], images: int, *, pixels: Sequence[int] | None = None
) -> list[Result]:
    """The answers again, one for each of `images` pictures.

    Args:
        pixels: of each picture that was sent; masks of other sizes are not believed. A few bytes of runs
            say how large a mask is, so give them where the columns come from somebody else.

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
        masks = _masks(columns, whose, images, pixels) if "answer.runs" in columns else [None] * images
        results = [
            Detections(boxes[rows], scores[rows], labels[rows], drawn)
            for rows, drawn in zip(own, masks, strict=True)
        ]
    elif task == "classification":
        results = [Classification(scores) for scores in columns["answer.scores"]]
    else:
        results = [Segmentation(labels.astype(np.int64)) for labels in columns["answer.labels"]]
    if len(results) != images:
        raise ValueError(f"there must be {images} answers, got {len(results)}")
    return results


def _masks(
    columns: Mapping[str, Array], whose: Array, images: int, pixels: Sequence[int] | None
) -> list[Array | None]:
    """bool `(n, H, W)` for each picture. Raises ValueError, KeyError."""
    runs, sizes = columns["answer.runs"].astype(np.int64), columns["answer.sizes"].astype(np.int64)
    if sizes.shape != (images, 2) or (sizes < 1).any() or (runs < 0).any() or (np.diff(whose) < 0).any():
        raise ValueError(f"masks must have a size for each of {images} pictures, and runs in their order")
    areas = sizes.prod(axis=1)
    if pixels is not None and areas.tolist() != list(pixels):
        raise ValueError(f"masks must have the {list(pixels)} pixels of their pictures, got {areas.tolist()}")
    ends, stops = np.cumsum(runs), np.cumsum(areas[whose])
    last = np.searchsorted(ends, stops)  # the run that ends each mask
    if (
        (last >= len(ends)).any()
        or (ends[last] != stops).any()
        or len(runs) != (last[-1] + 1 if len(last) else 0)
    ):
        raise ValueError("runs must fill one mask after the other")
    starts = np.concatenate([[0], last + 1]).tolist()
    drawn = [
        np.repeat(np.arange(stop - start) % 2 == 1, runs[start:stop]).reshape(sizes[image][::-1]).T
        for image, start, stop in zip(whose.tolist(), starts[:-1], starts[1:], strict=True)
    ]
    empty = [np.zeros((0, *size), bool) for size in sizes.tolist()]
    return [
        np.concatenate(
            [empty[i], *(mask[None] for mask, image in zip(drawn, whose, strict=True) if image == i)]
        )
        for i in range(images)
    ]

"""What the values say that a graph gave for one picture: which families they speak against."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from models.card import TaskName
from models.results import Array

__all__ = ["doubt", "is_share"]

Doubt: TypeAlias = Callable[[Sequence[Array]], str | None]
_NEAR = 1e-2  # sums of half floats and of quantised levels


def doubt(task: TaskName, family: str, outputs: Sequence[Array]) -> str | None:
    """Why one picture's outputs, in the family's order and with batch axis, are hardly this family's.

    None where nothing speaks against it. A picture is no proof: this decides only between families
    that the shapes leave open.
    """
    found = _DOUBTS.get((task, family))
    return found(outputs) if found is not None and all(o.dtype.kind in "fiu" for o in outputs) else None


def is_share(values: Array) -> bool:
    """Whether all values are from 0 to 1, as after a sigmoid or a softmax; True where there are none."""
    return bool(((values >= -1e-6) & (values <= 1 + 1e-3)).all())


def _sums_to_one(values: Array, axis: int) -> bool:
    return is_share(values) and bool((np.abs(values.astype(np.float64).sum(axis=axis) - 1) < _NEAR).all())


def _logits(outputs: Sequence[Array]) -> str | None:
    scores = outputs[0].reshape(1, -1)
    return "the scores of a picture are from 0 to 1 and sum to 1" if _sums_to_one(scores, 1) else None


def _probabilities(outputs: Sequence[Array]) -> str | None:
    scores = outputs[0].reshape(1, -1)
    if scores.dtype.kind == "u" or _sums_to_one(scores, 1):
        return None
    return "the scores of a picture do not sum to 1"


def _class_sums(planes: Array) -> bool:
    return _sums_to_one(planes, 1) or _sums_to_one(planes, -1)


def _planes(outputs: Sequence[Array]) -> str | None:
    if outputs[0].size == max(outputs[0].shape[1], outputs[0].shape[-1]):
        return "a map of one pixel is no map"
    return "the planes of a picture sum to 1" if _class_sums(outputs[0]) else None


def _plane_shares(outputs: Sequence[Array]) -> str | None:
    if outputs[0].dtype.kind == "u" or _class_sums(outputs[0]):
        return None
    return "the planes of a picture do not sum to 1"


def _binary(outputs: Sequence[Array]) -> str | None:
    return None if is_share(outputs[0]) else "its values are not all from 0 to 1"


def _binary_logits(outputs: Sequence[Array]) -> str | None:
    return "its values are all from 0 to 1" if is_share(outputs[0]) else None


def _fractions(boxes: Array) -> bool:
    return bool(((boxes > -1) & (boxes < 2)).all())


def _dense(outputs: Sequence[Array]) -> str | None:
    if not is_share(outputs[1]):
        return "the scores are not all from 0 to 1"
    return "the boxes are fractions, no pixels" if _fractions(outputs[0]) else None


def _queries(outputs: Sequence[Array]) -> str | None:
    return None if _fractions(outputs[1]) else "the boxes are no fractions from 0 to 1"


def _ssd(outputs: Sequence[Array]) -> str | None:
    if not _fractions(outputs[0]):
        return "the boxes are no fractions from 0 to 1"
    if not is_share(outputs[2]):
        return "the scores are not all from 0 to 1"
    return None if _is_whole(outputs[1]) else "the labels are no whole numbers"


def _yolov10(outputs: Sequence[Array]) -> str | None:
    return None if _is_whole(outputs[0][..., 5]) else "the last column has no whole numbers"


def _fastestdet(outputs: Sequence[Array]) -> str | None:
    said = np.concatenate([outputs[0][:, :1], outputs[0][:, 5:]], axis=1)
    return None if is_share(said) else "objectness and class scores are not all from 0 to 1"


def _is_whole(values: Array) -> bool:
    return bool((np.abs(values - np.rint(values)) < 1e-3).all())


_DOUBTS: Mapping[tuple[TaskName, str], Doubt] = {
    ("classification", "logits"): _logits,
    ("classification", "probabilities"): _probabilities,
    ("segmentation", "logits"): _planes,
    ("segmentation", "probabilities"): _plane_shares,
    ("segmentation", "binary"): _binary,
    ("segmentation", "binary-logits"): _binary_logits,
    ("detection", "dense"): _dense,
    ("detection", "detr"): _queries,
    ("detection", "rtdetr"): _queries,
    ("detection", "ssd"): _ssd,
    ("detection", "yolov10"): _yolov10,
    ("detection", "fastestdet"): _fastestdet,
}

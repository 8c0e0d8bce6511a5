"""What a model says about one image, in plain NumPy.

Boxes are `xyxy` in pixels of the image as sent, origin top-left, x2 and y2 exclusive.
Scores are probabilities in [0, 1]. Nothing here knows JSON, HTTP or ONNX.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "Classification", "Detections", "Result", "Segmentation", "Shape"]

Array: TypeAlias = NDArray[Any]
Shape: TypeAlias = tuple[int, int]  # (H, W), pixels


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise ValueError(message)


@dataclass(frozen=True, slots=True, eq=False)
class Classification:
    """One probability per class.

    Attributes:
        scores: float32 `(C,)`, C >= 1, finite; sums to 1.
    """

    scores: Array

    def __post_init__(self) -> None:
        _require(self.scores.ndim == 1, f"scores must be (C,), got {self.scores.shape}")
        _require(len(self.scores) > 0, "scores must have at least one class, got none")
        _require(bool(np.isfinite(self.scores).all()), "scores must be finite, got NaN or infinity")

    @property
    def label(self) -> int:
        """Index of the most probable class; the lowest index on ties."""
        return int(self.scores.argmax())

    def top(self, count: int) -> Array:
        """Indices of the `count` most probable classes, best first; lowest index on ties.

        Returns:
            int64 `(min(count, C),)`.
        """
        return np.argsort(-self.scores, kind="stable")[:count]


@dataclass(frozen=True, slots=True, eq=False)
class Detections:
    """Zero or more objects; row i of every array describes object i.

    Attributes:
        boxes: float32 `(N, 4)`, xyxy pixels.
        scores: float32 `(N,)`.
        labels: int64 `(N,)`.
        masks: bool `(N, H, W)` of the image as sent, or None where the model gives none.
    """

    boxes: Array
    scores: Array
    labels: Array
    masks: Array | None = None

    def __post_init__(self) -> None:
        n = len(self.boxes)
        _require(self.boxes.shape == (n, 4), f"boxes must be (N, 4), got {self.boxes.shape}")
        for name, column in (("scores", self.scores), ("labels", self.labels)):
            _require(column.shape == (n,), f"{name} must be ({n},), got {column.shape}")
        finite = bool(np.isfinite(self.boxes).all() and np.isfinite(self.scores).all())
        _require(finite, "boxes and scores must be finite, got NaN or infinity")
        if self.masks is not None:
            fits = self.masks.ndim == 3 and len(self.masks) == n
            _require(fits, f"masks must be ({n}, H, W), got {self.masks.shape}")

    def __len__(self) -> int:
        return len(self.boxes)

    def __getitem__(self, rows: Array) -> Detections:
        """Keep some rows, in the order asked for: `found[found.scores > 0.5]`."""
        masks = None if self.masks is None else self.masks[rows]
        return Detections(self.boxes[rows], self.scores[rows], self.labels[rows], masks)

    @staticmethod
    def empty() -> Detections:
        """Nothing found."""
        none = np.zeros(0, np.float32)
        return Detections(np.zeros((0, 4), np.float32), none, none.astype(np.int64))


@dataclass(frozen=True, slots=True, eq=False)
class Segmentation:
    """One class index per pixel.

    Attributes:
        labels: integer `(H, W)` of the image as sent, H and W >= 1.
    """

    labels: Array

    def __post_init__(self) -> None:
        _require(self.labels.ndim == 2, f"labels must be (H, W), got {self.labels.shape}")
        whole = np.issubdtype(self.labels.dtype, np.integer)
        _require(whole, f"labels must be integers, got {self.labels.dtype}")


Result: TypeAlias = Classification | Detections | Segmentation

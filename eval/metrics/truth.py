"""What is really in an image: the objects a detector should find."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from models.results import Array

__all__ = ["Objects"]


def _nothing() -> Array:
    return np.zeros(0)


@dataclass(frozen=True, slots=True, eq=False)
class Objects:
    """Zero or more true objects; row i of every array describes object i.

    Attributes:
        boxes: float64 `(N, 4)`, xyxy pixels of the image.
        labels: int64 `(N,)`.
        areas: float64 `(N,)`, pixels; decides small, medium, large. Left out: those of the boxes.
        crowd: bool `(N,)`; a crowd is many objects in one region, neither demanded nor punished.
            Left out: none is.
        masks: bool `(N, H, W)`, or None.
        image: id of the image. Detections with equal scores are ranked in the order of these ids, so
            give one for numbers that equal pycocotools' on ties (pad digits with zeros).
    """

    boxes: Array
    labels: Array
    areas: Array = field(default_factory=_nothing)
    crowd: Array = field(default_factory=_nothing)
    masks: Array | None = None
    image: str = ""

    def __post_init__(self) -> None:
        n = len(self.labels)
        if self.boxes.shape != (n, 4):
            raise ValueError(f"boxes must be ({n}, 4), got {self.boxes.shape}")
        sides = self.boxes[:, 2:].astype(np.float64) - self.boxes[:, :2]
        if n and not self.areas.size:
            object.__setattr__(self, "areas", sides.prod(axis=1))
        if n and not self.crowd.size:
            object.__setattr__(self, "crowd", np.zeros(n, bool))
        for name in ("labels", "areas", "crowd"):
            if getattr(self, name).shape != (n,):
                raise ValueError(f"{name} must be ({n},), got {getattr(self, name).shape}")
        if not (np.isfinite(sides).all() and np.isfinite(self.areas).all()):
            raise ValueError("boxes and areas must be finite, got NaN or infinity")
        if self.masks is not None and (self.masks.ndim != 3 or len(self.masks) != n):
            raise ValueError(f"masks must be ({n}, H, W), got {self.masks.shape}")

    def __len__(self) -> int:
        return len(self.labels)

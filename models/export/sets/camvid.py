"""CamVid, street scenes in 11 classes (Brostow et al. 2009), in the files of the SegNet tutorial."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from models.decoding import decode
from models.export.sets.objects import IGNORE, Objects

__all__ = ["LABELS", "camvid"]

LABELS = (
    "sky",
    "building",
    "pole",
    "road",
    "pavement",
    "tree",
    "sign",
    "fence",
    "car",
    "pedestrian",
    "bicyclist",
)
UNLABELLED = 11


def camvid(root: Path, split: str) -> list[Objects]:
    """The frames of `train` or `val`, in order of time; pixels without a class are ignored.

    Raises:
        FileNotFoundError: the set is not there.
    """
    paths = sorted((root / split).glob("*.png"))
    if not paths:
        raise FileNotFoundError(f"{root / split} must hold the frames, got none")
    found = []
    for path in paths:
        labels = decode((root / f"{split}annot" / path.name).read_bytes())[..., 0]
        semantic = np.where(labels == UNLABELLED, IGNORE, labels).astype(np.uint8)
        empty = np.empty((0, 4), np.float32)
        found.append(Objects(decode(path.read_bytes()), empty, np.empty(0, np.int64), semantic))
    return found

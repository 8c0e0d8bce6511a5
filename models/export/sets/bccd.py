"""BCCD, blood cells in microscope pictures: boxes in Pascal VOC files (github.com/Shenggan/BCCD_Dataset)."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from models.decoding import decode
from models.export.sets.objects import Objects

__all__ = ["LABELS", "bccd"]

LABELS = ("RBC", "WBC", "Platelets")


def bccd(root: Path, split: str) -> list[Objects]:
    """The pictures of one of the set's own lists, `train` or `val`; boxes without area are left out.

    Raises:
        FileNotFoundError: the set is not there.
    """
    names = (root / "BCCD/ImageSets/Main" / f"{split}.txt").read_text().split()
    return [_one(root / "BCCD", name) for name in names]


def _one(root: Path, name: str) -> Objects:
    tree = ElementTree.parse(root / "Annotations" / f"{name}.xml")  # noqa: S314  # the set's own files
    boxes, labels = [], []
    for found in tree.iterfind("object"):
        left, top, right, bottom = (
            float(found.findtext(f"bndbox/{side}", "0")) for side in ("xmin", "ymin", "xmax", "ymax")
        )
        if right > left and bottom > top:
            boxes.append((left - 1, top - 1, right, bottom))  # VOC counts pixels from 1, both ends inside
            labels.append(LABELS.index(found.findtext("name", "")))
    image = decode((root / "JPEGImages" / f"{name}.jpg").read_bytes())
    return Objects(image, np.array(boxes, np.float32).reshape(-1, 4), np.array(labels, np.int64))

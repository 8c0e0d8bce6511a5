"""CIFAR-10 (Krizhevsky 2009) as JPEG files in a tar: a folder for each class."""

from __future__ import annotations

import tarfile
from pathlib import Path

import numpy as np

from models.decoding import decode
from models.results import Array

__all__ = ["LABELS", "VALIDATION", "cifar"]

LABELS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
VALIDATION = 250  # the last pictures of each class of the training part are not learnt from


def cifar(root: Path, split: str) -> tuple[Array, Array]:
    """uint8 `(N, 32, 32, 3)` and int64 `(N,)`, by class, then file name.

    Args:
        root: the folder with `train.tar.gz` and `test_a.tar.gz`.
        split: `train`, `validation` (out of the training part) or `test`.

    Raises:
        FileNotFoundError: the tar is not there.
    """
    files: dict[str, bytes] = {}
    with tarfile.open(root / ("test_a.tar.gz" if split == "test" else "train.tar.gz")) as tar:
        for member in tar:
            if member.name.endswith(".jpg") and (file := tar.extractfile(member)) is not None:
                files[member.name] = file.read()
    classes: list[list[str]] = [[] for _ in LABELS]
    for name in sorted(files):
        classes[LABELS.index(Path(name).parent.name)].append(name)
    if split != "test":
        part = slice(-VALIDATION, None) if split == "validation" else slice(None, -VALIDATION)
        classes = [names[part] for names in classes]
    images = np.stack([decode(files[name]) for names in classes for name in names])
    return images, np.repeat(np.arange(len(LABELS)), [len(names) for names in classes])

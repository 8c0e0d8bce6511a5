"""YOLO text labels: one file a picture, one line an object, sides in fractions of the picture's."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eval.data.dataset import Dataset, Sample
from eval.data.files import existing_folder, pictures
from eval.errors import DatasetError
from eval.metrics.truth import Objects
from models.decoding import UnreadableImage, decode
from models.labels import MOST_CLASSES, UnreadableLabels, class_names, in_order
from models.results import Array

__all__ = ["yolo_data"]


def yolo_data(argument: str) -> Dataset:
    """`yolo:IMAGES,LABELS[,NAMES]`: pictures, and a .txt of the same stem with `class cx cy w h` lines.

    A picture without a label file has no objects, as the format says. Lines with more numbers are the
    outline of an object, x and y in turn; its box counts. NAMES is a file that
    `models.labels.class_names` reads, such as `data.yaml`; without it classes are the model's own numbers.

    Raises:
        DatasetError: a folder is missing, or a line is not what it should be; names file and line.
    """
    parts = argument.split(",")
    if len(parts) not in (2, 3):
        raise DatasetError(f"yolo must be yolo:IMAGES,LABELS or yolo:IMAGES,LABELS,NAMES, got {argument}")
    images, folder = existing_folder(parts[0]), existing_folder(parts[1])
    found = pictures(images)
    rows = {path.stem: _rows(path) for p in found if (path := folder / f"{p.stem}.txt").is_file()}
    if not rows:
        raise DatasetError(f"{folder} must hold a .txt for the images of {images}, has none of them")
    labels = _labels(parts[2:])
    highest = max((int(own[:, 0].max(initial=-1)) for own in rows.values()), default=-1)
    if labels and highest >= len(labels):
        raise DatasetError(f"{parts[2]} names {len(labels)} classes, the labels use class {highest}")
    names = labels or tuple(f"class {i}" for i in range(highest + 1))

    def load(index: int) -> Sample:
        path = found[index]
        file = path.read_bytes()
        try:
            height, width = decode(file).shape[:2]
        except UnreadableImage as error:
            raise DatasetError(f"{path} must be a picture: {error}") from error
        own = rows.get(path.stem, np.zeros((0, 5)))
        boxes = own[:, 1:] * np.array([width, height] * 2)
        return Sample(path.name, file, Objects(boxes, own[:, 0].astype(np.int64), image=path.stem))

    ids = [path.name for path in found]
    return Dataset(f"yolo:{images.name}", "detection", names, ids, load, numbered=not labels)


def _labels(named: list[str]) -> tuple[str, ...]:
    try:
        return in_order(class_names(Path(named[0]))) if named else ()
    except UnreadableLabels as error:
        raise DatasetError(str(error)) from error


def _rows(path: Path) -> Array:
    """float64 `(N, 5)`: class, then x1, y1, x2, y2 in fractions of the picture."""
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        if not line.strip():
            continue
        try:
            rows.append(_row(np.array(line.split(), np.float64)))
        except ValueError as error:
            raise DatasetError(f"{path}:{number}: {error}") from error
    return np.array(rows, np.float64).reshape(-1, 5)


def _row(told: Array) -> list[float]:
    outline = len(told) >= 7 and len(told) % 2 == 1
    if len(told) != 5 and not outline:
        raise ValueError(
            f"a line must be `class cx cy w h` or a class and an outline, got {len(told)} numbers"
        )
    if not np.isfinite(told).all() or not 0 <= told[0] < MOST_CLASSES or told[0] != int(told[0]):
        raise ValueError(
            f"the class must be a whole number below {MOST_CLASSES}, the rest finite, got {told.tolist()}"
        )
    if outline:
        points = told[1:].reshape(-1, 2)
        return [told[0], *points.min(axis=0), *points.max(axis=0)]
    _, x, y, width, height = told.tolist()
    if min(width, height) < 0 or max(map(abs, told[1:])) > 2:
        raise ValueError(f"numbers must be fractions of the picture's sides, got {told.tolist()}")
    return [told[0], x - width / 2, y - height / 2, x + width / 2, y + height / 2]

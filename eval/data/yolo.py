"""YOLO text labels: one file a picture, one line an object, sides in fractions of the picture's."""

from __future__ import annotations

from array import array
from pathlib import Path

import numpy as np

from eval.data.columns import ObjectTable
from eval.data.dataset import Dataset, Sample
from eval.data.files import all_pictures, existing_folder
from eval.data.rle import from_polygons
from eval.errors import DatasetError
from eval.metrics.truth import Objects
from models.decoding import UnreadableImage, read_picture
from models.labels import MOST_CLASSES, UnreadableLabels, class_names, in_order
from models.results import Array, Shape

__all__ = ["yolo_data"]

MASKS = "masks"


def yolo_data(argument: str) -> Dataset:
    """`yolo:IMAGES,LABELS[,NAMES][,masks]`: pictures, a .txt of the same stem with `class cx cy w h` lines.

    A picture without a label file has no objects, as the format says; folders below IMAGES are those below
    LABELS. Lines with more numbers are the outline of an object, x and y in turn; its box counts, and with
    `masks` its pixels, by the rule of COCO's polygons (a line with a box alone is that rectangle). NAMES is
    a file that `models.labels.class_names` reads, such as `data.yaml`; without it classes are the model's
    own numbers.

    Raises:
        DatasetError: a folder is missing, or a line is not what it should be; names file and line.
    """
    parts = argument.split(",")
    masks = parts[2:][-1:] == [MASKS]
    named = parts[2 : len(parts) - masks]
    if len(parts) < 2 or len(named) > 1:
        raise DatasetError(f"yolo must be yolo:IMAGES,LABELS or yolo:IMAGES,LABELS,NAMES, got {argument}")
    images, folder = existing_folder(parts[0]), existing_folder(parts[1])
    ids = list(all_pictures(images))
    table, highest, bare = _read(ids, folder)
    if len(bare) == len(ids):
        raise DatasetError(f"{folder} must hold a .txt for the images of {images}, has none of them")
    labels = _labels(named)
    if labels and highest >= len(labels):
        raise DatasetError(f"{named[0]} names {len(labels)} classes, the labels use class {highest}")
    names = labels or tuple(f"class {i}" for i in range(highest + 1))

    def load(index: int) -> Sample:
        path = images / ids[index]
        file = path.read_bytes()
        try:  # its size as it is shown; a JPEG needs few of its pixels for that
            height, width = read_picture(file, wanted=lambda _: (1, 1)).shape
        except UnreadableImage as error:
            raise DatasetError(f"{path} must be a picture: {error}") from error
        told = _lines(_beside(folder, ids[index])) if masks else []
        covers = _masks(told, (height, width)) if masks else None
        own = table.objects(index, path.stem)
        boxes = own.boxes * np.array([width, height] * 2)
        return Sample(ids[index], file, Objects(boxes, own.labels, masks=covers, image=path.stem))

    remarks = (
        (f"{folder} has no .txt for {len(bare)} pictures, such as {bare[0]}: they have no objects",)
        if bare
        else ()
    )
    return Dataset(f"yolo:{images.name}", "detection", names, ids, load, not labels, remarks=remarks)


def _beside(folder: Path, name: str) -> Path:
    return folder / Path(name).with_suffix(".txt")


def _read(ids: list[str], folder: Path) -> tuple[ObjectTable, int, list[str]]:
    """Boxes in fractions of their pictures, the highest class, and the pictures without a file."""
    picture, numbers, bare = array("i"), array("d"), []
    for index, name in enumerate(ids):
        path = _beside(folder, name)
        if not path.is_file():
            bare.append(name)
            continue
        for told in _lines(path):
            picture.append(index)
            numbers.extend(_box(told))
    rows = np.array(numbers).reshape(-1, 5)
    highest = int(rows[:, 0].max(initial=-1))
    return ObjectTable(picture, rows[:, 0], rows[:, 1:], pictures=len(ids)), highest, bare


def _labels(named: list[str]) -> tuple[str, ...]:
    try:
        return in_order(class_names(Path(named[0]))) if named else ()
    except UnreadableLabels as error:
        raise DatasetError(str(error)) from error


def _lines(path: Path) -> list[Array]:
    """float64 numbers of each line that has any: a class with a box or an outline."""
    found = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    for number, line in enumerate(lines, start=1):
        try:
            if line.strip():
                found.append(_checked(np.array(line.split(), np.float64)))
        except ValueError as error:
            raise DatasetError(f"{path}:{number}: {error}") from error
    return found


def _checked(told: Array) -> Array:
    if len(told) != 5 and not _is_outline(told):
        raise ValueError(
            f"a line must be `class cx cy w h` or a class and an outline, got {len(told)} numbers"
        )
    if not np.isfinite(told).all() or not 0 <= told[0] < MOST_CLASSES or told[0] != int(told[0]):
        raise ValueError(
            f"the class must be a whole number below {MOST_CLASSES}, the rest finite, got {told.tolist()}"
        )
    if max(map(abs, told[1:])) > 2 or (len(told) == 5 and min(told[3:]) < 0):
        raise ValueError(f"numbers must be fractions of the picture's sides, got {told.tolist()}")
    return told


def _is_outline(told: Array) -> bool:
    return len(told) >= 7 and len(told) % 2 == 1


def _box(told: Array) -> list[float]:
    """Class, then x1, y1, x2, y2 in fractions of the picture."""
    if _is_outline(told):
        points = told[1:].reshape(-1, 2)
        return [told[0], *points.min(axis=0), *points.max(axis=0)]
    label, x, y, width, height = told.tolist()
    return [label, x - width / 2, y - height / 2, x + width / 2, y + height / 2]


def _masks(lines: list[Array], size: Shape) -> Array:
    """bool `(N, H, W)`."""
    masks = np.zeros((len(lines), *size), bool)
    for mask, told in zip(masks, lines, strict=True):
        _, x1, y1, x2, y2 = _box(told)
        corners = told[1:] if _is_outline(told) else np.array([x1, y1, x1, y2, x2, y2, x2, y1])
        mask[:] = from_polygons([corners * np.tile([size[1], size[0]], len(corners) // 2)], size)
    return masks

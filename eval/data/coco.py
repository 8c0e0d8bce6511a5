"""COCO annotations (Lin et al. 2014, arXiv 1405.0312): objects of many pictures in one JSON file.

The file is read once, element by element, into columns; masks stay in it until their picture is asked for.
"""

from __future__ import annotations

import json
import mmap
import re
from array import array
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from eval.data.columns import ObjectTable, Tags
from eval.data.dataset import Dataset, Sample
from eval.data.files import existing_folder
from eval.data.rle import mask_of
from eval.errors import DatasetError
from models.results import Array

__all__ = ["coco_data"]

MASKS = "masks"
KEYS = ("images", "categories", "annotations")
BYTE_ORDER = "\xef\xbb\xbf"  # UTF-8's mark, as latin-1 reads it
_SPACE = re.compile(r"[ \t\n\r]*")
_DECODER = json.JSONDecoder()


def coco_data(argument: str) -> Dataset:
    """`coco:ANNOTATIONS.json[,IMAGES[,masks]]`: COCO instances and the folder of their images.

    Without IMAGES, they lie beside the file. With `masks`, the truth has them: polygons, rasterised as
    pycocotools does, and run lengths, as numbers or compressed. Classes are in the order of their ids.
    The scalar fields of an image (`license`, `width`, your own) are its tags.

    Raises:
        DatasetError: a file is missing, or an element is not what it should be; names file and line.
    """
    first, *rest = argument.split(",")
    path = Path(first)
    root = existing_folder(rest[0] if rest and rest[0] else path.parent)
    if rest[1:] not in ([], [MASKS]):
        raise DatasetError(f"coco must be coco:JSON,IMAGES or coco:JSON,IMAGES,masks, got {argument}")
    found = _read(path, spans=bool(rest[1:]))
    order = sorted(range(len(found.ids)), key=lambda i: found.ids[i])
    table = found.table(path, order)
    names = [found.files[i] for i in order]
    missing = [name for name in names if not (root / name).is_file()]
    if missing:
        raise DatasetError(f"{root} lacks {len(missing)} images of {path.name}, first {missing[0]}")

    def load(index: int) -> Sample:
        at = order[index]
        masks = found.masks(path, table.rows(index), at) if rest[1:] else None
        truth = table.objects(index, _padded(found.ids[at]), masks)
        return Sample(names[index], (root / names[index]).read_bytes(), truth, found.tags[at])

    labels = tuple(name for _, name in sorted(found.categories.items()))
    return Dataset(f"coco:{path.name}", "detection", labels, names, load)


def _padded(number: int | str) -> str:
    return f"{number:012d}" if isinstance(number, int) else number


@dataclass(slots=True)
class _Columns:
    """What the file says, in its own order; images by the number of their first mention."""

    ids: list[Any] = field(default_factory=list)
    files: list[str] = field(default_factory=list)
    tags: Tags = field(default_factory=Tags)
    categories: dict[Any, str] = field(default_factory=dict)
    known: dict[Any, Any] = field(default_factory=dict)
    image: list[Any] = field(default_factory=list)
    category: list[Any] = field(default_factory=list)
    boxes: array[float] = field(default_factory=lambda: array("d"))
    areas: array[float] = field(default_factory=lambda: array("d"))
    crowd: array[int] = field(default_factory=lambda: array("b"))
    spans: array[int] = field(default_factory=lambda: array("q"))

    def images(self, told: Mapping[str, Any]) -> None:
        number, name = _id(told, "id"), told["file_name"]
        if not isinstance(name, str) or not name or "\0" in name:
            raise ValueError(f"file_name must be a path, got {name!r}")
        self.ids.append(number)
        self.files.append(name)
        self.tags.add(
            {k: v for k, v in told.items() if k not in ("id", "file_name") and not k.endswith("_url")}
        )

    def classes(self, told: Mapping[str, Any]) -> None:
        number, name = _id(told, "id"), told["name"]
        if not isinstance(name, str) or number in self.categories:
            raise ValueError(f"a category must have a name and an id of its own, got {told!r:.80}")
        self.categories[number] = name

    def annotations(self, told: Mapping[str, Any]) -> None:
        x, y, width, height = (float(v) for v in told["bbox"])
        area = told.get("area")
        area = width * height if area is None else float(area)
        if not np.isfinite([x, y, x + width, y + height, area]).all():
            raise ValueError(f"bbox and area must be finite, got {told['bbox']} and {area}")
        for column, key in ((self.image, "image_id"), (self.category, "category_id")):
            number = _id(told, key)
            column.append(self.known.setdefault(number, number))
        self.boxes.extend((x, y, x + width, y + height))
        self.areas.append(area)
        self.crowd.append(bool(told.get("iscrowd", 0)))

    def table(self, path: Path, order: list[int]) -> ObjectTable:
        """Objects by picture; frees what they were told with."""
        place = {self.ids[at]: index for index, at in enumerate(order)}
        number = {key: i for i, key in enumerate(sorted(self.categories))}
        if len(place) < len(order):
            raise DatasetError(f"{path}: every image must have an id of its own, got one twice")
        for what, known, told in (("image", place, self.image), ("category", number, self.category)):
            lost = next((i for i, key in enumerate(told) if key not in known), None)
            if lost is not None:
                raise DatasetError(
                    f"{path}: annotation {lost} names the {what} {told[lost]!r}, which is not there"
                )
        pictures = np.fromiter((place[key] for key in self.image), np.int64, len(self.image))
        labels = np.fromiter((number[key] for key in self.category), np.int32, len(self.category))
        boxes, areas, crowd = np.array(self.boxes), np.array(self.areas), np.array(self.crowd, bool)
        self.image, self.category, self.known = [], [], {}
        self.boxes, self.areas, self.crowd = array("d"), array("d"), array("b")
        return ObjectTable(pictures, labels, boxes, areas, crowd, pictures=len(order))

    def masks(self, path: Path, rows: Array, at: int) -> Array:
        """bool `(N, H, W)`, read from their places in the file."""
        told = self.tags[at]
        try:
            size = int(told["height"]), int(told["width"])
        except (KeyError, ValueError) as error:
            raise DatasetError(
                f"{path}: the image {self.files[at]} must tell its height and width"
            ) from error
        row = -1
        try:
            masks = np.zeros((len(rows), *size), bool)
            with path.open("rb") as file:
                for mask, row in zip(masks, rows.tolist(), strict=True):
                    start, end = self.spans[2 * row : 2 * row + 2]
                    file.seek(start)
                    mask[:] = mask_of(json.loads(file.read(end - start)).get("segmentation"), size)
        except (OSError, ValueError, TypeError, AttributeError, MemoryError) as error:
            raise DatasetError(f"{path}: annotation {row}, of {self.files[at]}: {error}") from error
        return masks


def _id(told: Mapping[str, Any], key: str) -> int | str:
    number = told[key]
    if not isinstance(number, int | str):
        raise TypeError(f"{key} must be a number, got {number!r:.40}")
    return number


def _read(path: Path, *, spans: bool) -> _Columns:
    """All of the file but its masks; of those, where they are where they will be asked for."""
    found = _Columns()
    take: dict[str, Callable[[Mapping[str, Any]], None]] = {
        "images": found.images, "categories": found.classes, "annotations": found.annotations
    }  # fmt: skip
    start = 0
    try:
        # A letter for each byte: places in the text are places in the file.
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as told_in:
            text = str(told_in, "latin-1")
        for key, start, end, told in _elements(text):
            take[key](told)
            if spans and key == "annotations":
                found.spans.extend((start, end))
        absent = [
            name for name, there in (("images", found.ids), ("categories", found.categories)) if not there
        ]
        if absent:
            raise ValueError(f"it has no {absent[0]}")
        sorted(found.ids), sorted(found.categories)  # raises TypeError: text and numbers have no order
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        told_there = isinstance(error, json.JSONDecodeError) or not start
        line = "" if told_there else f":{text.count(chr(10), 0, start) + 1}"
        what = f"{type(error).__name__} {error}" if isinstance(error, KeyError) else str(error)
        raise DatasetError(f"{path}{line} must be COCO annotations: {what}") from error
    return found


def _elements(text: str) -> Iterator[tuple[str, int, int, Any]]:
    """(key, start, end, element) of the lists at the top that matter, one element at a time."""
    at = _expect(text, 3 if text.startswith(BYTE_ORDER) else 0, "{")
    while True:
        key, at = _DECODER.raw_decode(text, _skip(text, at))
        at = _skip(text, _expect(text, at, ":"))
        if key in KEYS and text[at : at + 1] == "[":
            at = _skip(text, at + 1)
            while text[at : at + 1] != "]":
                element, end = _DECODER.raw_decode(text, at)
                if not text.isascii() and not text[at:end].isascii():
                    element = json.loads(text[at:end].encode("latin-1"))
                yield key, at, end, element
                at = _skip(text, end)
                if text[at : at + 1] != "]":
                    at = _skip(text, _expect(text, at, ","))
            at += 1
        elif key in KEYS:
            raise ValueError(f"{key} must be a list")
        else:
            _, at = _DECODER.raw_decode(text, at)
        at = _skip(text, at)
        if text[at : at + 1] == "}":
            return
        at = _expect(text, at, ",")


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at


def _expect(text: str, at: int, sign: str) -> int:
    at = _skip(text, at)
    if text[at : at + 1] != sign:
        raise ValueError(f"must have {sign!r} at byte {at}, got {text[at : at + 1]!r}")
    return at + 1

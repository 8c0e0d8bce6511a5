"""Pictures listed in a table: CSV, or a JSON object on each line."""

from __future__ import annotations

import csv
import json
from array import array
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from eval.data.columns import ObjectTable, Tags
from eval.data.dataset import Dataset, Sample
from eval.errors import DatasetError
from eval.metrics.truth import Objects
from models.card import TaskName
from models.labels import UnreadableLabels, in_order
from models.results import Array

__all__ = ["lines_data", "table_data"]

TAKEN = ("file", "label", "class_index", "objects")  # what is no tag


def table_data(argument: str) -> Dataset:
    """`csv:FILE`: columns `file` (relative to the table) and `label`, the class name; others are tags.

    Classes are matched by name, or by the number in a column `class_index` where there is one: the
    model's own (see `Dataset.in_classes_of`).

    Raises:
        DatasetError: the table or a picture is missing, or a row is not whole; names file and line.
    """
    path = Path(argument)
    return _classified("csv", path, _csv(path))


def lines_data(argument: str, task: TaskName) -> Dataset:
    """`jsonl:FILE`: a JSON object on each line, `file` relative to it.

    Classification, with `class_index` as for `csv:` if you like:

        {"file": "a.jpg", "label": "cat", "camera": "north"}

    Detection; boxes are x1, y1, x2, y2 in pixels of the picture as it is shown, `area` and `crowd` may
    be left out, and a picture with nothing in it has an empty list:

        {"file": "a.jpg", "objects": [{"label": "cat", "box": [10, 20, 110, 220], "crowd": false}]}

    Whatever else a line says in text and numbers is its tags.

    Raises:
        DatasetError: a line is not what it should be, or its picture is not there; names file and line.
    """
    path = Path(argument)
    if task == "segmentation":
        raise DatasetError("jsonl has no label maps: use masks:IMAGES,MASKS for segmentation")
    return _classified("jsonl", path, _json(path)) if task == "classification" else _detected(path)


def _csv(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line and row."""
    at = 1
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restkey="")
            for row in reader:
                at = reader.line_num
                if "" in row:
                    raise ValueError(f"every row must have {len(reader.fieldnames or ())} columns, got more")
                yield at, row
    except OSError as error:
        raise DatasetError(f"csv must name a file, got {path}: {error.strerror}") from error
    except (ValueError, csv.Error) as error:
        raise DatasetError(f"{path}:{at}: {error}") from error


def _json(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Line and object; empty lines are passed over."""
    at = 0
    try:
        with path.open(encoding="utf-8-sig") as file:
            for at, line in enumerate(file, start=1):
                if line.strip():
                    told = json.loads(line)
                    if not isinstance(told, dict):
                        raise TypeError(f"must be a JSON object, got {line.strip()[:40]}")
                    yield at, told
    except OSError as error:
        raise DatasetError(f"jsonl must name a file, got {path}: {error.strerror}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise DatasetError(f"{path}:{at}: {error}") from error


def _file(path: Path, line: int, told: Mapping[str, Any]) -> str:
    name = told.get("file")
    if not isinstance(name, str) or not name or "\0" in name:
        raise DatasetError(
            f"{path}:{line}: every row must have a file and what it shows, got the file {name!r}"
        )
    if not (path.parent / name).is_file():
        raise DatasetError(f"{path}:{line}: there is no file {name}")
    return name


def _classified(kind: str, path: Path, rows: Iterator[tuple[int, dict[str, Any]]]) -> Dataset:
    """Pictures with one class each."""
    files, tags, known = [], Tags(), dict[str, int]()
    own, numbers = array("i"), array("q")
    for line, told in rows:
        name, label = told.get("label"), str(told.get("class_index", ""))
        if not isinstance(name, str) or not name:
            raise DatasetError(
                f"{path}:{line}: every row must have a file and a label, got the label {name!r}"
            )
        files.append(_file(path, line, told))
        own.append(known.setdefault(name, len(known)))
        numbers.append(min(int(label[:18]), 1 << 40) if label.isascii() and label.isdecimal() else -1)
        tags.add({key: value for key, value in told.items() if key not in TAKEN})
    if not files:
        raise DatasetError(f"{path} has no rows; it must have a file and a label in each")
    labels, classes = tuple(sorted(known)), np.array(own, np.int32)
    numbered = min(numbers) >= 0
    if numbered:
        labels, classes = _numbered(path, list(known), own, numbers)
    else:
        number_of = {name: number for number, name in enumerate(labels)}
        classes = np.array([number_of[name] for name in known], np.int32)[classes]

    def load(index: int) -> Sample:
        name = files[index]
        return Sample(name, (path.parent / name).read_bytes(), int(classes[index]), tags[index])

    return Dataset(f"{kind}:{path}", "classification", labels, files, load, numbered, classes)


def _numbered(
    path: Path, names: Sequence[str], own: Sequence[int], numbers: Sequence[int]
) -> tuple[tuple[str, ...], Array]:
    try:
        labels = in_order({number: names[at] for number, at in zip(numbers, own, strict=True)})
    except UnreadableLabels as error:
        raise DatasetError(f"{path}: {error}") from error
    return labels, np.array(numbers, np.int32)


def _detected(path: Path) -> Dataset:
    """Pictures with any number of objects."""
    files, tags, known = [], Tags(), dict[str, int]()
    picture, label, numbers, crowd = array("i"), array("i"), array("d"), array("b")
    for line, told in _json(path):
        files.append(_file(path, line, told))
        objects = told.get("objects")
        if not isinstance(objects, list):
            raise DatasetError(f"{path}:{line}: `objects` must be a list, got {objects!r:.40}")
        for each in objects:
            try:
                name, row, many = _object(each)
            except (TypeError, ValueError, OverflowError) as error:
                raise DatasetError(f"{path}:{line}: {error}") from error
            picture.append(len(files) - 1)
            label.append(known.setdefault(name, len(known)))
            numbers.extend(row)
            crowd.append(many)
        tags.add({key: value for key, value in told.items() if key not in TAKEN})
    if not known:
        raise DatasetError(f"{path} names no object; it must have a file and a list of objects in each line")
    labels = tuple(sorted(known))
    number_of = {name: number for number, name in enumerate(labels)}
    rows = np.array(numbers).reshape(-1, 5)
    own = np.array([number_of[name] for name in known])[np.array(label)]
    table = ObjectTable(picture, own, rows[:, :4], rows[:, 4], crowd, pictures=len(files))

    def load(index: int) -> Sample:
        name = files[index]
        truth: Objects = table.objects(index, name)
        return Sample(name, (path.parent / name).read_bytes(), truth, tags[index])

    return Dataset(f"jsonl:{path}", "detection", labels, files, load)


def _object(told: Any) -> tuple[str, tuple[float, ...], bool]:
    """Name, box with area, crowd."""
    name, box = (told.get("label"), told.get("box")) if isinstance(told, dict) else (None, None)
    if not isinstance(name, str) or not name or not isinstance(box, list) or len(box) != 4:
        raise ValueError(f"an object must have a label and a box of four numbers, got {told!r:.80}")
    x1, y1, x2, y2 = (float(side) for side in box)
    area = float(told.get("area", (x2 - x1) * (y2 - y1)))
    if not np.isfinite([x1, y1, x2, y2, area]).all():
        raise ValueError(f"a box must be finite, got {box}")
    return name, (x1, y1, x2, y2, area), bool(told.get("crowd", False))

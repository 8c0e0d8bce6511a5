"""Data on disk: folder per class, a CSV table, COCO annotations."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from eval.data.dataset import Dataset, Sample
from eval.errors import DatasetError
from eval.metrics.truth import Objects
from models.labels import UnreadableLabels, in_order

__all__ = ["PICTURES", "coco_data", "existing_folder", "folder_data", "pictures", "table_data"]

PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}


def folder_data(argument: str) -> Dataset:
    """`folder:PATH`: one sub-folder of images per class, named after it; classes in sorted order."""
    root = existing_folder(argument)
    labels = tuple(sorted(p.name for p in root.iterdir() if p.is_dir()))
    if not labels:
        raise DatasetError(f"{root} has no class folders; it must hold one folder of images per class")
    found = [(path, label) for label, name in enumerate(labels) for path in pictures(root / name)]
    if not found:
        raise DatasetError(f"{root} holds no images in its class folders")

    def load(index: int) -> Sample:
        path, label = found[index]
        return Sample(_id(root, path), path.read_bytes(), label)

    return Dataset(f"folder:{root}", "classification", labels, [_id(root, p) for p, _ in found], load)


def table_data(argument: str) -> Dataset:
    """`csv:FILE`: columns `file` (relative to the table) and `label`, the class name.

    Classes are matched by name, or by the number in a column `class_index` where there is one: the
    model's own (see `Dataset.in_classes_of`).
    """
    path = Path(argument)
    if not path.is_file():
        raise DatasetError(f"csv must name a file, got {path}")
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    for number, row in enumerate(rows, start=2):
        if not row.get("file") or not row.get("label"):
            raise DatasetError(f"{path}:{number}: every row must have a file and a label")
        if not (path.parent / row["file"]).is_file():
            raise DatasetError(f"{path}:{number}: there is no file {row['file']}")
    if not rows:
        raise DatasetError(f"{path} has no rows; it must have the columns file and label")
    labels = tuple(dict.fromkeys(sorted(r["label"] for r in rows)))
    number_of = {label: i for i, label in enumerate(labels)}
    numbered = all((row.get("class_index") or "").isdecimal() for row in rows)
    if numbered:
        try:
            labels = in_order({int(row["class_index"]): row["label"] for row in rows})
        except UnreadableLabels as error:
            raise DatasetError(f"{path}: {error}") from error

    def load(index: int) -> Sample:
        row = rows[index]
        label = int(row["class_index"]) if numbered else number_of[row["label"]]
        return Sample(row["file"], (path.parent / row["file"]).read_bytes(), label)

    ids = [row["file"] for row in rows]
    return Dataset(f"csv:{path}", "classification", labels, ids, load, numbered=numbered)


def coco_data(argument: str) -> Dataset:
    """`coco:ANNOTATIONS.json,IMAGES`: COCO instances and the folder of their images."""
    first, _, second = argument.partition(",")
    path, root = Path(first), existing_folder(second or str(Path(first).parent))
    try:
        told = json.loads(path.read_bytes())
        categories = sorted(told["categories"], key=lambda c: c["id"])
        images = sorted(told["images"], key=lambda i: i["id"])
        annotations = told["annotations"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DatasetError(f"{path} must be COCO annotations: {type(error).__name__} {error}") from error
    number_of = {category["id"]: i for i, category in enumerate(categories)}
    own: dict[Any, list[dict[str, Any]]] = {image["id"]: [] for image in images}
    for number, annotation in enumerate(annotations):
        if annotation.get("image_id") not in own or annotation.get("category_id") not in number_of:
            raise DatasetError(f"{path}: annotation {number} names an image or a category that is not there")
        own[annotation["image_id"]].append(annotation)
    missing = [image["file_name"] for image in images if not (root / image["file_name"]).is_file()]
    if missing:
        raise DatasetError(f"{root} lacks {len(missing)} images of {path.name}, first {missing[0]}")

    def load(index: int) -> Sample:
        image = images[index]
        truth = _objects(own[image["id"]], number_of, f"{image['id']:012d}")
        return Sample(image["file_name"], (root / image["file_name"]).read_bytes(), truth)

    labels = tuple(category["name"] for category in categories)
    return Dataset(f"coco:{path.name}", "detection", labels, [i["file_name"] for i in images], load)


def _objects(annotations: list[dict[str, Any]], number_of: dict[Any, int], image: str) -> Objects:
    boxes = np.array([a["bbox"] for a in annotations], np.float64).reshape(-1, 4)
    boxes[:, 2:] += boxes[:, :2]
    return Objects(
        boxes,
        np.array([number_of[a["category_id"]] for a in annotations], np.int64),
        np.array([a.get("area", a["bbox"][2] * a["bbox"][3]) for a in annotations], np.float64),
        np.array([bool(a.get("iscrowd", 0)) for a in annotations], bool),
        image=image,
    )


def existing_folder(argument: str | Path) -> Path:
    """The folder of that name. Raises DatasetError where there is none."""
    path = Path(argument)
    if not path.is_dir():
        raise DatasetError(f"there must be a folder {path}; got none")
    return path


def pictures(folder: Path) -> list[Path]:
    """The files with a picture's name in a folder, sorted."""
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURES)


def _id(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()

"""Data on disk: folder per class, a CSV table, COCO annotations, mask folders."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from eval.data.dataset import Dataset, Sample
from eval.errors import DatasetError
from eval.metrics.truth import Objects
from models.decoding import UnreadableImage, decode_labels

__all__ = ["coco_data", "folder_data", "masks_data", "table_data"]

PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}


def folder_data(argument: str) -> Dataset:
    """`folder:PATH`: one sub-folder of images per class, named after it; classes in sorted order."""
    root = _folder(argument)
    labels = tuple(sorted(p.name for p in root.iterdir() if p.is_dir()))
    if not labels:
        raise DatasetError(f"{root} has no class folders; it must hold one folder of images per class")
    found = [(path, label) for label, name in enumerate(labels) for path in _pictures(root / name)]
    if not found:
        raise DatasetError(f"{root} holds no images in its class folders")

    def load(index: int) -> Sample:
        path, label = found[index]
        return Sample(_id(root, path), path.read_bytes(), label)

    return Dataset(f"folder:{root}", "classification", labels, [_id(root, p) for p, _ in found], load)


def table_data(argument: str) -> Dataset:
    """`csv:FILE`: columns `file` (relative to the table) and `label`, the class name.

    Classes are matched by name, or by the number in a column `class_index` where there is one:
    the model's own.
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
        number_of = {row["label"]: int(row["class_index"]) for row in rows}
        labels = _numbered(number_of)

    def load(index: int) -> Sample:
        row = rows[index]
        return Sample(row["file"], (path.parent / row["file"]).read_bytes(), number_of[row["label"]])

    ids = [row["file"] for row in rows]
    return Dataset(f"csv:{path}", "classification", labels, ids, load, numbered=numbered)


def _numbered(number_of: dict[str, int]) -> tuple[str, ...]:
    """Names by number; numbers nobody uses are called by it, so that a model's own order is kept."""
    names = {number: name for name, number in number_of.items()}
    return tuple(names.get(i, f"class {i}") for i in range(max(names) + 1))


def coco_data(argument: str) -> Dataset:
    """`coco:ANNOTATIONS.json,IMAGES`: COCO instances and the folder of their images."""
    first, _, second = argument.partition(",")
    path, root = Path(first), _folder(second or str(Path(first).parent))
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


def masks_data(argument: str) -> Dataset:
    """`masks:IMAGES,MASKS[,NAMES.txt]`: images, and index masks (PNG) of the same stem.

    NAMES holds one class name a line; without it classes are called by their number. 255 does
    not count.
    """
    parts = argument.split(",")
    if len(parts) not in (2, 3):
        raise DatasetError(
            f"masks must be masks:IMAGES,MASKS or masks:IMAGES,MASKS,NAMES.txt, got {argument}"
        )
    images, masks = _folder(parts[0]), _folder(parts[1])
    found = _pictures(images)
    lacking = [path.name for path in found if not (masks / f"{path.stem}.png").is_file()]
    if lacking or not found:
        raise DatasetError(
            f"{masks} must hold a .png for every image of {images}, lacks {lacking[:1] or 'all'}"
        )
    names = Path(parts[2]).read_text(encoding="utf-8").split("\n") if len(parts) == 3 else []
    labels = tuple(name.strip() for name in names if name.strip())

    def load(index: int) -> Sample:
        path = found[index]
        mask = masks / f"{path.stem}.png"
        try:
            expected = decode_labels(mask.read_bytes())
        except UnreadableImage as error:
            raise DatasetError(f"{mask} must be an index mask: {error}") from error
        return Sample(path.name, path.read_bytes(), expected)

    if not labels:
        maps = (np.asarray(load(i).expected) for i in range(len(found)))
        highest = max(int(m[m != 255].max(initial=0)) for m in maps)
        labels = tuple(f"class {i}" for i in range(highest + 1))
    return Dataset(f"masks:{images.name}", "segmentation", labels, [p.name for p in found], load)


def _folder(argument: str) -> Path:
    path = Path(argument)
    if not path.is_dir():
        raise DatasetError(f"there must be a folder {path}; got none")
    return path


def _pictures(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.suffix.lower() in PICTURES)


def _id(root: Path, path: Path) -> str:
    return path.relative_to(root).as_posix()

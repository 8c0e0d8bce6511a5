"""Pictures in folders: which files they are, and a folder per class."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path, PurePath

import numpy as np

from eval.data.dataset import Dataset, Sample
from eval.errors import DatasetError

__all__ = ["PICTURES", "all_pictures", "existing_folder", "folder_data", "pictures"]

PICTURES = {".jpg", ".jpeg", ".png", ".webp", ".bmp", ".gif", ".tif", ".tiff"}
SPLITS = {"train", "val", "valid", "validation", "test", "training", "testing", "trainval"}


def folder_data(argument: str) -> Dataset:
    """`folder:PATH`: one sub-folder of images per class, named after it; classes in sorted order.

    Pictures may lie in folders further down: the first folder names the class, the tag `parent` says
    where below PATH the picture is. Names that begin with a dot are passed over, links to folders further
    down are not followed.

    Raises:
        DatasetError: there are no pictures in class folders, or the folders are splits, not classes.
    """
    root = existing_folder(argument)
    labels = tuple(sorted(p.name for p in root.iterdir() if p.is_dir() and not p.name.startswith(".")))
    if not labels:
        raise DatasetError(f"{root} has no class folders; it must hold one folder of images per class")
    if {label.lower() for label in labels} <= SPLITS:
        raise DatasetError(
            f"{root} holds {', '.join(labels)}: name one of them, such as folder:{root / labels[0]}"
        )
    ids: list[str] = []
    classes: list[int] = []
    for label, name in enumerate(labels):
        own = [f"{name}/{found}" for found in all_pictures(root / name)]
        ids += own
        classes += [label] * len(own)
    if not ids:
        raise DatasetError(f"{root} holds no images in its class folders")
    numbers = np.array(classes, np.int32)

    def load(index: int) -> Sample:
        name = ids[index]
        return Sample(
            name, (root / name).read_bytes(), int(numbers[index]), {"parent": name.rpartition("/")[0]}
        )

    stray = len(pictures(root))
    remarks = (f"{root}: {stray} pictures lie in no class folder and were left out",) if stray else ()
    return Dataset(f"folder:{root}", "classification", labels, ids, load, classes=numbers, remarks=remarks)


def existing_folder(argument: str | Path) -> Path:
    """The folder of that name. Raises DatasetError where there is none."""
    path = Path(argument)
    if not path.is_dir():
        raise DatasetError(f"there must be a folder {path}; got none")
    return path


def pictures(folder: Path) -> list[Path]:
    """The files with a picture's name in a folder, sorted; not those an archiver hid beside them."""
    return sorted(p for p in folder.iterdir() if _is_picture(p.name))


def all_pictures(folder: Path) -> Iterator[str]:
    """The same in a folder and all below it, as sorted paths with `/` from there."""
    found: list[str] = []
    for place, below, names in os.walk(folder):
        below[:] = [name for name in below if not name.startswith(".")]
        inside = Path(place).relative_to(folder)
        found += [(inside / name).as_posix() for name in names if _is_picture(name)]
    yield from sorted(found)


def _is_picture(name: str) -> bool:
    return not name.startswith(".") and PurePath(name).suffix.lower() in PICTURES

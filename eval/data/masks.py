"""Images beside index masks: semantic segmentation on disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from eval.data.dataset import Dataset, Sample
from eval.data.files import existing_folder, pictures
from eval.errors import DatasetError
from models.decoding import UnreadableImage, decode_labels
from models.labels import OTHERS, UnreadableLabels, class_names
from models.results import Array

__all__ = ["IGNORE", "masks_data"]

IGNORE = "ignore"  # the name of values that do not count
IGNORED = 255


def masks_data(argument: str) -> Dataset:
    """`masks:IMAGES,MASKS[,NAMES]`: images, and index masks (PNG) of the same stem.

    Without NAMES, values are classes called by their number. NAMES is a file that
    `models.labels.class_names` reads: one name a line, or `VALUE: NAME` lines, which may say more.
    Values of one name are one class, the name `ignore` does not count, and `*: NAME` names every value
    that is not listed. 255 does not count unless it is listed.

        *: background
        3: car
        4: car
        11: ignore

    Raises:
        DatasetError: a folder, a mask or a name is missing; names the file.
    """
    parts = argument.split(",")
    if len(parts) not in (2, 3):
        raise DatasetError(f"masks must be masks:IMAGES,MASKS or masks:IMAGES,MASKS,NAMES, got {argument}")
    images, folder = existing_folder(parts[0]), existing_folder(parts[1])
    found = pictures(images)
    lacking = [path.name for path in found if not (folder / f"{path.stem}.png").is_file()]
    if lacking or not found:
        raise DatasetError(
            f"{folder} must hold a .png for every image of {images}, lacks {lacking[:1] or 'all'}"
        )
    masks = [folder / f"{path.stem}.png" for path in found]
    labels, table = _meaning(Path(parts[2])) if len(parts) == 3 else (_numbers(masks), None)

    def load(index: int) -> Sample:
        path, mask = found[index], masks[index]
        expected = _read(mask)
        if table is not None:
            expected = _renamed(expected, table, mask, parts[2])
        return Sample(path.name, path.read_bytes(), expected)

    return Dataset(f"masks:{images.name}", "segmentation", labels, [p.name for p in found], load)


def _read(path: Path) -> Array:
    try:
        return decode_labels(path.read_bytes())
    except UnreadableImage as error:
        raise DatasetError(f"{path} must be an index mask: {error}") from error


def _numbers(masks: list[Path]) -> tuple[str, ...]:
    """`class 0`, `class 1` ... up to the highest value of all masks."""
    maps = (_read(path) for path in masks)
    highest = max(int(m[m != IGNORED].max(initial=0)) for m in maps)
    return tuple(f"class {i}" for i in range(highest + 1))


def _meaning(path: Path) -> tuple[tuple[str, ...], Array]:
    """Class names, and int64 `(256,)`: the class of each value, `IGNORED`, or -1 where it has no name."""
    try:
        names = class_names(path)
    except UnreadableLabels as error:
        raise DatasetError(str(error)) from error
    labels = tuple(name for name in dict.fromkeys(names.values()) if name != IGNORE)
    if len(labels) > IGNORED:
        raise DatasetError(f"{path} must name at most {IGNORED} classes, got {len(labels)}")
    number_of: Mapping[str, int] = {**{name: i for i, name in enumerate(labels)}, IGNORE: IGNORED}
    table = np.full(256, number_of[names[OTHERS]] if OTHERS in names else -1, np.int64)
    table[IGNORED] = IGNORED
    for value, name in names.items():
        if isinstance(value, int) and value < len(table):
            table[value] = number_of[name]
    return labels, table


def _renamed(values: Array, table: Array, path: Path, names: str) -> Array:
    """uint8 map of classes."""
    expected: Array = table[values]
    if (expected < 0).any():
        raise DatasetError(
            f"{path}: the value {int(values[expected < 0][0])} has no name in {names}; name it, or add "
            f"`{OTHERS}: NAME` or `{OTHERS}: {IGNORE}` for every value that has none"
        )
    return expected.astype(np.uint8)

"""Images beside masks of their classes, told by index or by colour: semantic segmentation on disk."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from eval.data.dataset import IGNORED, Dataset, Sample
from eval.data.files import all_pictures, existing_folder
from eval.errors import DatasetError
from models.decoding import UnreadableImage, decode, decode_labels
from models.labels import OTHERS, UnreadableLabels, class_names
from models.results import Array

__all__ = ["IGNORE", "masks_data", "read_mask"]

IGNORE = "ignore"  # the name of values that do not count
# How an image's name ends, and how that of its mask: the same stem, or as CamVid and Cityscapes have it.
ENDINGS = (
    ("", ".png"),
    ("", "_L.png"),
    ("_leftImg8bit", "_gtFine_labelIds.png"),
    ("_leftImg8bit", "_gtFine_color.png"),
)
COLOUR_LAST = 3  # of these, colours are looked for first where the names are told by colour
_COLOUR = re.compile(r"^\s*(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\d{1,3})[\s,]+(\S.*?)\s*$")
_OTHER_COLOURS = re.compile(r"^\s*\*\s*:?\s+(\S.*?)\s*$")


@dataclass(frozen=True, slots=True)
class _Meaning:
    """Class names, and how a mask is read as numbers of them, with `IGNORED` for what does not count."""

    labels: tuple[str, ...]
    read: Callable[[Path], Array]
    colours: bool = False


def masks_data(argument: str) -> Dataset:
    """`masks:IMAGES,MASKS[,NAMES]`: images, and masks (PNG) of the same stem, below the same folders.

    A mask may also be called STEM_L.png, or, beside STEM_leftImg8bit, STEM_gtFine_labelIds.png. Without
    NAMES, values are classes called by their number. NAMES is a file that `models.labels.class_names`
    reads: one name a line, or `VALUE: NAME` lines, which may say more. Values of one name are one class,
    the name `ignore` does not count, and `*: NAME` names every value that is not listed. 255 does not
    count unless it is listed.

        *: background
        3: car
        4: car
        11: ignore

    Colour masks have a file of `R G B NAME` lines, as CamVid's label_colors.txt; `*` and `ignore` mean
    the same there.

        128 0 128   Car
        64 64 0     Pedestrian
        0 0 0       ignore

    Raises:
        DatasetError: a folder, a mask or a name is missing; names the file.
    """
    parts = argument.split(",")
    if len(parts) not in (2, 3):
        raise DatasetError(f"masks must be masks:IMAGES,MASKS or masks:IMAGES,MASKS,NAMES, got {argument}")
    images, folder = existing_folder(parts[0]), existing_folder(parts[1])
    told = _meaning(Path(parts[2])) if len(parts) == 3 else None
    ids = list(all_pictures(images))
    masks = [_beside(folder, name, told is not None and told.colours) for name in ids]
    lacking = [name for name, mask in zip(ids, masks, strict=True) if not mask]
    if lacking or not ids:
        raise DatasetError(
            f"{folder} must hold a .png for every image of {images}, lacks {lacking[:1] or 'all'}"
        )
    meaning = told or _Meaning(_numbers([folder / mask for mask in masks]), read_mask)

    def load(index: int) -> Sample:
        expected = meaning.read(folder / masks[index])
        return Sample(ids[index], (images / ids[index]).read_bytes(), expected)

    return Dataset(f"masks:{images.name}", "segmentation", meaning.labels, ids, load)


def _beside(folder: Path, name: str, colours: bool) -> str:
    """The mask of a picture, from `folder`; empty where there is none."""
    stem = name.rpartition(".")[0]
    for image, mask in (*ENDINGS[COLOUR_LAST:], *ENDINGS) if colours else ENDINGS:
        if stem.endswith(image) and (folder / (found := stem.removesuffix(image) + mask)).is_file():
            return found
    return ""


def read_mask(path: Path) -> Array:
    """uint8 `(H, W)`, values as they are stored. Raises DatasetError."""
    try:
        return decode_labels(path.read_bytes())
    except (OSError, UnreadableImage) as error:
        raise DatasetError(f"{path} must be an index mask: {error}") from error


def _numbers(masks: list[Path]) -> tuple[str, ...]:
    """`class 0`, `class 1` ... up to the highest value of all masks."""
    maps = (read_mask(path) for path in masks)
    highest = max(int(m[m != IGNORED].max(initial=0)) for m in maps)
    return tuple(f"class {i}" for i in range(highest + 1))


def _meaning(path: Path) -> _Meaning:
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
        if any(_COLOUR.match(line) for line in lines):
            return _by_colour(path, lines)
        names = class_names(path)
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} cannot be read: {error}") from error
    except UnreadableLabels as error:
        raise DatasetError(str(error)) from error
    labels, number_of = _numbered(path, list(names.values()))
    table = np.full(256, number_of[names[OTHERS]] if OTHERS in names else -1, np.int64)
    table[IGNORED] = IGNORED
    for value, name in names.items():
        if isinstance(value, int) and value < len(table):
            table[value] = number_of[name]

    def read(mask: Path) -> Array:
        values = read_mask(mask)
        return _known(table[values], lambda at: f"the value {values[at]}", mask, path)

    return _Meaning(labels, read)


def _numbered(path: Path, names: list[str]) -> tuple[tuple[str, ...], Mapping[str, int]]:
    labels = tuple(name for name in dict.fromkeys(names) if name != IGNORE)
    if len(labels) > IGNORED:
        raise DatasetError(f"{path} must name at most {IGNORED} classes, got {len(labels)}")
    return labels, {**{name: i for i, name in enumerate(labels)}, IGNORE: IGNORED}


def _by_colour(path: Path, lines: list[str]) -> _Meaning:
    """Lines `R G B NAME`, and perhaps `* NAME`."""
    names: dict[int | str, str] = {}
    for number, line in enumerate(lines, start=1):
        if not line.split("#")[0].strip():
            continue
        told, others = _COLOUR.match(line), _OTHER_COLOURS.match(line)
        if (told is None or max(map(int, told.groups()[:3])) > 255) and others is None:
            raise DatasetError(f"{path}:{number}: must be `R G B NAME`, each 0 to 255, got {line.strip()!r}")
        key: int | str = (
            OTHERS if told is None else int(_packed(np.array([int(n) for n in told.groups()[:3]])))
        )
        if key in names:
            raise DatasetError(f"{path}:{number}: a colour must be named once, got {line.strip()!r} again")
        names[key] = told[4] if told else others[1] if others else ""
    labels, number_of = _numbered(path, list(names.values()))
    listed = sorted(key for key in names if isinstance(key, int))
    colours = np.array(listed)
    numbers = np.array([number_of[names[key]] for key in listed])
    rest = number_of[names[OTHERS]] if OTHERS in names else -1

    def read(mask: Path) -> Array:
        try:
            pixels = decode(mask.read_bytes())
        except (OSError, UnreadableImage) as error:
            raise DatasetError(f"{mask} must be a colour mask: {error}") from error
        values = _packed(pixels)
        at = np.searchsorted(colours, values).clip(max=len(colours) - 1)
        found = np.where(colours[at] == values, numbers[at], rest)
        return _known(found, lambda place: f"the colour {pixels[place].tolist()}", mask, path)

    return _Meaning(labels, read, colours=True)


def _packed(colours: Array) -> Array:
    """int `(...)` of `(..., 3)`: R * 65536 + G * 256 + B."""
    packed: Array = colours.astype(np.int64) @ np.array([1 << 16, 1 << 8, 1])
    return packed


def _known(found: Array, what: Callable[[tuple[int, ...]], str], mask: Path, names: Path) -> Array:
    """uint8 map of classes; `what` tells of a pixel what is not known there."""
    if (found < 0).any():
        at = tuple(int(i) for i in np.argwhere(found < 0)[0])
        raise DatasetError(
            f"{mask}: {what(at)} has no name in {names}; name it, or add "
            f"`{OTHERS}: NAME` or `{OTHERS}: {IGNORE}` for every value that has none"
        )
    return found.astype(np.uint8)

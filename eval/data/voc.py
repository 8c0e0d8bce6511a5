"""Pascal VOC folders: a picture, an XML file of its objects, lists of names."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from eval.data.dataset import Dataset, Sample
from eval.data.files import existing_folder, pictures
from eval.errors import DatasetError
from eval.metrics.truth import Objects

__all__ = ["voc_data"]

CORNERS = ("xmin", "ymin", "xmax", "ymax")


@dataclass(frozen=True, slots=True)
class _Box:
    """One object as the file has it: corners in 1-based pixels, the last ones inside the object."""

    name: str
    corners: tuple[float, float, float, float]
    difficult: bool


def voc_data(argument: str) -> Dataset:
    """`voc:ROOT[,LIST]`: JPEGImages, Annotations, and the names in ImageSets/Main/LIST.txt, else all.

    Classes are those of all annotations, in sorted order, so that every list has the same. Corners are
    whole pixels counted from 1, the last inside; they become `[xmin - 1, xmax)`. A box without area is
    a slip of the hand that no detector can find: it is left out. Objects marked difficult count as crowd:
    neither demanded nor punished.

    Raises:
        DatasetError: a folder, a list, a picture or an annotation is missing or broken; names the file.
    """
    root, _, list_name = argument.partition(",")
    folder = existing_folder(root)
    annotations = existing_folder(folder / "Annotations")
    boxes = {path.stem: _boxes(path) for path in sorted(annotations.glob("*.xml"))}
    found = {path.stem: path for path in pictures(existing_folder(folder / "JPEGImages"))}
    stems = _listed(folder, list_name) if list_name else sorted(boxes)
    for stem in stems:
        if stem not in boxes or stem not in found:
            what = "annotation" if stem not in boxes else "picture"
            raise DatasetError(
                f"{folder} has no {what} of {stem}" + (f", which {list_name} names" * bool(list_name))
            )
    labels = tuple(sorted({box.name for own in boxes.values() for box in own}))
    if not labels or not stems:
        raise DatasetError(f"{annotations} names no object; it must hold Pascal VOC XML files")
    number_of = {name: number for number, name in enumerate(labels)}

    def load(index: int) -> Sample:
        stem = stems[index]
        return Sample(found[stem].name, found[stem].read_bytes(), _objects(boxes[stem], number_of, stem))

    ids = [found[stem].name for stem in stems]
    return Dataset(f"voc:{folder.name}{',' * bool(list_name)}{list_name}", "detection", labels, ids, load)


def _listed(folder: Path, name: str) -> list[str]:
    path = folder / "ImageSets" / "Main" / f"{name}.txt"
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in path.parent.glob("*.txt"))) or "none"
        raise DatasetError(f"there must be a list {path}; there are: {there}")
    lines = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
    # The lists of one class say beside each name whether the picture shows it.
    return [words[0] for words in lines if words and words[1:] != ["-1"]]


def _boxes(path: Path) -> list[_Box]:
    try:
        tree = ElementTree.parse(path)  # noqa: S314  # expat itself refuses entities that explode
        return [_box(element) for element in tree.getroot().iter("object")]
    except (ElementTree.ParseError, OSError, ValueError) as error:
        raise DatasetError(f"{path} must be a Pascal VOC annotation: {error}") from error


def _box(element: ElementTree.Element) -> _Box:
    name = (element.findtext("name") or "").strip()
    told = [element.findtext(f"bndbox/{corner}") for corner in CORNERS]
    if not name or None in told:
        raise ValueError(f"object {name!r} must have a name and a bndbox with {', '.join(CORNERS)}")
    left, top, right, bottom = (float(value or "") for value in told)
    if not np.isfinite([left, top, right, bottom]).all():
        raise ValueError(f"a bndbox must be finite, got {told}")
    return _Box(name, (left, top, right, bottom), (element.findtext("difficult") or "0").strip() == "1")


def _objects(found: list[_Box], number_of: dict[str, int], image: str) -> Objects:
    real = [b for b in found if b.corners[2] > b.corners[0] and b.corners[3] > b.corners[1]]
    corners = np.array([box.corners for box in real], np.float64).reshape(-1, 4)
    return Objects(
        corners - [1, 1, 0, 0],
        np.array([number_of[box.name] for box in real], np.int64),
        crowd=np.array([box.difficult for box in real], bool),
        image=image,
    )

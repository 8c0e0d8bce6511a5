"""Pascal VOC folders: a picture, an XML file of its objects or a mask of its pixels, lists of names."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from eval.data.columns import ObjectTable
from eval.data.dataset import Dataset, Sample
from eval.data.files import existing_folder, pictures
from eval.data.masks import read_mask
from eval.errors import DatasetError
from models.card import TaskName

__all__ = ["CLASSES", "voc_data"]

CORNERS = ("xmin", "ymin", "xmax", "ymax")
# Of the masks, by their value; 255 is the edge around objects and does not count.
CLASSES = (
    "background", "aeroplane", "bicycle", "bird", "boat", "bottle", "bus",
    "car", "cat", "chair", "cow", "diningtable", "dog", "horse",
    "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
)  # fmt: skip


def voc_data(argument: str, task: TaskName = "detection") -> Dataset:
    """`voc:ROOT[,LIST]`: JPEGImages, Annotations, and the names in ImageSets/Main/LIST.txt, else all.

    Classes are those of all annotations, in sorted order, so that every list has the same. Corners are
    whole pixels counted from 1, the last inside; they become `[xmin - 1, xmax)`. A box without area is
    a slip of the hand that no detector can find: it is left out. Objects marked difficult count as crowd:
    neither demanded nor punished.

    For segmentation: the masks in SegmentationClass with the 21 classes of VOC, and the lists in
    ImageSets/Segmentation.

    Raises:
        DatasetError: a folder, a list, a picture or an annotation is missing or broken; names the file.
    """
    root, _, list_name = argument.partition(",")
    folder = existing_folder(root)
    name = f"voc:{folder.name}{',' * bool(list_name)}{list_name}"
    found = {path.stem: path.name for path in pictures(existing_folder(folder / "JPEGImages"))}
    if task == "segmentation":
        return _masks(folder, name, list_name, found)
    annotations = existing_folder(folder / "Annotations")
    all_stems = [path.stem for path in sorted(annotations.glob("*.xml"))]
    stems = _listed(folder / "ImageSets" / "Main", list_name) if list_name else all_stems
    _present(folder, list_name, stems, {"annotation": set(all_stems), "picture": set(found)})
    boxes = _Boxes()
    for number, stem in enumerate(all_stems):
        boxes.read(annotations / f"{stem}.xml", number)
    labels = tuple(sorted(boxes.names))
    if not labels or not stems:
        raise DatasetError(f"{annotations} names no object; it must hold Pascal VOC XML files")
    table = boxes.table(labels, len(all_stems))
    place = {stem: number for number, stem in enumerate(all_stems)}

    def load(index: int) -> Sample:
        stem = stems[index]
        file = (folder / "JPEGImages" / found[stem]).read_bytes()
        return Sample(found[stem], file, table.objects(place[stem], stem))

    chosen = set(stems)
    remarks = tuple(f"{annotations / stem}.xml: {told}" for stem, told in boxes.slips if stem in chosen)
    return Dataset(name, "detection", labels, [found[stem] for stem in stems], load, remarks=remarks)


def _masks(folder: Path, name: str, list_name: str, found: dict[str, str]) -> Dataset:
    masks = existing_folder(folder / "SegmentationClass")
    there = [path.stem for path in pictures(masks)]
    stems = _listed(folder / "ImageSets" / "Segmentation", list_name) if list_name else there
    _present(folder, list_name, stems, {"mask": set(there), "picture": set(found)})
    if not stems:
        raise DatasetError(f"{masks} holds no mask")

    def load(index: int) -> Sample:
        stem = stems[index]
        mask = masks / f"{stem}.png"
        values = read_mask(mask)
        if ((values >= len(CLASSES)) & (values != 255)).any():
            raise DatasetError(
                f"{mask} must have values below {len(CLASSES)} or 255, got {int(values.max())}"
            )
        return Sample(found[stem], (folder / "JPEGImages" / found[stem]).read_bytes(), values)

    return Dataset(name, "segmentation", CLASSES, [found[stem] for stem in stems], load)


def _listed(folder: Path, name: str) -> list[str]:
    path = folder / f"{name}.txt"
    if not path.is_file():
        there = ", ".join(sorted(p.stem for p in folder.glob("*.txt"))) or "none"
        raise DatasetError(f"there must be a list {path}; there are: {there}")
    try:
        lines = (line.split() for line in path.read_text(encoding="utf-8").splitlines())
        # The lists of one class say beside each name whether the picture shows it.
        return [words[0] for words in lines if words and words[1:] != ["-1"]]
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"{path} must be a list of names: {error}") from error


def _present(folder: Path, list_name: str, stems: list[str], there: dict[str, set[str]]) -> None:
    for stem in stems:
        for what, known in there.items():
            if stem not in known:
                named = f", which {list_name} names" if list_name else ""
                raise DatasetError(f"{folder} has no {what} of {stem}{named}")


@dataclass(slots=True)
class _Boxes:
    """The objects of all files.

    Attributes:
        names: class -> its number, as they came.
        slips: (stem, what was left out).
    """

    names: dict[str, int] = field(default_factory=dict)
    slips: list[tuple[str, str]] = field(default_factory=list)
    picture: array[int] = field(default_factory=lambda: array("i"))
    label: array[int] = field(default_factory=lambda: array("i"))
    corners: array[float] = field(default_factory=lambda: array("d"))
    difficult: array[int] = field(default_factory=lambda: array("b"))

    def read(self, path: Path, number: int) -> None:
        try:
            tree = ElementTree.parse(path)  # noqa: S314  # expat itself refuses entities that explode
            for element in tree.getroot().iter("object"):
                self._add(element, path.stem, number)
        except (ElementTree.ParseError, OSError, ValueError, LookupError) as error:
            raise DatasetError(f"{path} must be a Pascal VOC annotation: {error}") from error

    def _add(self, element: ElementTree.Element, stem: str, number: int) -> None:
        name = (element.findtext("name") or "").strip()
        told = [element.findtext(f"bndbox/{corner}") for corner in CORNERS]
        if not name or None in told:
            raise ValueError(f"object {name!r} must have a name and a bndbox with {', '.join(CORNERS)}")
        left, top, right, bottom = (float(value or "") for value in told)
        if not np.isfinite([left, top, right, bottom]).all():
            raise ValueError(f"a bndbox must be finite, got {told}")
        label = self.names.setdefault(name, len(self.names))
        if right <= left or bottom <= top:
            self.slips.append(
                (stem, f"a box of {name} without area was left out: {left:g} {top:g} {right:g} {bottom:g}")
            )
            return
        self.picture.append(number)
        self.label.append(label)
        self.corners.extend((left - 1, top - 1, right, bottom))
        self.difficult.append((element.findtext("difficult") or "0").strip() == "1")

    def table(self, labels: tuple[str, ...], pictures: int) -> ObjectTable:
        number_of = np.array([labels.index(name) for name in self.names], np.int64)
        own = number_of[np.array(self.label, np.int64)]
        return ObjectTable(self.picture, own, self.corners, crowd=self.difficult, pictures=pictures)

"""Images that changed sides, with both answers and the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from eval.comparison.columns import Columns, Flip
from eval.metrics.labels import distinct
from eval.metrics.truth import Objects
from eval.report.document import Cell, Gallery, Picture, Table
from eval.report.pictures import detected, photo, segmented
from eval.worst import SURE
from models.decoding import decode
from models.results import Classification, Detections, Result, Segmentation

__all__ = ["flip_galleries", "flips_table"]

SHOWN = 12  # of those that became worse


def flips_table(columns: Columns) -> Table:
    """The images that became worse, with what was said of them before and after."""
    labels = distinct(columns.labels)
    rows: list[Mapping[str, Cell]] = [
        {
            "image": flip.sample.id,
            "true": _truth(flip, labels),
            "before": _answer(flip.before, labels),
            "after": _answer(flip.after, labels),
            "weight": flip.weight,
        }
        for flip in columns.worse
    ]
    note = (
        "Weight: how sure the wrong answer is; more missed and false objects; a larger share of wrong pixels."
    )
    return Table(rows, "Images that became worse, the worst first", note)


def _truth(flip: Flip, labels: Sequence[str]) -> str:
    expected = flip.sample.expected
    if isinstance(expected, int):
        return labels[expected]
    return f"{len(expected)} objects" if isinstance(expected, Objects) else "label map"


def _answer(answer: Result, labels: Sequence[str]) -> str:
    if isinstance(answer, Classification):
        return f"{labels[answer.label]} ({answer.scores[answer.label]:.2f})"
    return f"{int((answer.scores >= SURE).sum())} objects" if isinstance(answer, Detections) else "label map"


def flip_galleries(names: tuple[str, str], columns: Columns) -> list[Gallery]:
    """Images that became worse and better, both answers beside the truth."""
    labels = distinct(columns.labels)
    galleries = []
    for title, flips in (
        ("became worse", list(columns.worse)[:SHOWN]),
        ("became better", list(columns.better)),
    ):
        items = [_example(flip, names, labels) for flip in flips]
        if items:
            galleries.append(Gallery(f"Images that {title}", items, "The weightiest first."))
    return galleries


def _example(flip: Flip, names: tuple[str, str], labels: Sequence[str]) -> list[Picture]:
    image, expected = decode(flip.sample.file), flip.sample.expected
    if isinstance(expected, int):
        before, after = (_answer(answer, labels) for answer in (flip.before, flip.after))
        told = f"true {labels[expected]}; {names[0]}: {before}; {names[1]}: {after}"
        return [photo(image, f"{flip.sample.id}: {told}")]
    pictures: list[Picture] = []
    for name, answer in zip(names, (flip.before, flip.after), strict=True):
        if isinstance(answer, Detections) and isinstance(expected, Objects):
            drawn = detected(image, answer, expected, labels)
        elif isinstance(answer, Segmentation) and isinstance(expected, np.ndarray):
            drawn = segmented(image, answer.labels, expected)
        else:
            raise TypeError(f"the answer must be of the data's task, got {type(answer).__name__}")
        pictures += [replace(one, caption=f"{name}: {one.caption}") for one in drawn]
    return pictures

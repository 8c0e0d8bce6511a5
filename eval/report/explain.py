"""What an explanation shows: the picture, the map over it, the answer, and the curves that test the map."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eval.report.document import Cell, Gallery, Headline, Picture, Plot, Report, Section, Table
from eval.report.pictures import picture
from models.drawing import heated
from models.results import Array, Classification, Detections, Result
from models.saliency.curves import area
from models.saliency.targets import BoxTarget, Target

__all__ = ["Explained", "explained_pictures", "lines", "picture_section", "summary_section"]

TOP = 5
PAGE_PIXELS = 1 << 17  # of a picture on the page
NOTE = (
    "Deletion takes the hottest pixels away first, insertion shows them first on a blurred picture. A good "
    "map has a small area under the first and a large one under the second; both are in [0, 1] and depend on "
    "the score of the whole picture, so they compare maps of the same answers, not models."
)


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """One picture, its answer, and what the answer rests on.

    Attributes:
        image: uint8 RGB `(H, W, 3)`, as it was asked about.
        target, saliency: what is explained, and float32 `(H, W)`; None where there is nothing to explain.
        deletion, insertion: points (share of the pixels changed, score).
        queries: pictures asked about in all.
    """

    name: str
    image: Array
    answer: Result
    target: Target | None
    saliency: Array | None
    deletion: Sequence[tuple[float, float]]
    insertion: Sequence[tuple[float, float]]
    queries: int


def summary_section(title: str, method: str, found: Sequence[Explained], labels: Sequence[str]) -> Section:
    """All pictures in a table, and the mean areas under their curves."""
    told = [one for one in found if one.target is not None]
    headlines = [
        Headline(
            "deletion_auc", _mean([area(one.deletion) for one in told]), len(told), note="lower is better"
        ),
        Headline(
            "insertion_auc", _mean([area(one.insertion) for one in told]), len(told), note="higher is better"
        ),
    ]
    rows = [_row(one, labels) for one in found]
    return Section(title, f"By {method}. {NOTE}", headlines, tables=[Table(rows, "Pictures")])


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _row(one: Explained, labels: Sequence[str]) -> Mapping[str, Cell]:
    if one.target is None:
        nothing = {"explained": "nothing of the kind in the answer", "score": None}
        return {"picture": one.name, **nothing, "deletion": None, "insertion": None, "queries": one.queries}
    return {
        "picture": one.name,
        "explained": labels[one.target.label],
        "score": one.target.clean,
        "deletion": area(one.deletion),
        "insertion": area(one.insertion),
        "queries": one.queries,
    }


def lines(report: Report) -> list[str]:
    """One line a picture, for a terminal."""
    told = []
    for row in report.sections[0].tables[0].rows:
        values = [f"{key} {row[key]:.3f}" for key in ("deletion", "insertion") if row[key] is not None]
        score = "" if row["score"] is None else f" {row['score']:.3f}"
        told.append(f"{row['picture']}: " + ", ".join([f"{row['explained']}{score}", *values]))
    return told


def picture_section(one: Explained, labels: Sequence[str]) -> Section:
    """One picture on the page."""
    if one.target is None or one.saliency is None:
        shown = [picture(_small(one.image), "nothing to explain")]
        return Section(one.name, galleries=[Gallery("Picture", [shown])], tables=[_top(one.answer, labels)])
    caption = f"{labels[one.target.label]} {one.target.clean:.3f}"
    headlines = [
        Headline("score", one.target.clean, 1, note=f"of {labels[one.target.label]}"),
        Headline("deletion_auc", area(one.deletion), 1, note="lower is better"),
        Headline("insertion_auc", area(one.insertion), 1, note="higher is better"),
    ]
    curves = {"deletion": list(one.deletion), "insertion": list(one.insertion)}
    return Section(
        one.name,
        headlines=headlines,
        plots=[Plot("lines", "Is the map right?", curves, "share of the pixels changed", "score")],
        galleries=[
            Gallery(
                "What it rests on",
                [explained_pictures(one.image, one.saliency, caption, one.target)],
                "Brighter is hotter: the answer rests more on it.",
            )
        ],
        tables=[_top(one.answer, labels)],
    )


def explained_pictures(
    image: Array, saliency: Array, caption: str, target: Target | None = None
) -> list[Picture]:
    """The picture and the map over it, for any gallery; with a box where an object is explained.

    Args:
        image: uint8 RGB `(H, W, 3)`.
        saliency: float `(H, W)`.
    """
    small = _small(image)
    heat = _small(saliency)
    shown = [picture(small, caption), picture(heated(small, heat), f"what counts for {caption}")]
    if not isinstance(target, BoxTarget):
        return shown
    scale = small.shape[0] / image.shape[0]
    x1, y1, x2, y2 = (float(value) * scale for value in target.box)
    return [
        Picture(p.uri, p.caption, p.width, p.height, [(x1, y1, x2, y2, caption, "predicted")]) for p in shown
    ]


def _small(plane: Array) -> Array:
    """Every so many pixels: the page need not hold more than it can show."""
    step = int(np.ceil(np.sqrt(max(1.0, plane.shape[0] * plane.shape[1] / PAGE_PIXELS))))
    return np.ascontiguousarray(plane[::step, ::step])


def _top(answer: Result, labels: Sequence[str]) -> Table:
    """What the answer says most."""
    if isinstance(answer, Classification):
        found = [(int(i), float(answer.scores[i])) for i in answer.top(TOP)]
        return _table("Best classes", "score", found, labels)
    if isinstance(answer, Detections):
        best = np.argsort(-answer.scores, kind="stable")[:TOP]
        found = [(int(answer.labels[i]), float(answer.scores[i])) for i in best]
        return _table("Surest objects", "score", found, labels)
    counts = np.bincount(answer.labels.ravel())
    largest = np.argsort(-counts, kind="stable")[:TOP]
    found = [(int(i), float(counts[i] / answer.labels.size)) for i in largest if counts[i]]
    return _table("Largest regions", "share of the pixels", found, labels)


def _table(title: str, unit: str, found: Sequence[tuple[int, float]], labels: Sequence[str]) -> Table:
    rows: list[Mapping[str, Cell]] = [{"class": labels[label], unit: value} for label, value in found]
    return Table(rows, title)

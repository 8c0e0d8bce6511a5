"""How good answers still are under attack: mAP or mIoU, clean beside attacked."""

from __future__ import annotations

from collections.abc import Mapping

from eval.auditing.graded import Graded
from eval.report.document import Cell, Headline, Table

__all__ = ["graded_figures", "graded_headlines", "graded_tables"]

COUNTED = {"ap": "objects", "miou": "pixels"}


def graded_headlines(graded: Graded | None) -> list[Headline]:
    """The first score, clean and at its worst; nothing of what is not graded."""
    if graded is None:
        return []
    made = []
    for title, scores in (("clean", graded.clean), ("under attack", graded.worst)):
        score = scores[0]
        note = "as sent, unchanged" if title == "clean" else "the worst attack of each picture"
        note += f"; n counts {COUNTED[score.name]}" if score.name in COUNTED else ""
        made.append(
            Headline(f"{score.name} {title}", score.value, score.support, score.low, score.high, note)
        )
    return made


def graded_tables(graded: Graded | None) -> list[Table]:
    """All scores but those of classes, clean, by attack, and at their worst."""
    if graded is None:
        return []
    named = {"clean": graded.clean, **graded.attacked, "worst of each picture": graded.worst}
    rows: list[Mapping[str, Cell]] = [
        {"": name, **{score.name: score.value for score in scores if ".class." not in score.name}}
        for name, scores in named.items()
    ]
    left = f" {graded.left_out} without an answer are left out." if graded.left_out else ""
    return [
        Table(rows, "Scores under attack", f"Of {graded.images} pictures, each as its attack left it.{left}")
    ]


def graded_figures(prefix: str, graded: Graded | None) -> dict[str, float | None]:
    """The same, flat, for machines."""
    if graded is None:
        return {}
    named = {"clean": graded.clean, "worst": graded.worst, **graded.attacked}
    return {
        f"{prefix}.{name}.{score.name}": score.value
        for name, scores in named.items()
        for score in scores
        if ".class." not in score.name
    }

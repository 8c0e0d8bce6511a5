"""Only those metrics that hold a score somebody asked for: some are dear, and most rules name one or two."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from eval.metrics.base import Metric
from eval.metrics.tables import METRICS
from models.card import TaskName

__all__ = ["comparable", "known", "states"]


def states(task: TaskName, labels: Sequence[str], wanted: Iterable[str]) -> tuple[Metric[Any, Any], ...]:
    """New, empty metrics that draw no bootstrap of their own.

    Args:
        wanted: names of scores, or names that end in one: `slice.size.up to 64.accuracy`.
    """
    asked = tuple(wanted)
    return tuple(
        metric
        for metric in _all(task, labels)
        if any(_ends(name, score.name) for score in metric.compute() for name in asked)
    )


def _ends(name: str, score: str) -> bool:
    return name == score or name.endswith(f".{score}")


def known(task: TaskName, labels: Sequence[str]) -> list[str]:
    """The names of all scores of a task."""
    return [score.name for metric in _all(task, labels) for score in metric.compute()]


def comparable(task: TaskName, labels: Sequence[str]) -> list[str]:
    """Of those, the ones that two versions can be compared by."""
    found = []
    for metric in _all(task, labels):
        resampled, names = metric.resampled(), {score.name for score in metric.compute()}
        if resampled is not None:
            found += [n for n in dict.fromkeys([*resampled.hits, *resampled.names]) if n in names]
    return found


def _all(task: TaskName, labels: Sequence[str]) -> list[Metric[Any, Any]]:
    return [make(labels, resamples=0) for make in METRICS[task]]

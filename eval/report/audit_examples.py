"""Successes worth a look: those the endpoint is surest of, the smallest, and the quickest."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

import numpy as np

from eval.attacks.results import AttackResult
from eval.metrics.truth import Objects
from eval.report.audited import Audited
from eval.report.document import Gallery, Picture
from eval.report.pictures import attacked, change, colours, detected, painted, photo
from models.results import Array, Classification, Detections, Result, Segmentation

__all__ = ["galleries"]

EACH = 3  # examples of a kind
SIDE = 240  # pixels; nine of three stay far below 3 MB
NOTE = (
    "The picture, what was sent in its place, and the change magnified around grey. Pictures over 128 pixels "
    "are made small and kept as JPEG here; what was sent was lossless, and was asked again."
)
Place: TypeAlias = tuple[AttackResult, int]
KINDS: Mapping[str, Callable[[Place], float]] = {
    "Surest successes": lambda at: float(at[0].best_loss[at[1]]),
    "Smallest changes": lambda at: float(at[0].distance[at[1]]),
    "Fewest queries": lambda at: float(at[0].queries_to_fool[at[1]]),
}
HURT = "Furthest towards the goal, without success"


def galleries(told: Audited) -> list[Gallery]:
    """A few examples of every kind; a sample is shown once."""
    found = [(result, int(i)) for result in told.results for i in np.flatnonzero(result.fooled)]
    ordered = {title: sorted(found, key=by) for title, by in KINDS.items()}  # of equals the first attack's
    if told.task != "classification":
        ordered[HURT] = sorted(
            _hurt(told), key=lambda at: float(at[0].best_loss[at[1]] - at[0].start_loss[at[1]])
        )
    shown: set[int] = set()
    made: list[Gallery] = []
    for title, places in ordered.items():
        chosen: list[Place] = []
        for result, i in places:
            if i not in shown and len(chosen) < EACH:
                shown.add(i)
                chosen.append((result, i))
        if chosen:
            key = _key(told, chosen)
            made.append(Gallery(title, [_example(told, *at) for at in chosen], NOTE * (not made), key))
    return made


def _hurt(told: Audited) -> Iterator[Place]:
    """Where an answer can be half right: pictures inside the threat that came nearer to the goal."""
    for result in told.results:
        inside = result.clean_correct & ~result.fooled & ~result.errors
        inside &= (result.best_loss < result.start_loss) & (result.distance <= result.threat.epsilon)
        yield from ((result, int(i)) for i in np.flatnonzero(inside))


def _example(told: Audited, result: AttackResult, i: int) -> list[Picture]:
    original, sent, answer = told.originals[i], result.images[i], result.answers[i]
    before, truth = told.clean[i] if len(told.clean) else None, told.truths[i]
    queries = int(result.queries_to_fool[i] if result.fooled[i] else result.queries[i])
    effort = f"{_far(result, i)}; {result.attack}, {queries} queries"
    if isinstance(answer, Detections) and isinstance(truth, Objects):
        was = [
            detected(original, before, truth, told.labels, side=SIDE)[0]
            if isinstance(before, Detections)
            else photo(original, told.samples[i], side=SIDE)
        ]
        return [*was, *detected(sent, answer, truth, told.labels, side=SIDE), _change(original, sent, effort)]
    if isinstance(answer, Segmentation):
        maps = [("found before", before), ("found in it", answer)]
        painted_maps = [
            painted(one.labels, name, side=SIDE) for name, one in maps if isinstance(one, Segmentation)
        ]
        return [photo(sent, "sent", side=SIDE), *painted_maps, _change(original, sent, effort)]
    was_right = f"true {_named(told, int(result.labels[i]))}{_sure(before)}"
    became = f"answered {_named(told, int(result.predicted[i]))}{_sure(answer)}"
    return attacked(original, sent, was_right, became, effort, side=SIDE)


def _change(original: Array, sent: Array, effort: str) -> Picture:
    return change(original, sent, effort, side=SIDE)


def _named(told: Audited, label: int) -> str:
    return told.labels[label] if label >= 0 else "n/a"


def _sure(answer: Result | None) -> str:
    return f" ({float(answer.scores.max()):.2f})" if isinstance(answer, Classification) else ""


def _far(result: AttackResult, i: int) -> str:
    if result.threat.norm == "spatial":
        return "turned or shifted"
    return f"{float(result.distance[i]):.3g} levels"


def _key(told: Audited, chosen: list[Place]) -> dict[str, str]:
    """The colours of label maps."""
    maps = list(_maps(told, chosen))
    return colours(maps, told.labels) if maps else {}


def _maps(told: Audited, chosen: list[Place]) -> Iterator[Array]:
    for result, i in chosen:
        for answer in (result.answers[i], told.clean[i] if len(told.clean) else None):
            if isinstance(answer, Segmentation):
                yield answer.labels

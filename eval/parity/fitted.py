"""A mean and a std that nobody thought of, fitted to the live answers.

Levenberg (1944) and Marquardt (1963) with differences in the place of derivatives: what is minimised is how
far the answers of the changed pipeline lie from the live ones, in a form that moves smoothly with them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from eval.parity.differences import SEEN
from eval.parity.hypotheses import Hypothesis
from eval.parity.pipeline import Pipeline
from models.results import Array, Classification, Detections, Result

__all__ = ["fitted"]

ROUNDS = 15
COARSE, FINE = 1e-2, 1e-3  # of a parameter: a level of the mean is 1 / 64
UNIT = 64.0
FAINT = 1e-6  # a probability below it is as good as 0
DONE = 1e-12  # of the squares


def fitted(
    pipeline: Pipeline, starts: Sequence[Pipeline], files: Sequence[bytes], live: Sequence[Result]
) -> Hypothesis | None:
    """The mean and std, one for each channel, that come nearest the live answers.

    None for inputs of whole numbers, and for label maps: those hardly move, so nothing can be read off them.

    Args:
        starts: pipelines whose mean and std are begun with; the best end is taken.
        files: a few pictures.
        live: their answers.
    """
    if not pipeline.card.input.dtype.startswith("float") or pipeline.card.task == "segmentation":
        return None

    def residuals(parameters: Array) -> Array:
        try:
            answers = _changed(pipeline, parameters).answers(files)
        except ValueError:  # NaN: as far off as can be
            return np.full(1, np.inf)
        return np.concatenate([_apart(*pair) for pair in zip(answers, live, strict=True)])

    every = np.eye(2 * len(pipeline.card.input.mean))
    means = every[: len(every) // 2]  # often only these are wrong
    ends = [
        _descended(residuals, _parameters(start), COARSE, way) for start in starts for way in (means, every)
    ]
    _, best = min(ends, key=lambda end: end[0])
    for step in (FINE, COARSE, FINE):  # a graph has kinks: what one step is caught in, another leaves
        _, best = _descended(residuals, best, step, every)
    spec = _changed(pipeline, best).card.input
    mean, std = ("(" + ", ".join(f"{n:.4g}" for n in numbers) + ")" for numbers in (spec.mean, spec.std))
    told = f"another mean and std: about {mean} and {std}"
    return Hypothesis(told, "normalise", "scale", lambda p: p.with_input(mean=spec.mean, std=spec.std))


def _parameters(pipeline: Pipeline) -> Array:
    """Means in units, then logarithms of the stds."""
    spec = pipeline.card.input
    return np.concatenate([np.array(spec.mean) / UNIT, np.log(np.abs(spec.std))])


def _changed(pipeline: Pipeline, parameters: Array) -> Pipeline:
    mean, std = np.split(parameters, 2)
    return pipeline.with_input(mean=tuple((mean * UNIT).tolist()), std=tuple(np.exp(std).tolist()))


def _apart(answer: Result, live: Result) -> Array:
    """How an answer lies from the live one: float64, of one length for one live answer."""
    if isinstance(answer, Classification) and isinstance(live, Classification):
        one, other = (np.log(a.scores.astype(np.float64).clip(FAINT)) for a in (answer, live))
        apart: Array = one - other
        return apart
    if isinstance(answer, Detections) and isinstance(live, Detections):
        shown = np.flatnonzero(live.scores >= SEEN).tolist()
        return np.array([_object(live, i, answer) for i in shown]).ravel()
    return np.ones(1)


def _object(live: Detections, place: int, among: Detections) -> list[float]:
    """Score and box of the nearest object of its class, less those of the live one, in its sizes."""
    box = live.boxes[place].astype(np.float64)
    size = np.maximum(box[2:] - box[:2], 1.0)
    off = (among.boxes.astype(np.float64) - box) / np.tile(size, 2)
    off[among.labels != live.labels[place]] = np.inf
    near = np.abs(off).max(axis=1) if len(off) else np.array([np.inf])
    best = int(near.argmin())
    if near[best] > 0.5:
        return [float(live.scores[place]), 0.5, 0.5, 0.5, 0.5]
    return [float(live.scores[place]) - float(among.scores[best]), *off[best].tolist()]


def _descended(
    residuals: Callable[[Array], Array], at: Array, width: float, ways: Array
) -> tuple[float, Array]:
    """(sum of squares, where), from a start downhill until nothing gets better.

    Args:
        width: over which slopes are taken.
        ways: `(K, P)` directions that are free.
    """
    damping, found = 1e-2, residuals(at)
    least = float(found @ found)
    for _ in range(ROUNDS):
        if not DONE < least < np.inf or damping > 1e4:
            break
        slope = np.stack([(residuals(at + width * unit) - found) / width for unit in ways])
        square = slope @ slope.T
        step = np.linalg.solve(square + damping * np.diag(np.diag(square) + 1e-9), -slope @ found) @ ways
        tried = residuals(at + step)
        squares = float(tried @ tried)
        if squares < least:
            at, found, least, damping = at + step, tried, squares, damping / 5
        else:
            damping *= 8
    return least, at

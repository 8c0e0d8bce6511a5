"""What an attack came to, sample by sample, and the numbers read from it."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from eval.attacks.base import Threat
from models.results import Array, Result

__all__ = ["MOST_ERRORS", "AttackResult", "Facts", "Outcome", "result_of", "worst_case"]

COLUMNS = {"label": "labels", "error": "errors"}  # rows -> columns, where they are not called the same
MOST_ERRORS = 0.01  # of the samples; with more, the run says nothing about the model


@dataclass(frozen=True, slots=True)
class Facts:
    """One row of `AttackResult`, all but its picture and its answer."""

    label: int = -1
    predicted: int = -1
    clean_correct: bool = False
    claimed: int = 0
    reached: bool = False
    fooled: bool = False
    error: bool = False
    exhausted: bool = False
    queries: int = 0
    queries_to_fool: int = 0
    cache_hits: int = 0
    start_loss: float = math.nan
    best_loss: float = math.inf
    late_gain: float = math.nan
    distance: float = 0.0


KINDS = tuple({"int": np.int64, "bool": np.bool_, "float": np.float64}[str(f.type)] for f in fields(Facts))


@dataclass(frozen=True, slots=True, eq=False)
class Outcome:
    """What one attack on one picture came to.

    Attributes:
        picture: uint8, one of `AttackResult.images`.
        answer: one of `AttackResult.answers`.
    """

    facts: Facts
    picture: Array
    answer: Result | None


@dataclass(frozen=True, slots=True, eq=False, repr=False)  # an event loop would write all of it at its end
class AttackResult:
    """One row a sample; all columns have the same length.

    Attributes:
        attack, goal: their names.
        threat: what no picture may go beyond.
        images: uint8, within the threat; the picture that fooled, else the closest to it. Of an attack that
            minimises: the smallest change that was wrong, which may lie beyond the threat. May be read
            from a record one at a time.
        answers: to `images` when asked last; None where that was not needed, or failed.
        labels: int64, the true class; -1 where the truth is more than a class.
        predicted: int64, the endpoint's label of `images` when asked last; -1 on errors.
        clean_correct: bool, the untouched image was right.
        claimed: int64, how often an answer inside the threat reached the goal and was asked again; of
            an attack that minimises at most twice: the smallest change, and where that does not hold the
            same, as large as the threat allows.
        reached: bool, `images` reached the goal when asked last, inside the threat or not.
        fooled: bool, claimed, and it held when exactly `images` was asked at the end. A claim that does not
            hold is none: the attack goes on.
        errors: bool, the endpoint failed; neither robust nor fooled.
        exhausted: bool, the budget ended the attack.
        queries: int64, images asked about; the clean one and the last check included.
        queries_to_fool: int64, the same up to the first success, and its check; 0 where not fooled.
        cache_hits: int64, repeats that were answered without asking.
        start_loss, best_loss: float64, of the goal, for the clean picture and for `images`.
        late_gain: float64, the share of the loss's fall that came in the last tenth of the queries; NaN
            where it never fell.
        distance: float64, of `images` from the original, in levels of the threat's norm.
    """

    attack: str
    goal: str
    threat: Threat
    images: Sequence[Array]
    answers: Sequence[Result | None]
    labels: Array
    predicted: Array
    clean_correct: Array
    claimed: Array
    reached: Array
    fooled: Array
    errors: Array
    exhausted: Array
    queries: Array
    queries_to_fool: Array
    cache_hits: Array
    start_loss: Array
    best_loss: Array
    late_gain: Array
    distance: Array

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def standing(self) -> Array:
        """bool: right when clean, and not fooled."""
        return self.clean_correct & ~self.fooled & ~self.errors

    @property
    def robust_accuracy(self) -> float | None:
        """Share of all samples still standing."""
        return float(self.standing.mean()) if len(self) else None

    @property
    def clean_accuracy(self) -> float | None:
        """Share of all samples right when clean."""
        return float(self.clean_correct.mean()) if len(self) else None

    @property
    def attack_success_rate(self) -> float | None:
        """Fooled, as a share of those right when clean."""
        right = int(self.clean_correct.sum())
        return float(self.fooled.sum() / right) if right else None

    @property
    def reverify_rate(self) -> float | None:
        """Claimed successes that held again on the same bytes; None without a claim."""
        claims = int(self.claimed.sum())
        return float(self.fooled.sum() / claims) if claims else None

    @property
    def valid(self) -> bool:
        """False when so many samples failed that the numbers mean nothing."""
        return not len(self) or float(self.errors.mean()) <= MOST_ERRORS

    @property
    def perturbations(self) -> Array:
        """float64, of the samples right when clean and answered: the distance of the picture that reached
        the goal when asked last, inside the threat or not; infinite where there is none."""
        asked = self.clean_correct & ~self.errors
        found: Array = np.where(self.reached, self.distance, np.inf)[asked]
        return found

    @property
    def median_perturbation(self) -> float | None:
        """Half the samples are fooled by so little; None if the attack fooled fewer than half."""
        return self._finite(np.median)

    @property
    def mean_perturbation(self) -> float | None:
        """Average decision boundary distance (ADBD; Chen and Gu 2020, arXiv 2006.12792); None unless all
        samples were fooled at some distance."""
        return self._finite(np.mean)

    def _finite(self, summary: Callable[[Array], np.floating[Any]]) -> float | None:
        value = float(summary(self.perturbations)) if len(self.perturbations) else np.inf
        return value if np.isfinite(value) else None

    def query_curve(self) -> list[tuple[int, float]]:
        """Steps of (queries, share of the clean-correct fooled by then)."""
        right = int(self.clean_correct.sum())
        spent = np.sort(self.queries_to_fool[self.fooled])
        return [(int(q), (i + 1) / right) for i, q in enumerate(spent)]


def result_of(
    attack: str,
    goal: str,
    threat: Threat,
    facts: Sequence[Facts],
    images: Sequence[Array],
    answers: Sequence[Result | None],
) -> AttackResult:
    """Rows as columns."""
    columns: dict[str, Array] = {
        COLUMNS.get(field.name, field.name): np.array([getattr(row, field.name) for row in facts], kind)
        for field, kind in zip(fields(Facts), KINDS, strict=True)
    }
    return AttackResult(attack, goal, threat, images, answers, **columns)


def worst_case(results: Sequence[AttackResult]) -> Array:
    """bool `(N,)`: still standing after every attack. Samples must be the same, in order."""
    standing: Array = np.logical_and.reduce([result.standing for result in results])
    return standing

"""What an attack came to, sample by sample, and the numbers read from it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from models.results import Array

__all__ = ["MOST_ERRORS", "AttackResult", "worst_case"]

MOST_ERRORS = 0.01  # of the samples; with more, the run says nothing about the model


@dataclass(frozen=True, slots=True, eq=False)
class AttackResult:
    """One row a sample; all columns have the same length.

    Attributes:
        attack: its name.
        images: uint8, within the threat; the picture that fooled, else the closest to it. Of an attack that
            minimises: the smallest change that was wrong, which may lie beyond the threat.
        labels: int64, the truth.
        predicted: int64, the endpoint's label of `images` when asked last; -1 on errors.
        clean_correct: bool, the untouched image was right.
        claimed: bool, an answer inside the threat was wrong, and the last check was answered.
        fooled: bool, claimed, and wrong again when exactly `images` was asked at the end.
        errors: bool, the endpoint failed; neither robust nor fooled.
        exhausted: bool, the budget ended the attack.
        queries: int64, images asked about; the clean one and the last check included.
        queries_to_fool: int64, the same up to the first success, and its check; 0 where not fooled.
        cache_hits: int64, repeats that were answered without asking.
        start_margin, best_margin: float64, log-probability margin before and at best.
        distance: float64, of `images` from the original, in levels of the threat's norm.
    """

    attack: str
    images: list[Array]
    labels: Array
    predicted: Array
    clean_correct: Array
    claimed: Array
    fooled: Array
    errors: Array
    exhausted: Array
    queries: Array
    queries_to_fool: Array
    cache_hits: Array
    start_margin: Array
    best_margin: Array
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
        """Claimed successes that were wrong again on the same bytes; None without a claim."""
        claims = int(self.claimed.sum())
        return float(self.fooled.sum() / claims) if claims else None

    @property
    def valid(self) -> bool:
        """False when so many samples failed that the numbers mean nothing."""
        return not len(self) or float(self.errors.mean()) <= MOST_ERRORS

    @property
    def perturbations(self) -> Array:
        """float64, of the samples right when clean and answered: the distance of the picture that was
        wrong when asked last, inside the threat or not; infinite where there is none."""
        asked = self.clean_correct & ~self.errors
        wrong = self.predicted != self.labels
        found: Array = np.where(wrong, self.distance, np.inf)[asked]
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


def worst_case(results: Sequence[AttackResult]) -> Array:
    """bool `(N,)`: still standing after every attack. Samples must be the same, in order."""
    standing: Array = np.logical_and.reduce([result.standing for result in results])
    return standing

"""What may be wanted of a classifier: any wrong class, or a certain one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

from eval.attacks.base import Goal, Verdict
from models.results import Array, Classification, Result

__all__ = ["Targeted", "Untargeted", "untargeted"]

LEAST = 1e-38  # of a probability, before its logarithm


@dataclass(frozen=True, slots=True)
class Untargeted:
    """Any class but the true one. The loss is log p(true) - log of the best other class.

    Logarithms, because a sure model's probabilities differ in digits that differences of probabilities
    hide. What fools is the label; ties go to the lower index.
    """

    name: ClassVar[str] = "untargeted"
    graded: ClassVar[bool] = False
    starts: ClassVar[Sequence[Array]] = ()
    truth: int

    def judge(self, answer: Result) -> Verdict:
        answer = scored(answer)
        label = answer.label
        right = label == self.truth
        return Verdict(_above_others(answer, self.truth), not right, label, right)


@dataclass(frozen=True, slots=True)
class Targeted:
    """One class that is not the true one. The loss is log of the best other class - log p(target).

    Attributes:
        target: the class.
        starts: pictures of that class.

    Raises:
        ValueError: the target is the true class.
    """

    name: ClassVar[str] = "targeted"
    graded: ClassVar[bool] = False
    truth: int
    target: int
    starts: Sequence[Array] = field(default=(), repr=False)

    def __post_init__(self) -> None:
        if self.target == self.truth:
            raise ValueError(f"the target must be another class than the true one, got {self.target}")

    def judge(self, answer: Result) -> Verdict:
        answer = scored(answer)
        label = answer.label
        return Verdict(-_above_others(answer, self.target), label == self.target, label, label == self.truth)


def untargeted(labels: Sequence[int]) -> list[Goal]:
    """One goal for each true class."""
    return [Untargeted(int(label)) for label in labels]


def scored(answer: Result) -> Classification:
    """The answer of a classifier. Raises TypeError for any other."""
    if not isinstance(answer, Classification):
        raise TypeError(f"a class can only be wanted of a classifier, got {type(answer).__name__}")
    return answer


def _above_others(answer: Classification, label: int) -> float:
    scores = answer.scores.copy()
    own, scores[label] = float(scores[label]), 0
    return math.log(max(own, LEAST)) - math.log(max(float(scores.max()), LEAST))

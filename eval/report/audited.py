"""What an audit's section is made of: all attacks with one goal and one threat, on the same samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from eval.attacks.base import Attack, Threat
from eval.attacks.results import AttackResult
from eval.data.dataset import Expected
from models.card import TaskName
from models.results import Array, Result

__all__ = ["Audited", "Spent"]


@dataclass(frozen=True, slots=True)
class Spent:
    """What one part of an audit asked.

    Attributes:
        queries: images asked about.
        most: that it might have asked; None where nothing limits it.
    """

    part: str
    queries: int
    most: int | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Audited:
    """Rows of everything are the same samples, in the same order.

    Attributes:
        title: of the section.
        results: one an attack, the same goal and threat.
        attacks: what made them, in the same order.
        samples: ids.
        budget: of one sample and attack.
        originals: uint8 RGB `(H, W, 3)`; read one at a time.
        labels: names of the classes.
        truths: of each sample.
        tags: of each sample, column -> value: the slices; empty for none.
        clean: the answer to each original, where it was kept.
        curve: one attack within each of several epsilons, on the first samples.
        goal: as it was asked for, `vanish:1`; by default what the results call it.
    """

    title: str
    task: TaskName
    results: Sequence[AttackResult]
    attacks: Sequence[Attack]
    samples: Sequence[str]
    budget: int
    originals: Sequence[Array]
    labels: Sequence[str]
    truths: Sequence[Expected]
    tags: Sequence[Mapping[str, str]] = ()
    clean: Sequence[Result | None] = ()
    curve: Sequence[AttackResult] = ()
    goal: str = ""

    @property
    def threat(self) -> Threat:
        """What no picture may go beyond."""
        return self.results[0].threat

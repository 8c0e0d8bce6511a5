"""What became of every sample under every attack, one letter each: small enough to keep of ten thousand."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from eval.attacks.results import AttackResult
from models.results import Array

__all__ = ["FELL", "SILENT", "STOOD", "WRONG", "Counts", "Standing", "counted", "counts_of", "standing_of"]

STOOD, FELL, WRONG, SILENT = "s", "f", "w", "e"
LETTERS = STOOD + FELL + WRONG + SILENT


class Counts(NamedTuple):
    """How many samples stood, fell, were wrong when clean, and got no answer."""

    stood: int
    fell: int
    wrong: int
    silent: int

    @property
    def answered(self) -> int:
        """All that something is known of: what every share is of."""
        return self.stood + self.fell + self.wrong

    @property
    def right(self) -> int:
        """Right when clean."""
        return self.stood + self.fell


@dataclass(frozen=True, slots=True)
class Standing:
    """What became of the samples of an audit.

    Attributes:
        goal, threat: what all attacks were after, and what they kept to; in words.
        budget: queries of one sample and attack, at most.
        attacks: names, in the order of the letters.
        samples: sample id -> one letter an attack: `s` it stood, `f` it fell, `w` it was wrong when clean,
            `e` no answer.
    """

    goal: str
    threat: str
    budget: int
    attacks: Sequence[str]
    samples: Mapping[str, str]

    def letters(self, attack: str | None = None) -> Array:
        """`U1` `(N,)`, in the order of the samples: under one attack, or the worst of all.

        Whatever made a sample fall, it fell, also if another attack got no answer; what only some clean
        answers got wrong did not stand either. Without an answer counts only what else would have stood.
        """
        every = np.array([list(told) for told in self.samples.values()], "U1")
        every = every.reshape(len(self.samples), len(self.attacks))
        if attack is not None:
            one: Array = every[:, list(self.attacks).index(attack)]
            return one
        first = np.full(len(every), SILENT, "U1")
        for column in reversed(range(every.shape[1])):  # the first answer about the clean picture counts
            first = np.where(every[:, column] != SILENT, every[:, column], first)
        down = ((every == FELL) | (every == WRONG)).any(axis=1)
        worst: Array = np.where(
            first == WRONG,
            WRONG,
            np.where(down, FELL, np.where((every == SILENT).any(axis=1), SILENT, STOOD)),
        )
        return worst

    def counts(self, attack: str | None = None) -> Counts:
        """Under one attack, or the worst of all."""
        return counted(self.letters(attack))

    def alone(self) -> dict[str, int]:
        """For each attack, the samples that it made fall and no other did."""
        fell = np.array([self.letters(attack) == FELL for attack in self.attacks])
        fell = fell.reshape(len(self.attacks), len(self.samples))
        only = fell & (fell.sum(axis=0) == 1) & (self.letters() == FELL)
        return {name: int(row.sum()) for name, row in zip(self.attacks, only, strict=True)}


def counted(letters: Array) -> Counts:
    """How often each letter is there."""
    return Counts(*(int((letters == letter).sum()) for letter in LETTERS))


def counts_of(result: AttackResult) -> Counts:
    """Of one attack alone."""
    return counted(_letters(result))


def standing_of(
    results: Sequence[AttackResult], samples: Sequence[str], budget: int, goal: str = ""
) -> Standing:
    """Of attacks with the same goal and threat on the same samples, in the same order.

    Samples of the same id are told apart by `#2`, `#3` ...

    Args:
        goal: as it was asked for; by default what the results call it.

    Raises:
        ValueError: there is none, or they do not belong together.
    """
    if not results or any(len(result) != len(samples) for result in results):
        raise ValueError(f"there must be at least one attack, and all on {len(samples)} samples")
    goals, threats = {r.goal for r in results}, {str(r.threat) for r in results}
    if len(goals) > 1 or len(threats) > 1:
        raise ValueError(f"attacks must share goal and threat, got {sorted(goals)} and {sorted(threats)}")
    columns = [_letters(result).tolist() for result in results]
    told = ("".join(row) for row in zip(*columns, strict=True))
    kept = dict(zip(_distinct(samples), told, strict=True))
    return Standing(
        goal or results[0].goal, str(results[0].threat), budget, [r.attack for r in results], kept
    )


def _letters(result: AttackResult) -> Array:
    letters: Array = np.select(
        [result.errors, ~result.clean_correct, result.fooled], [SILENT, WRONG, FELL], STOOD
    )
    return letters


def _distinct(samples: Sequence[str]) -> Iterator[str]:
    seen: Counter[str] = Counter()
    for name in samples:
        seen[name] += 1
        yield name if seen[name] == 1 else f"{name}#{seen[name]}"

"""Which attack is of which kind, and what two of them say of the same samples."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from eval.attacks.noise import UniformNoise
from eval.attacks.results import AttackResult
from eval.attacks.spatial import SpatialGrid
from eval.attacks.tables import ATTACKS
from eval.attacks.transfer import ON_A_TWIN, Transfer
from eval.metrics.intervals import mcnemar_exact
from models.results import Array

__all__ = ["by_decisions", "by_scores", "compared", "is_noise", "on_twin", "significant", "sorted_out"]

POINTS = 0.002  # of the samples; AutoAttack's `check_square_sr`
ALPHA = 0.05


def is_noise(name: str) -> bool:
    """It draws, and searches nothing."""
    return isinstance(ATTACKS.get(name), UniformNoise)


def on_twin(name: str) -> bool:
    """Its pictures were made with the gradients of a twin, or of another model: `transfer_pgd`."""
    return name.removeprefix(f"{Transfer.name}_") in ON_A_TWIN


def by_decisions(name: str) -> bool:
    """It reads nothing of an answer but whether the goal is reached."""
    return name in ATTACKS and ATTACKS[name].minimises


def by_scores(name: str) -> bool:
    """It searches by the loss."""
    tried_out = isinstance(ATTACKS.get(name), SpatialGrid)  # each in turn
    return not (is_noise(name) or on_twin(name) or by_decisions(name) or tried_out)


def sorted_out(results: Iterable[AttackResult]) -> list[list[AttackResult]]:
    """Those that can be compared: of one goal and one threat, on the same samples."""
    groups: dict[tuple[str, str, int], list[AttackResult]] = {}
    for result in results:
        groups.setdefault((result.goal, str(result.threat), len(result)), []).append(result)
    return list(groups.values())


def of_kind(group: Sequence[AttackResult], kind: Callable[[str], bool]) -> list[AttackResult]:
    """Results of the attacks of a kind."""
    return [result for result in group if kind(result.attack)]


def fooled_by(results: Sequence[AttackResult]) -> Array:
    """bool `(N,)`: fooled by at least one."""
    fooled: Array = np.logical_or.reduce([result.fooled for result in results])
    return fooled


def answered(results: Sequence[AttackResult]) -> Array:
    """bool `(N,)`: right when clean, and no attack got no answer."""
    whole: Array = np.logical_and.reduce([r.clean_correct & ~r.errors for r in results])
    return whole


def significant(more: int, less: int, tests: int = 1) -> bool:
    """So many more discordant pairs one way are no chance: McNemar's exact test, Bonferroni's correction."""
    return more > less and mcnemar_exact(more, less) <= ALPHA / tests


def compared(first: Sequence[AttackResult], second: Sequence[AttackResult]) -> tuple[bool, str]:
    """Whether the first together fool more than the second, by over 0.2 points and beyond chance."""
    asked = answered([*first, *second])
    one, other = fooled_by(first) & asked, fooled_by(second) & asked
    more, less = int((one & ~other).sum()), int((other & ~one).sum())
    beyond = more - less > POINTS * len(asked) and significant(more, less)
    names = [", ".join(r.attack for r in results) for results in (first, second)]
    told = (
        f"{names[0]} fooled {int(one.sum())}, {names[1]} {int(other.sum())} of {int(asked.sum())}; "
        f"{more} only the former, {less} only the latter, p = {mcnemar_exact(more, less):.2g}"
    )
    return beyond, told

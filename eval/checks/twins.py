"""Do the gradients of a twin do what gradients do?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from eval.attacks.results import AttackResult
from eval.checks.flag import Finding, Flag, flag, together
from eval.checks.kinds import by_scores, compared, of_kind, on_twin

__all__ = ["SINGLE_STEP", "Proof", "twin_flags"]

SINGLE_STEP = "fgsm"
SURROGATE = "the twin is of another model, whose pictures may fail here for that alone"


class Proof(Protocol):
    """What a twin was held against; its text is the evidence."""

    @property
    def white_box(self) -> bool:
        """It answers as the served graph does; if not, it is a surrogate."""


def twin_flags(groups: Sequence[Sequence[AttackResult]], proof: Proof | None) -> list[Flag]:
    """*black_box_beats_white_box*, *single_step_beats_iterative* and *twin_not_proven*.

    Args:
        proof: None if nobody said.
    """
    ran = any(of_kind(group, on_twin) for group in groups)
    names = ("black_box_beats_white_box", "single_step_beats_iterative")
    if ran and proof is not None and not proof.white_box:
        return [*(flag(name, None, SURROGATE) for name in names), flag("twin_not_proven", True, str(proof))]
    return [
        together(
            names[0],
            (found for group in groups for found in _black_box(group)),
            "needs an iterative attack on a twin and a search by scores",
        ),
        together(
            names[1],
            filter(None, map(_single_step, groups)),
            f"needs {SINGLE_STEP} and an iterative attack on a twin",
        ),
        _proven(ran, proof),
    ]


def _iterative(group: Sequence[AttackResult]) -> list[AttackResult]:
    return [result for result in of_kind(group, on_twin) if result.attack != SINGLE_STEP]


def _black_box(group: Sequence[AttackResult]) -> list[Finding]:
    """Each search on its own: together they would have many tries against one."""
    iterative = _iterative(group)
    return [compared([search], iterative) for search in of_kind(group, by_scores) if iterative]


def _single_step(group: Sequence[AttackResult]) -> Finding | None:
    iterative, single = _iterative(group), [r for r in group if r.attack == SINGLE_STEP]
    return compared(single, iterative) if iterative and single else None


def _proven(ran: bool, proof: Proof | None) -> Flag:
    if not ran:
        return flag("twin_not_proven", None, "no attack on a twin ran")
    if proof is None:
        return flag("twin_not_proven", None, "it was not told what the twin was held against")
    return flag("twin_not_proven", False, str(proof))

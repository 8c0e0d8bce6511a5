"""More room never saves a sample, and enough room saves none."""

from __future__ import annotations

import numpy as np
import pytest

from eval.attacks.base import Threat
from eval.attacks.results import AttackResult
from eval.checks.curve import curve_flags
from tests.eval.checks.results import made, states


def curve(*fooled: int, levels: tuple[float, ...] = (4, 8, 16, 128)) -> list[AttackResult]:
    points = zip(levels, fooled, strict=True)
    return [made("square", count, threat=Threat("linf", level)) for level, count in points]


@pytest.mark.parametrize(
    ("fooled", "monotone", "chance"),
    [
        ((5, 10, 20, 40), False, False),
        ((5, 20, 8, 40), True, False),
        ((5, 10, 8, 40), False, False),  # two samples
        ((5, 10, 20, 22), False, True),
        ((5, 10, 20, 34), False, False),  # as the best constant answer would
        ((0, 0, 0, 0), False, True),
    ],
)
def test_curves(fooled: tuple[int, ...], monotone: bool, chance: bool) -> None:
    assert states(curve_flags(curve(*fooled))) == {
        "curve_not_monotone": monotone,
        "chance_not_reached": chance,
    }


def test_many_steps_need_more_evidence() -> None:
    """Six of six is p = 0.03: enough for one step, not for seven."""
    one = curve(10, 4, levels=(4, 8))
    assert states(curve_flags(one))["curve_not_monotone"] is True
    many = curve(0, 1, 2, 3, 4, 5, 10, 4, levels=tuple(range(1, 9)))
    assert states(curve_flags(many))["curve_not_monotone"] is False


def test_norms_are_not_mixed_up() -> None:
    """128 levels check a curve in L2 too, but are neither more nor less than 600 in that norm."""
    points = [made("square_l2", n, threat=Threat("l2", e)) for e, n in ((300, 5), (600, 40))]
    points.append(made("square", 33, threat=Threat("linf", 128)))
    assert states(curve_flags(points)) == {"curve_not_monotone": False, "chance_not_reached": False}


def test_what_is_not_there_is_not_measured() -> None:
    assert states(curve_flags([])) == {"curve_not_monotone": None, "chance_not_reached": None}
    assert states(curve_flags(curve(5, 9, levels=(4, 8))))["chance_not_reached"] is None
    scenes = [made("square", 3, threat=Threat("linf", 128), labels=np.full(40, -1))]
    assert states(curve_flags(scenes))["chance_not_reached"] is None
    aimed = [made("square", 3, threat=Threat("linf", 128), goal="targeted")]  # grey is of one class only
    assert states(curve_flags(aimed))["chance_not_reached"] is None

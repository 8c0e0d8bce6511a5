"""What the options of an audit come to."""

from __future__ import annotations

from typing import Any

import pytest

from eval.attacks.base import Threat
from eval.attacks.spatial import Spatial
from eval.audits import Audit, plan_of
from eval.errors import EvalError

OPTIONS: dict[str, Any] = {
    "epsilon": 8.0,
    "attacks": "uniform_noise,square",
    "corruptions": "",
    "samples": 3,
    "seed": 0,
    "budget": 50,
    "batch": 8,
    "in_flight": 1,
    "max_queries": None,
    "max_qps": None,
    "authorised": (),
}


def plan(**options: Any) -> Audit:
    return plan_of(**{**OPTIONS, **options})


def test_the_norm_says_what_is_limited() -> None:
    assert (plan().threat, plan().levels) == (Threat("linf", 8), 8)
    euclidean = plan(norm="l2", epsilon=510.0, attacks="square_l2, simba")
    assert (euclidean.threat, euclidean.levels) == (Threat("l2", 510), 510)
    moved = plan(norm="spatial", degrees=10.0, pixels=2.0, attacks="spatial_grid")
    assert (moved.threat, moved.levels) == (Spatial(10, 2), None)


@pytest.mark.parametrize(
    ("norm", "attacks", "message"),
    [
        ("l2", "square", "must keep to l2: one of .*square_l2.*, got 'square'"),
        ("linf", "uniform_noise,square_l2", "must keep to linf: .*, got 'square_l2'"),
        ("spatial", "square", "must keep to spatial: one of spatial_grid, got 'square'"),
        ("linf", "squares", "attack must be one of"),
        ("linf", "", "name at least one"),
    ],
)
def test_an_attack_that_cannot_keep_to_it_is_refused(norm: str, attacks: str, message: str) -> None:
    with pytest.raises(EvalError, match=message):
        plan(norm=norm, attacks=attacks)


def test_more_than_the_range_is_refused_in_linf_only() -> None:
    with pytest.raises(EvalError, match="at most 255 levels in linf, got 256"):
        plan(epsilon=256.0)
    assert plan(epsilon=256.0, norm="l2", attacks="simba").levels == 256

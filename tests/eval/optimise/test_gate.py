"""What may be kept, what is refused and in which words."""

from __future__ import annotations

import pytest

from eval.metrics.paired import Difference
from eval.optimise.evidence import Evidence
from eval.optimise.gate import best, judge, not_inferior
from tests.eval.optimise.made import evidence, robust

BASE = evidence("fp32", difference=None, robust=robust(80))


def verdict(one: Evidence) -> tuple[bool, str]:
    told = judge("classification", one, BASE, margin=0.01, faster=1.05)
    return told.passed, told.reason


@pytest.mark.parametrize(
    ("low", "passed"), [(-0.0099, True), (-0.01, False), (-0.02, False), (0.001, True), (None, False)]
)
def test_the_lower_bound_decides(low: float | None, passed: bool) -> None:
    assert not_inferior(Difference(0.0, low, 0.1, 500), 0.01) is passed


def test_faster_and_as_good_passes() -> None:
    passed, reason = verdict(evidence("int8", 300.0, robust=robust(79)))
    assert passed
    assert reason.startswith("3.00 x")


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (evidence("a", 300.0, difference=(-0.05, -0.07, -0.03)), "it is worse"),
        (evidence("a", 300.0, difference=(0.0, -0.02, 0.02)), "500 images cannot exclude it"),
        (evidence("a", 300.0, difference=(None, None, None)), "undefined"),
        (evidence("a", 104.0), "not faster: 1.04 x"),
        (evidence("a", [300.0] * 5 + [50.0] * 3), "ahead in 5 of 8 rounds"),
        (evidence("a", 300.0, robust=robust(40)), "less robust: -0.4000"),
        (BASE, "compared with"),
    ],
)
def test_refusals_say_why(one: Evidence, words: str) -> None:
    passed, reason = verdict(one)
    assert not passed
    assert words in reason


def test_the_margin_is_the_user_s() -> None:
    one = evidence("a", 300.0, difference=(0.0, -0.015, 0.015))
    assert not judge("classification", one, BASE, margin=0.01, faster=1.05).passed
    assert judge("classification", one, BASE, margin=0.02, faster=1.05).passed


def chosen(*offered: Evidence) -> str | None:
    every = [BASE, *offered]
    verdicts = [judge("classification", e, BASE, margin=0.01, faster=1.05) for e in every]
    found = best(every, verdicts, BASE)
    return found.name if found else None


def test_the_fastest_that_passed_is_chosen() -> None:
    refused = evidence("fast and wrong", 900.0, difference=(-0.5, -0.6, -0.4))
    assert chosen(evidence("slow", 120.0, 0.99), evidence("fast", 300.0, 0.9), refused) == "fast"
    assert chosen(refused) is None


def test_among_equally_fast_ones_the_better_score_decides() -> None:
    noisy = [310.0, 290.0, 310.0, 290.0, 310.0, 290.0, 310.0, 290.0]
    assert chosen(evidence("a", noisy, 0.90), evidence("b", noisy[::-1], 0.91)) == "b"
    assert chosen(evidence("a", 300.0, 0.90), evidence("b", 280.0, 0.91)) == "a"

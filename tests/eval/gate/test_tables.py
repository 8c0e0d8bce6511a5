"""The tables of docs/rollouts.md are true: every count of images that can come is added up."""

from __future__ import annotations

import math
import re
from pathlib import Path

import pytest

from eval.metrics.decision import non_inferior
from eval.metrics.intervals import NORMAL
from eval.metrics.paired import Difference, _score, tango

DOCS = (Path(__file__).parents[3] / "docs" / "rollouts.md").read_text(encoding="utf-8")
FLIPS = (0.0, 0.02, 0.05)  # of the columns
LINES = [line.replace(",", "").split() for line in DOCS.splitlines() if re.match(r"\| [\d.,]+[ ,]", line)]
ROWS = [[float(word) for word in line if word != "|"] for line in LINES]
SIZES = [(margin, flip, int(n)) for margin, *sizes in (r for r in ROWS if len(r) == 4)
         for flip, n in zip(FLIPS, sizes, strict=True)]  # fmt: skip
OUTCOMES = [row for row in ROWS if len(row) == 6]


def chances(n: int, margin: float, flip: float, drop: float = 0.0) -> tuple[float, float]:
    """Of pass and of fail where `flip` of the images are gained, and that and the drop are lost."""
    passed = failed = 0.0
    z, whole = NORMAL.inv_cdf(0.975), math.lgamma(n + 1)
    for gained in _likely(n, flip):
        for lost in _likely(n, flip + drop):
            if gained + lost > n:
                continue
            even = n - gained - lost
            chance = whole - sum(math.lgamma(k + 1) for k in (gained, lost, even))
            for count, share in ((gained, flip), (lost, flip + drop), (even, 1 - 2 * flip - drop)):
                chance += count * math.log(share) if count else 0.0
            score = _score(gained, lost, n, -margin)
            passed += math.exp(chance) * (score > z)
            failed += math.exp(chance) * (score < -z)
    return passed, failed


def _likely(n: int, share: float) -> range:
    if not share:
        return range(1)
    around = 5 * math.sqrt(n * share) + 5
    return range(max(0, int(n * share - around)), min(n, int(n * share + around)) + 1)


def test_both_tables_are_there() -> None:
    assert (len(SIZES), len(OUTCOMES)) == (12, 7)


@pytest.mark.parametrize(("margin", "flip", "n"), SIZES)
def test_so_many_images_pass_in_four_of_five_gates(margin: float, flip: float, n: int) -> None:
    assert chances(n, margin, flip)[0] >= 0.8
    assert chances(int(0.9 * n), margin, flip)[0] < 0.8


@pytest.mark.parametrize("row", OUTCOMES, ids=str)
def test_so_often_a_drop_passes_and_fails(row: list[float]) -> None:
    n, margin, drop, *told = row
    passed, failed = chances(int(n), margin, 0.005 if n > 100 else 0.01, drop)
    assert [passed, failed, 1 - passed - failed] == pytest.approx(told, abs=0.0051)
    if drop == margin:
        assert passed <= 0.025


def test_the_statistic_is_the_gates() -> None:
    """Where the score of a margin lies beyond z, the interval does, and the rule passes."""
    for gained, lost in ((0, 0), (3, 9), (10, 40), (5, 29), (5, 28)):
        told = Difference((gained - lost) / 1000, *tango(gained, lost, 1000), 1000)
        passes = _score(gained, lost, 1000, -0.02) > NORMAL.inv_cdf(0.975)
        assert (non_inferior(told, 0.02) == "pass") is passes

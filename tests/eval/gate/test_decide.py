"""Golden verdicts, and that a bad version gets through as seldom as the confidence says."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy.stats import binom, multinomial

from eval.gate.decide import against, exit_code, require
from eval.gate.measured import Kind, Number
from eval.gate.rules import Against, Need
from eval.metrics.decision import non_inferior
from eval.metrics.intervals import clopper_pearson
from eval.metrics.paired import Difference, paired_bootstrap, tango
from eval.report.document import Verdict
from models.results import Array


def number(value: float | None, low: float | None, high: float | None, kind: Kind = "interval") -> Number:
    return Number(value, low, high, 100, kind)


@pytest.mark.parametrize(
    ("need", "measured", "verdict"),
    [
        (Need(at_least=0.9), number(0.95, 0.9, 0.97), "pass"),
        (Need(at_least=0.9), number(0.95, 0.8999, 0.97), "inconclusive"),
        (Need(at_least=0.9), number(0.85, 0.8, 0.9), "inconclusive"),
        (Need(at_least=0.9), number(0.85, 0.8, 0.8999), "fail"),
        (Need(at_least=0.9, by="value"), number(0.9, 0.8, 1.0), "pass"),
        (Need(at_least=0.9, by="value"), number(0.8999, 0.8, 1.0), "fail"),
        (Need(at_most=0.05), number(0.04, 0.03, 0.05), "pass"),
        (Need(at_most=0.05), number(0.04, 0.03, 0.0501), "inconclusive"),
        (Need(at_most=0.05), number(0.06, 0.05, 0.07), "inconclusive"),
        (Need(at_most=0.05), number(0.06, 0.0501, 0.07), "fail"),
        (Need(at_most=0.0), number(0, None, None, "exact"), "pass"),
        (Need(at_most=0.0), number(1, None, None, "exact"), "fail"),
        (Need(at_most=0.5), number(0.4, None, None, "plain"), "error"),
        (Need(at_most=0.5, by="value"), number(0.4, None, None, "plain"), "pass"),
        (Need(at_most=0.5), number(0.4, None, None), "inconclusive"),
        (Need(at_least=0.5), number(None, None, None), "inconclusive"),
        (Need(at_least=0.5, by="value"), number(None, None, None), "inconclusive"),
    ],
)
def test_thresholds(need: Need, measured: Number, verdict: Verdict) -> None:
    assert require("score", need, measured).verdict == verdict


def difference(
    value: float | None, low: float | None, high: float | None, *, lower: bool = False
) -> Difference:
    return Difference(value, low, high, 100, lower)


@pytest.mark.parametrize(
    ("rule", "measured", "verdict"),
    [
        (Against(not_worse_by=0.01), difference(0.0, -0.009, 0.02), "pass"),
        (Against(not_worse_by=0.01), difference(0.0, -0.011, 0.02), "inconclusive"),
        (Against(not_worse_by=0.01), difference(-0.03, -0.05, -0.011), "fail"),
        (Against(not_worse_by=0.01), difference(0.0, -0.02, 0.009, lower=True), "pass"),
        (Against(not_worse_by=0.01), difference(0.0, -0.02, 0.011, lower=True), "inconclusive"),
        (Against(not_worse_by=0.01), difference(0.03, 0.011, 0.05, lower=True), "fail"),
        (Against(better_by=0), difference(0.02, 0.001, 0.03), "pass"),
        (Against(better_by=0), difference(0.02, -0.001, 0.03), "inconclusive"),
        (Against(better_by=0), difference(-0.02, -0.03, -0.001), "fail"),
        (Against(better_by=0.01), difference(-0.02, -0.03, -0.011, lower=True), "pass"),
        (Against(not_worse_by=0.01, by="value"), difference(-0.01, None, None), "pass"),
        (Against(not_worse_by=0.01, by="value"), difference(0.02, None, None, lower=True), "fail"),
        (Against(better_by=0, by="value"), difference(0.0, None, None), "fail"),
        (Against(better_by=0, by="value"), difference(-0.1, None, None, lower=True), "pass"),
        (Against(not_worse_by=0.01), difference(0.0, None, None), "inconclusive"),
        (Against(not_worse_by=0.01), difference(None, None, None), "inconclusive"),
        (Against(at_most=0.05), number(0.02, 0.01, 0.04), "pass"),
        (Against(at_most=0.05), number(0.06, 0.051, 0.08), "fail"),
    ],
)
def test_margins(rule: Against, measured: Number | Difference, verdict: Verdict) -> None:
    assert against("score", rule, measured).verdict == verdict


def test_what_is_open_says_how_many_images_would_decide() -> None:
    check = require("accuracy", Need(at_least=0.9), Number(0.92, 0.84, 1.0, 100))
    assert check.message.endswith("100 images; about 1,600 would decide if the number stays")
    below = require("accuracy", Need(at_least=0.9), Number(0.89, 0.8, 0.91, 100))
    assert below.message.endswith("100 images; about 400 would decide if the number stays")
    near = require("accuracy", Need(at_least=0.9), Number(0.9 + 1e-6, 0.84, 1.0, 100))
    assert "no number of images is practical" in near.message
    line = require("accuracy", Need(at_least=0.9), Number(0.9, 0.84, 0.96, 100))
    assert "on the line" in line.message
    margin = against("accuracy", Against(not_worse_by=0.01), Difference(0.0, -0.02, 0.02, 400))
    assert "400 images tell the difference to ±0.02; about 3,300 would decide" in margin.message
    better = against("ece_error", Against(better_by=0), Difference(-0.01, -0.03, 0.01, 100, True))
    assert better.message.endswith("100 images; about 400 would decide if the number stays")


@pytest.mark.parametrize(("share", "n"), [(0.9, 50), (0.95, 100), (0.99, 400), (0.5, 30), (0.8, 999)])
def test_a_share_on_the_line_passes_in_one_of_forty_runs_at_most(share: float, n: int) -> None:
    """Exactly: the sum over all outcomes, no simulation."""
    passes = fails = 0.0
    for right in range(n + 1):
        measured = Number(right / n, *clopper_pearson(right, n), n)
        chance = float(binom.pmf(right, n, share))
        verdict = require("accuracy", Need(at_least=share), measured).verdict
        passes += chance * (verdict == "pass")
        fails += chance * (verdict == "fail")
    assert passes <= 0.025
    assert fails <= 0.025


@pytest.mark.parametrize(("n", "lost", "margin"), [(60, 0.15, 0.05), (100, 0.1, 0.1), (80, 0.05, 0.02)])
def test_a_version_worse_by_the_margin_passes_in_about_one_of_forty_runs(
    n: int, lost: float, margin: float
) -> None:
    """Exactly, over all outcomes of n images: Tango's interval keeps its level near enough."""
    gained = lost - margin
    chances = multinomial(n, [gained, lost, 1 - gained - lost])
    passes = 0.0
    for won, away in product(range(n + 1), repeat=2):
        chance = float(chances.pmf([won, away, n - won - away])) if won + away <= n else 0.0
        if chance > 1e-7:
            apart = Difference((won - away) / n, *tango(won, away, n), n)
            passes += chance * (non_inferior(apart, margin) == "pass")
    assert 0.01 < passes < 0.035


def test_power_when_both_are_equally_good() -> None:
    """What the advice promises: with as many images, four of five such runs pass."""
    rng = np.random.default_rng(11)
    margin, discordant = 0.03, 0.1
    n = math.ceil(((1.96 + 0.8416) / margin) ** 2 * discordant)
    passed = []
    for _ in range(400):
        gained, lost, _ = rng.multinomial(n, [discordant / 2, discordant / 2, 1 - discordant])
        apart = Difference((gained - lost) / n, *tango(int(gained), int(lost), n), n)
        passed.append(non_inferior(apart, margin) == "pass")
    assert 0.72 < np.mean(passed) < 0.88


def test_the_bootstrap_at_the_margin() -> None:
    """A mean that is worse by exactly the margin: 2.5 %, up to the error of the bootstrap itself."""
    rng = np.random.default_rng(3)
    n, margin, passed = 80, 0.1, []
    for _ in range(300):
        before = rng.normal(1.0, 1.0, n)
        after = before - margin + rng.normal(0.0, 0.3, n)

        def mean(values: Array) -> object:
            return lambda times: (times @ values / times.sum(axis=1))[:, None]

        value, interval = paired_bootstrap(mean(after), mean(before), n, resamples=200)  # type: ignore[arg-type]
        passed.append(non_inferior(Difference(value, *interval, n), margin) == "pass")
    assert 0.005 < np.mean(passed) < 0.06


def test_the_gravest_verdict_is_the_exit_code() -> None:
    assert exit_code(["pass", "pass"]) == 0
    assert exit_code(["pass", "fail", "inconclusive"]) == 1
    assert exit_code(["pass", "inconclusive"]) == 3
    assert exit_code(["fail", "error", "inconclusive"]) == 2
    assert exit_code([]) == 0

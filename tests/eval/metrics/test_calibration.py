"""ECE under three edge rules, Brier score and log loss, against slow loops and scikit-learn."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
from sklearn import metrics as sklearn

from eval.metrics.calibration import CalibrationMetric, Edges, bin_of
from models.results import Array, Classification
from tests.eval.metrics.oracles import by_name, values

RULES: tuple[Edges, ...] = ("guo", "netcal", "torchmetrics")


def slow_bin(confidence: float, bins: int, edges: Edges) -> int:
    """Reads like the rule. Edges are those of float32, as the scores are."""
    limits = [float(np.float32(i / bins)) for i in range(bins + 1)]
    for i in range(bins):
        left, right = limits[i], limits[i + 1]
        if edges == "guo" and (left < confidence <= right or (i == 0 and confidence == 0)):
            return i
        if edges != "guo" and (
            left <= confidence < right or (edges == "netcal" and i == bins - 1 and confidence == 1)
        ):
            return i
    assert edges == "torchmetrics"
    assert confidence == 1
    return bins


def slow_gaps(
    confidences: list[float], right: list[bool], bins: int, edges: Edges
) -> list[tuple[int, float]]:
    """(images, |accuracy - confidence|) of the bins that hold any."""
    members: dict[int, list[int]] = {}
    for i, confidence in enumerate(confidences):
        members.setdefault(slow_bin(confidence, bins, edges), []).append(i)
    gaps = []
    for rows in members.values():
        accuracy = sum(right[i] for i in rows) / len(rows)
        gaps.append((len(rows), abs(accuracy - sum(confidences[i] for i in rows) / len(rows))))
    return gaps


def rounded_answers(seed: int, count: int = 200, classes: int = 4) -> tuple[Array, Array]:
    """Scores in tenths, many on edges and some exactly 1."""
    rng = np.random.default_rng(seed)
    scores = np.round(rng.dirichlet(np.full(classes, 0.3), count), 1)
    scores[:20] = np.eye(classes)[rng.integers(0, classes, 20)]
    truth = np.where(rng.random(count) < 0.6, scores.argmax(axis=1), rng.integers(0, classes, count))
    return scores.astype(np.float32), truth


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("bins", [10, 15])
@pytest.mark.parametrize("edges", RULES)
def test_ece_and_mce_agree_with_a_slow_loop(seed: int, bins: int, edges: Edges) -> None:
    scores, truth = rounded_answers(seed)
    metric = CalibrationMetric("abcd", bins=bins, edges=edges, resamples=0)
    metric.update([Classification(row) for row in scores], truth.tolist())
    confidences = scores.max(axis=1).astype(float).tolist()
    gaps = slow_gaps(confidences, (scores.argmax(axis=1) == truth).tolist(), bins, edges)
    ours = values(metric)
    assert ours["ece_error"] == pytest.approx(sum(n * gap for n, gap in gaps) / len(truth), abs=1e-12)
    assert ours["mce_error"] == pytest.approx(max(gap for _, gap in gaps), abs=1e-12)
    diagram = metric.reliability()
    assert sum(bar.count for bar in diagram) == len(truth)
    assert len(diagram) == bins + (edges == "torchmetrics")
    for bar in diagram:
        assert (bar.accuracy is None) == (bar.count == 0)
        if bar.accuracy is not None:
            assert bar.confidence is not None
            assert bar.low is not None
            assert bar.high is not None
            assert bar.low <= bar.accuracy <= bar.high
            assert bar.left - 1e-6 <= bar.confidence <= bar.right + 1e-6


def test_the_rules_part_at_the_edges() -> None:
    edges = np.array([0, 0.2, 1], np.float32)
    assert bin_of(edges, 5, "guo").tolist() == [0, 0, 4]
    assert bin_of(edges, 5, "netcal").tolist() == [0, 1, 4]
    assert bin_of(edges, 5, "torchmetrics").tolist() == [0, 1, 5]
    assert bin_of(edges.astype(float), 5, "netcal").tolist() == [0, 1, 4]  # float32(0.2) > 0.2


def test_three_published_rules_give_three_numbers() -> None:
    """At 1 torchmetrics has a bin more; at 0.6, an edge of five bins, Guo looks left and netcal right."""
    tops = np.array([1.0, 0.95, 0.6, 0.5], np.float32)
    wrong = np.array([True, False, False, True])
    answers = [Classification(np.array([top, 1 - top], np.float32)) for top in tops]
    found = {}
    for edges in RULES:
        metric = CalibrationMetric("ab", bins=5, edges=edges, resamples=0)
        metric.update(answers, wrong.astype(int).tolist())
        found[edges] = values(metric)["ece_error"]
    pair, at_one = abs(1 - 1.95), abs(0 - 1) + abs(1 - 0.95)  # one bin, or two
    left, right = abs(1 - 1.1), abs(1 - 0.6) + abs(0 - 0.5)
    assert found == {
        "guo": pytest.approx((pair + left) / 4),
        "netcal": pytest.approx((pair + right) / 4),
        "torchmetrics": pytest.approx((at_one + right) / 4),
    }
    assert len(set(found.values())) == 3


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("bins", [1, 10, 15])
def test_bins_of_equal_mass(seed: int, bins: int) -> None:
    """Sorted and cut into equal parts; what is equal stays where its first is."""
    scores, truth = rounded_answers(seed)
    metric = CalibrationMetric("abcd", bins=bins, edges="mass", resamples=0)
    metric.update([Classification(row) for row in scores], truth.tolist())
    tops, right = scores.max(axis=1).astype(float).tolist(), (scores.argmax(axis=1) == truth).tolist()
    ordered = sorted(tops)
    members: dict[int, list[int]] = {}
    for i, top in enumerate(tops):
        members.setdefault(math.floor(ordered.index(top) / len(tops) * bins + 1e-9), []).append(i)
    ece = sum(abs(sum(right[i] - tops[i] for i in rows)) for rows in members.values()) / len(tops)
    assert values(metric)["ece_error"] == pytest.approx(ece, abs=1e-12)
    bars = metric.reliability()
    assert [bar.count for bar in bars] == [len(members[k]) for k in sorted(members)]
    assert all(one.right < other.left for one, other in pairwise(bars))


def test_bins_of_equal_mass_hold_equally_many() -> None:
    confidences = np.random.default_rng(0).permutation(np.linspace(0.3, 1, 90).astype(np.float32))
    assert np.bincount(bin_of(confidences, 15, "mass")).tolist() == [6] * 15
    assert (np.diff(bin_of(np.sort(confidences), 15, "mass")) >= 0).all()


@pytest.mark.parametrize("seed", range(5))
def test_brier_and_log_loss_agree_with_scikit_learn(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, truth = rng.dirichlet(np.full(3, 0.1), 80), rng.integers(0, 3, 80)
    scores[:3] = np.eye(3)[[0, 1, 2]]  # certain, right or wrong: the clip decides
    metric = CalibrationMetric("abc")
    metric.update([Classification(row) for row in scores], truth.tolist())
    ours = by_name(metric)
    brier = sklearn.brier_score_loss(truth, scores, labels=[0, 1, 2], scale_by_half=False)
    assert ours["brier_loss"].value == pytest.approx(brier, abs=1e-12)
    assert ours["nll_loss"].value == pytest.approx(
        sklearn.log_loss(truth, scores, labels=[0, 1, 2]), rel=1e-12
    )
    for name in ("brier_loss", "nll_loss"):
        low, high, value = ours[name].low, ours[name].high, ours[name].value
        assert low is not None
        assert high is not None
        assert value is not None
        assert low < value < high


def test_float32_scores_are_clipped_as_float64() -> None:
    """scikit-learn clips at the eps of the type it is given; a float32 loss of 36 becomes 16."""
    theirs = sklearn.log_loss([1], np.array([[1, 0]], np.float32), labels=[0, 1])
    assert theirs == pytest.approx(-math.log(np.finfo(np.float32).eps), rel=1e-3)
    metric = CalibrationMetric("ab")
    metric.update([Classification(np.array([1, 0], np.float32))], [1])
    assert values(metric)["nll_loss"] == pytest.approx(-math.log(np.finfo(np.float64).eps))


def test_brier_is_between_nothing_and_two() -> None:
    metric = CalibrationMetric("ab")
    metric.update([Classification(np.array([1.0, 0.0]))], [1])
    assert values(metric)["brier_loss"] == 2.0
    assert sklearn.brier_score_loss([1], [0.0]) == 1.0  # of two classes scikit-learn says half, untold


def test_a_calibrated_service_has_a_small_ece() -> None:
    rng = np.random.default_rng(7)
    scores = rng.dirichlet(np.ones(3), 4000)
    truth = [int(rng.choice(3, p=row)) for row in scores]
    metric = CalibrationMetric("abc")
    metric.update([Classification(row) for row in scores], truth)
    ece = by_name(metric)["ece_error"]
    assert ece.value is not None
    assert ece.value < 0.03


@pytest.mark.parametrize(
    ("options", "message"), [({"edges": "numpy"}, "edges must be one of"), ({"bins": 0}, "bins at least 1")]
)
def test_settings_are_checked(options: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CalibrationMetric("ab", **options)  # type: ignore[arg-type]


def test_scores_that_are_no_probabilities_are_refused() -> None:
    metric = CalibrationMetric("ab")
    with pytest.raises(ValueError, match=r"scores must be in \[0, 1\], got -1.0 to 2.0"):
        metric.update([Classification(np.array([2.0, -1.0]))], [0])
    with pytest.raises(ValueError, match="confidence must be in"):
        bin_of(np.array([1.5]))
    with pytest.raises(ValueError, match="must be the same"):
        metric.merge(CalibrationMetric("ab", bins=10))


def test_the_diagram_is_the_same_to_the_last_bit_whatever_came_first() -> None:
    """Reports are compared byte by byte, and answers arrive as they please. Sums of float64 would tell."""
    rng = np.random.default_rng(4)
    scores, truth = rng.dirichlet(np.ones(3), 300), rng.integers(0, 3, 300)
    diagrams = []
    for order in (np.arange(300), np.arange(300)[::-1], rng.permutation(300)):
        metric = CalibrationMetric("abc", bins=3)
        metric.update([Classification(scores[i]) for i in order], truth[order].tolist())
        diagrams.append(metric.reliability())
    assert diagrams[0] == diagrams[1] == diagrams[2]

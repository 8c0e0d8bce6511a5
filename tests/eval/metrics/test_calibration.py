"""ECE under three edge rules, Brier score and log loss, against slow loops and scikit-learn."""

from __future__ import annotations

import math
from typing import get_args

import numpy as np
import pytest
from sklearn import metrics as sklearn

from eval.metrics.calibration import CalibrationMetric, Edges, bin_of
from models.results import Array, Classification
from tests.eval.metrics.oracles import by_name, values

RULES: tuple[Edges, ...] = get_args(Edges)


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


def test_a_confidence_of_one_changes_the_number() -> None:
    """Half at 1 (all right), half at 0.95 (all wrong): one bin for Guo, two for torchmetrics."""
    answers = [Classification(np.array([1.0, 0.0])), Classification(np.array([0.95, 0.05]))]
    found = {}
    for edges in RULES:
        metric = CalibrationMetric("ab", edges=edges)
        metric.update(answers, [0, 1])
        found[edges] = values(metric)["ece_error"]
    assert found == {
        "guo": pytest.approx(0.475),
        "netcal": pytest.approx(0.475),
        "torchmetrics": pytest.approx(0.475),
    }
    metric = CalibrationMetric("ab", edges="torchmetrics")
    metric.update(answers, [0, 1])
    assert values(metric)["mce_error"] == pytest.approx(0.95)


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
    metric = CalibrationMetric("ab")
    metric.update([Classification(np.array([1, 0], np.float32))], [1])
    assert values(metric)["nll_loss"] == pytest.approx(-math.log(np.finfo(np.float64).eps))


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

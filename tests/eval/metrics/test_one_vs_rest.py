"""ROC-AUC and average precision are scikit-learn's, with ties, absent classes and few images."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from eval.metrics import one_vs_rest, spool
from eval.metrics.one_vs_rest import OneVsRestMetric
from models.results import Array, Classification
from tests.eval.metrics.oracles import by_name, values


def drawn(seed: int, classes: int, count: int, digits: int) -> tuple[Array, Array]:
    """Scores rounded as services round them, so that ties abound; the last class may never be there."""
    rng = np.random.default_rng(seed)
    scores = np.round(rng.dirichlet(np.full(classes, 0.5), count), digits).astype(np.float32)
    best = np.where(rng.random(count) < 0.5, scores.argmax(axis=1), rng.integers(0, classes, count))
    return scores, np.minimum(best, max(classes - 2, 0))


def fed(scores: Array, truth: Array, **options: int) -> OneVsRestMetric:
    metric = OneVsRestMetric([f"c{i}" for i in range(scores.shape[1])], **options)
    metric.update([Classification(row) for row in scores], truth.tolist())
    return metric


def theirs(scores: Array, truth: Array) -> dict[str, float | None]:
    """scikit-learn's numbers class by class, and their means over what is defined."""
    found: dict[str, float | None] = {}
    classes = scores.shape[1]
    images = np.bincount(truth, minlength=classes)
    for kind in ("roc_auc", "average_precision"):
        per_class = []
        for k in range(classes):
            wanted = truth == k
            known = wanted.any() and (kind != "roc_auc" or not wanted.all())
            number = getattr(sklearn, f"{kind}_score")(wanted, scores[:, k]) if known else math.nan
            per_class.append(float(number))
            found[f"{kind}.class.c{k}"] = per_class[-1] if known else None
        there = [k for k in range(classes) if not math.isnan(per_class[k])]
        column = [per_class[k] for k in there]
        found[f"{kind}.macro"] = float(np.mean(column)) if there else None
        found[f"{kind}.weighted"] = float(np.average(column, weights=images[there])) if there else None
    return found


@given(st.integers(0, 2**32), st.integers(1, 6), st.integers(1, 50), st.integers(0, 3))
@settings(max_examples=120, deadline=None)
def test_agrees_with_scikit_learn(seed: int, classes: int, count: int, digits: int) -> None:
    scores, truth = drawn(seed, classes, count, digits)
    ours = values(fed(scores, truth, resamples=0))
    for name, value in theirs(scores, truth).items():
        assert ours[name] == (None if value is None else pytest.approx(value, abs=1e-12)), name


@pytest.mark.parametrize("average", ["macro", "weighted"])
def test_averages_are_scikit_learn_s_own(average: str) -> None:
    scores = np.random.default_rng(2).dirichlet(np.ones(4), 90).astype(np.float32)
    truth = np.random.default_rng(3).integers(0, 4, 90)
    ours = values(fed(scores, truth, resamples=0))
    auc = sklearn.roc_auc_score(truth, scores, multi_class="ovr", average=average)
    assert ours[f"roc_auc.{average}"] == pytest.approx(auc, abs=1e-12)
    precision = sklearn.average_precision_score(truth, scores, average=average)
    assert ours[f"average_precision.{average}"] == pytest.approx(precision, abs=1e-12)


@given(st.integers(0, 2**32), st.integers(2, 5), st.integers(2, 30))
@settings(max_examples=40, deadline=None)
def test_a_weight_is_so_many_copies(seed: int, classes: int, count: int) -> None:
    """What the bootstrap reads is what scikit-learn says of the resampled images."""
    scores, truth = drawn(seed, classes, count, 1)
    rows = np.random.default_rng(seed).integers(0, count, count)
    times = np.bincount(rows, minlength=count)[None]
    resampled = fed(scores, truth, resamples=0).resampled()
    told = dict(zip(resampled.names, resampled.values(times)[0].tolist(), strict=True))
    for name, value in theirs(scores[rows], truth[rows]).items():
        expected = math.nan if value is None else pytest.approx(value, abs=1e-12)
        assert told[name] == expected or (value is None and math.isnan(told[name])), name


def test_intervals_are_quantiles_of_resampled_images() -> None:
    scores, truth = drawn(5, 4, 120, 2)
    score = by_name(fed(scores, truth, resamples=1000))["roc_auc.macro"]
    rng = np.random.default_rng(0)
    drawn_rows = [rng.integers(0, 120, 120) for _ in range(400)]
    slow = np.array([theirs(scores[i], truth[i])["roc_auc.macro"] for i in drawn_rows], float)
    assert (score.low, score.high) == pytest.approx(tuple(np.quantile(slow, [0.025, 0.975])), abs=0.015)
    assert score.low is not None
    assert score.high is not None
    assert score.value is not None
    assert score.low < score.value < score.high


def test_too_much_to_resample_has_no_interval(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, truth = drawn(5, 4, 60, 2)
    few = fed(scores, truth, resamples=10)
    assert by_name(few)["roc_auc.macro"].low is not None
    before = values(few)
    monkeypatch.setattr(one_vs_rest, "MOST_WORK", 60 * 4 * 10 - 1)
    assert by_name(few)["roc_auc.macro"].low is None
    assert values(few) == before


def test_what_lies_in_a_file_is_read_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    scores, truth = drawn(7, 5, 80, 2)
    in_memory = fed(scores, truth).compute()
    monkeypatch.setattr(spool, "MOST_BYTES", 100)
    monkeypatch.setattr(spool, "BLOCK_BYTES", 64)
    assert fed(scores, truth).compute() == in_memory


@pytest.mark.parametrize("seed", range(5))
def test_classwise_error_agrees_with_a_slow_loop(seed: int) -> None:
    scores, truth = drawn(seed, 4, 70, 2)
    limits = [float(np.float32(i / 15)) for i in range(16)]
    total = 0.0
    for k in range(4):
        for i in range(15):
            column = scores[:, k].astype(float)
            inside = (column > limits[i]) & (column <= limits[i + 1]) | ((i == 0) & (column == 0))
            total += abs(float((truth[inside] == k).sum() - column[inside].sum())) / 70 / 4
    assert values(fed(scores, truth))["classwise_ece_error"] == pytest.approx(total, abs=1e-12)


def test_the_best_and_the_worst() -> None:
    truth = np.array([0, 0, 1, 1, 1])
    scores = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.2, 0.8], [0.1, 0.9]], np.float32)
    best, worst = values(fed(scores, truth)), values(fed(scores, 1 - truth))
    assert best["roc_auc.macro"] == best["average_precision.macro"] == 1.0
    assert worst["roc_auc.macro"] == 0.0
    same = values(fed(np.full((5, 2), 0.5, np.float32), truth))
    assert same["roc_auc.class.c0"] == 0.5
    assert same["average_precision.class.c0"] == pytest.approx(2 / 5)


@given(st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_only_the_order_of_scores_matters(seed: int) -> None:
    scores, truth = drawn(seed, 3, 30, 2)
    squared = scores.astype(np.float32) ** 2
    before, after = (values(fed(s, truth, resamples=0)) for s in (scores, squared))
    del before["classwise_ece_error"], after["classwise_ece_error"]
    if len(np.unique(squared)) == len(np.unique(scores)):
        assert before == after

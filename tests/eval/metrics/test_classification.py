"""Every classification number is scikit-learn's."""

from __future__ import annotations

from typing import Any, get_args

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as sklearn

from eval.metrics.classification import ClassificationMetric, Ties
from eval.metrics.labels import distinct
from models.results import Array, Classification
from tests.eval.metrics.oracles import by_name, values


def answers(guesses: Array, classes: int) -> list[Classification]:
    return [Classification(np.eye(classes, dtype=np.float32)[g]) for g in guesses]


def measured(truth: Array, guesses: Array, classes: int) -> ClassificationMetric:
    metric = ClassificationMetric([f"c{i}" for i in range(classes)], resamples=0)
    metric.update(answers(guesses, classes), truth.tolist())
    return metric


@pytest.mark.filterwarnings("ignore:::sklearn")  # predictions without truth, one class only
@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(1, 60))
@settings(max_examples=150, deadline=None)
def test_agrees_with_scikit_learn(seed: int, classes: int, count: int) -> None:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, rng.integers(1, classes + 1), count)
    guesses = np.where(rng.random(count) < 0.5, truth, rng.integers(0, classes, count))
    metric = measured(truth, guesses, classes)
    ours = values(metric)
    everything = list(range(classes))
    assert (metric.confusion == sklearn.confusion_matrix(truth, guesses, labels=everything)).all()
    assert ours["accuracy"] == pytest.approx(sklearn.accuracy_score(truth, guesses), abs=1e-12)
    for average in ("macro", "micro", "weighted"):
        theirs = sklearn.precision_recall_fscore_support(truth, guesses, average=average, zero_division=0)
        for kind, value in zip(("precision", "recall", "f1"), theirs, strict=False):
            assert ours[f"{kind}.{average}"] == pytest.approx(value, abs=1e-12), (kind, average)
    per_class = sklearn.precision_recall_fscore_support(
        truth, guesses, labels=everything, average=None, zero_division=np.nan
    )
    for kind, column in zip(("precision", "recall", "f1"), per_class, strict=False):
        for k, value in enumerate(column.tolist()):
            expected = None if np.isnan(value) else pytest.approx(value, abs=1e-12)
            assert ours[f"{kind}.class.c{k}"] == expected, (kind, k)
    balanced = sklearn.balanced_accuracy_score(truth, guesses)
    kappa, mcc = sklearn.cohen_kappa_score(truth, guesses), sklearn.matthews_corrcoef(truth, guesses)
    assert ours["balanced_accuracy"] == pytest.approx(balanced, abs=1e-12)
    assert ours["kappa"] == (None if np.isnan(kappa) else pytest.approx(kappa, abs=1e-12))
    undefined = len(set(truth.tolist())) == 1 or len(set(guesses.tolist())) == 1
    assert ours["mcc"] == (None if undefined else pytest.approx(mcc, abs=1e-12))


def test_macro_runs_over_what_was_seen() -> None:
    """Class 2 is neither there nor predicted; class 1 is only predicted."""
    ours = values(measured(np.array([0, 0]), np.array([0, 1]), 3))
    assert ours["recall.macro"] == 0.25
    assert ours["precision.macro"] == 0.5
    assert ours["recall.class.c1"] is None
    assert ours["precision.class.c1"] == 0.0
    assert ours["precision.class.c2"] is ours["f1.class.c2"] is None


@pytest.mark.parametrize("seed", range(20))
def test_top5_agrees_with_a_sort(seed: int) -> None:
    """Rounded scores, as services answer them: ties everywhere."""
    rng = np.random.default_rng(seed)
    scores = np.round(rng.dirichlet(np.ones(8), 50), 1).astype(np.float32)
    truth = rng.integers(0, 8, 50)
    metric = ClassificationMetric([str(i) for i in range(8)], resamples=0)
    metric.update([Classification(row) for row in scores], truth.tolist())
    hits = [
        y in sorted(range(8), key=lambda k: (-row[k], k))[:5] for row, y in zip(scores, truth, strict=True)
    ]
    assert values(metric)["top5_accuracy"] == np.mean(hits)
    assert hits == [y in Classification(row).top(5) for row, y in zip(scores, truth, strict=True)]
    first = [row.tolist().index(row.max()) == y for row, y in zip(scores, truth, strict=True)]
    assert values(metric)["accuracy"] == np.mean(first)


@pytest.mark.parametrize("k", [1, 2, 3, 7])
@pytest.mark.parametrize("seed", range(8))
def test_top_k_with_scikit_learn_s_ties_is_its_own(seed: int, k: int) -> None:
    """Ties go to the higher index there, to the lower here; services round, so it shows."""
    rng = np.random.default_rng(seed)
    scores = np.round(rng.dirichlet(np.ones(8), 60), 1).astype(np.float32)
    truth = rng.integers(0, 8, 60)
    found = {}
    for ties in get_args(Ties):
        metric = ClassificationMetric([str(i) for i in range(8)], k=k, ties=ties, resamples=0)
        metric.update([Classification(row) for row in scores], truth.tolist())
        found[ties] = by_name(metric)[f"top{k}_accuracy"]
    theirs = sklearn.top_k_accuracy_score(truth, scores, k=k, labels=range(8))
    assert found["sklearn"].value == pytest.approx(theirs, abs=1e-12)
    turned = sklearn.top_k_accuracy_score(7 - truth, scores[:, ::-1], k=k, labels=range(8))
    assert found["lower_index"].value == pytest.approx(turned, abs=1e-12)
    assert found["sklearn"].definition == f"sklearn/top_k_accuracy_score,k={k}"
    assert found["lower_index"].definition == f"assay/top{k}_accuracy,ties=lower_index"


def test_ties_are_the_difference() -> None:
    tied = Classification(np.full(4, 0.25, np.float32))
    for ties, expected in (("lower_index", [1.0, 1.0, 0.0, 0.0]), ("sklearn", [0.0, 0.0, 1.0, 1.0])):
        for label, value in enumerate(expected):
            metric = ClassificationMetric("abcd", k=2, ties=ties, resamples=0)  # type: ignore[arg-type]
            metric.update([tied], [label])
            assert values(metric)["top2_accuracy"] == value


def test_top_1_is_accuracy() -> None:
    metric = ClassificationMetric("abc", k=1, resamples=0)
    metric.update(
        [Classification(np.array([0.4, 0.4, 0.2])), Classification(np.array([0.2, 0.4, 0.4]))], [0, 2]
    )
    assert values(metric)["top1_accuracy"] == values(metric)["accuracy"] == 0.5


@pytest.mark.parametrize("options", [{"ties": "higher"}, {"k": 0}])
def test_a_top_k_that_is_none_is_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"ties must be one of .* and k at least 1, got"):
        ClassificationMetric("abc", **options)


def test_accuracy_is_the_plain_fraction_not_torchmetrics_macro_default() -> None:
    """`torchmetrics.MulticlassAccuracy` says 0.5 here: its default is the mean recall of the classes."""
    ours = values(measured(np.array([0] * 9 + [1]), np.zeros(10, np.int64), 2))
    assert ours["accuracy"] == 0.9
    assert ours["balanced_accuracy"] == 0.5


@pytest.mark.filterwarnings("ignore:::sklearn")
def test_classes_that_are_nowhere_are_left_out_as_in_torchmetrics() -> None:
    """scikit-learn does so by default, too; told all `labels` it counts them as 0."""
    truth = np.array([0, 0, 1, 1])
    ours = values(measured(truth, truth, 4))
    assert ours["f1.macro"] == sklearn.f1_score(truth, truth, average="macro") == 1.0
    assert sklearn.f1_score(truth, truth, labels=range(4), average="macro", zero_division=0) == 0.5


def test_f1_comes_from_counts_not_from_precision_and_recall() -> None:
    """Class 1 is there and never predicted: precision is 0 / 0, F1 is 0."""
    ours = values(measured(np.array([0, 1]), np.array([0, 0]), 2))
    assert ours["precision.class.c1"] is None
    assert ours["f1.class.c1"] == 0.0


def test_top5_needs_more_than_five_classes() -> None:
    assert "top5_accuracy" not in values(ClassificationMetric("abcde"))
    assert "top5_accuracy" in values(ClassificationMetric("abcdef"))


def test_every_number_has_an_interval_that_holds_it() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 4, 300)
    guesses = np.where(rng.random(300) < 0.7, truth, rng.integers(0, 4, 300))
    metric = ClassificationMetric("abcd")
    metric.update(answers(guesses, 4), truth.tolist())
    for score in metric.compute():
        assert score.value is not None
        assert score.low is not None
        assert score.high is not None
        assert score.low < score.value < score.high, score.name
        assert score.high - score.low < 0.35, score.name


def test_the_bootstrap_agrees_with_resampling_the_images() -> None:
    """Resampling counts is resampling images: the spread of macro F1 is that of scikit-learn's."""
    rng = np.random.default_rng(1)
    truth = rng.integers(0, 3, 200)
    guesses = np.where(rng.random(200) < 0.6, truth, rng.integers(0, 3, 200))
    metric = ClassificationMetric("abc", resamples=2000)
    metric.update(answers(guesses, 3), truth.tolist())
    drawn = [rng.integers(0, 200, 200) for _ in range(600)]
    slow = [sklearn.f1_score(truth[i], guesses[i], average="macro") for i in drawn]
    score = by_name(metric)["f1.macro"]
    assert (score.low, score.high) == pytest.approx(tuple(np.quantile(slow, [0.025, 0.975])), abs=0.012)


@pytest.mark.parametrize(
    ("predicted", "expected", "message"),
    [
        (answers(np.array([0]), 3), [3], r"expected labels must be in \[0, 3\), got 3 to 3"),
        (answers(np.array([0]), 3), [-1], r"got -1 to -1"),
        (answers(np.array([0]), 2), [0], r"scores must have 3 classes, got \[2\]"),
    ],
)
def test_what_does_not_fit_is_refused(
    predicted: list[Classification], expected: list[int], message: str
) -> None:
    metric = ClassificationMetric("abc")
    with pytest.raises(ValueError, match=message):
        metric.update(predicted, expected)
    assert metric.confusion.sum() == 0
    with pytest.raises(TypeError):
        metric.update(answers(np.array([0]), 3), [0.5])  # type: ignore[list-item]


def test_names_that_occur_twice_are_told_apart() -> None:
    assert distinct(["crane", "dog", "crane"]) == ("crane#0", "dog", "crane#2")
    with pytest.raises(ValueError, match="distinct"):
        distinct(["a", "a", "a#0"])
    with pytest.raises(ValueError, match="at least one"):
        distinct([])

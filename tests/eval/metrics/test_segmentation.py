"""mIoU over the data set, against a pixel loop and scikit-learn."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from sklearn import metrics as sklearn

from eval.metrics.segmentation import SegmentationMetric
from models.results import Array, Segmentation
from tests.eval.metrics.oracles import by_name, values


def random_maps(seed: int, images: int = 6, classes: int = 5) -> tuple[list[Array], list[Array]]:
    """Predicted and expected maps of many shapes, some pixels ignored, the last class never there."""
    rng = np.random.default_rng(seed)
    predicted, expected = [], []
    for _ in range(images):
        shape = tuple(rng.integers(1, 9, 2))
        truth = rng.integers(0, max(classes - 2, 1), shape)
        guess = np.where(rng.random(shape) < 0.7, truth, rng.integers(0, classes - 1, shape))
        expected.append(np.where(rng.random(shape) < 0.2, 255, truth).astype(np.uint8))
        predicted.append(guess.astype(np.int32))
    return predicted, expected


def measured(
    predicted: list[Array], expected: list[Array], classes: int = 5, **options: int
) -> SegmentationMetric:
    metric = SegmentationMetric([f"c{i}" for i in range(classes)], **options)
    metric.update([Segmentation(p) for p in predicted], expected)
    return metric


def slow_ious(predicted: list[Array], expected: list[Array], classes: int) -> list[float | None]:
    hits: Counter[int] = Counter()
    either: Counter[int] = Counter()
    for p, e in zip(predicted, expected, strict=True):
        for guess, truth in zip(p.ravel().tolist(), e.ravel().tolist(), strict=True):
            if truth != 255:
                hits[truth] += guess == truth
                either.update({guess, truth})
    return [hits[k] / either[k] if either[k] else None for k in range(classes)]


@pytest.mark.parametrize("seed", range(20))
def test_agrees_with_a_pixel_loop_and_scikit_learn(seed: int) -> None:
    predicted, expected = random_maps(seed)
    metric = measured(predicted, expected, resamples=0)
    ours = values(metric)
    ious = slow_ious(predicted, expected, 5)
    assert [ours[f"iou.class.c{k}"] for k in range(5)] == ious
    assert ours["miou"] == pytest.approx(np.mean([iou for iou in ious if iou is not None]), abs=1e-12)
    truth, guess = (np.concatenate([m.ravel() for m in maps]) for maps in (expected, predicted))
    truth, guess = truth[truth != 255].astype(int), guess[truth != 255].astype(int)
    assert (metric.confusion == sklearn.confusion_matrix(truth, guess, labels=range(5))).all()
    assert ours["miou"] == pytest.approx(sklearn.jaccard_score(truth, guess, average="macro"), abs=1e-12)
    weighted = sklearn.jaccard_score(truth, guess, average="weighted")
    assert ours["fwiou"] == pytest.approx(weighted, abs=1e-12)
    assert ours["dice.macro"] == pytest.approx(sklearn.f1_score(truth, guess, average="macro"), abs=1e-12)
    assert ours["pixel_accuracy"] == pytest.approx(sklearn.accuracy_score(truth, guess), abs=1e-12)
    recalls = sklearn.recall_score(truth, guess, labels=sorted(set(truth.tolist())), average="macro")
    assert ours["mean_accuracy"] == pytest.approx(recalls, abs=1e-12)


def test_counts_are_pooled_over_images_not_averaged() -> None:
    """torchmetrics' MeanIoU gives the mean over images, (0.25 + 1) / 2; Cityscapes gives this."""
    small, large = np.array([[0, 1, 1, 1]]), np.zeros((4, 4), int)
    metric = measured([small, large], [np.zeros((1, 4), int), large], classes=2)
    assert values(metric)["iou.class.c0"] == 17 / 20
    assert values(metric)["iou.class.c1"] == 0.0
    assert values(metric)["miou"] == 17 / 40


def test_no_pixel_is_lost_above_two_to_the_24() -> None:
    """MMSegmentation sums in float32, where 2^24 + 1 is 2^24."""
    truth = np.zeros((4097, 4096), np.uint8)
    guess = truth.copy()
    guess[0, 0] = 1
    metric = measured([guess], [truth], classes=2, resamples=0)
    total = 4097 * 4096
    assert metric.confusion.tolist() == [[total - 1, 1], [0, 0]]
    assert values(metric)["pixel_accuracy"] == (total - 1) / total < 1
    assert np.float32(total + 1) == np.float32(total)


def test_void_alone_measures_nothing() -> None:
    metric = measured([np.zeros((2, 2), int)], [np.full((2, 2), 255)])
    assert {score.value for score in metric.compute()} == {None}


def test_the_void_value_can_be_a_class_index() -> None:
    metric = measured([np.array([[0, 1, 1]])], [np.array([[0, 1, 2]])], classes=3, ignore_index=2)
    assert values(metric)["miou"] == 1.0


def test_the_interval_is_over_images() -> None:
    predicted, expected = random_maps(3, images=60)
    score = by_name(measured(predicted, expected))["miou"]
    assert score.value is not None
    assert score.low is not None
    assert score.high is not None
    assert score.low < score.value < score.high
    few = by_name(measured(predicted[:15], expected[:15]))["miou"]
    assert few.low is not None
    assert few.high is not None
    assert few.high - few.low > score.high - score.low


@pytest.mark.parametrize(
    ("predicted", "expected", "message"),
    [
        (np.array([[5]]), np.array([[0]]), r"predicted pixels must be in \[0, 5\), got 5 to 5"),
        (np.array([[-1]]), np.array([[255]]), r"predicted pixels"),
        (np.array([[0]]), np.array([[5]]), r"expected pixels must be in \[0, 5\), got 5 to 5"),
        (np.array([[0]]), np.array([[0, 0]]), r"map must be \(1, 2\) like the truth, got \(1, 1\)"),
        (np.array([[0]]), np.array([[0.0]]), r"expected map must be integers, got float64"),
    ],
)
def test_what_does_not_fit_is_refused(predicted: Array, expected: Array, message: str) -> None:
    metric = SegmentationMetric("abcde")
    fits = np.zeros((1, 1), int)
    with pytest.raises(ValueError, match=message):
        metric.update([Segmentation(fits), Segmentation(predicted)], [fits, expected])
    assert metric.confusion.sum() == 0
    assert metric.compute()[0].value is None

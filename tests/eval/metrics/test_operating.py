"""The confusion of classes with a background, and how sure the numbers at the operating point are."""

from __future__ import annotations

import numpy as np
import pytest

from eval.metrics.detection import DetectionMetric
from eval.metrics.operating import confusion, operating_point
from eval.metrics.truth import Objects
from models.results import Array, Detections
from tests.eval.metrics.oracles import Scene, by_name, fed, random_scenes, values
from tests.eval.metrics.test_detection import BOX, OTHER, found, slow_overlap, there

LABELS = ("cat", "dog")
SHIFTED = (4.0, 0.0, 44.0, 40.0)


def table_of(predicted: list[Detections], expected: list[Objects]) -> Array:
    metric = DetectionMetric(LABELS, resamples=0)
    metric.update(predicted, expected)
    return metric.confusion


def test_every_cell_of_the_confusion() -> None:
    """A cat found, a dog taken for a cat, a cat missed, a dog where nothing is, a guess too unsure."""
    counts = table_of(
        [found((BOX, 0.9, 0), (OTHER, 0.8, 0)), found((BOX, 0.7, 1), (OTHER, 0.4, 1))],
        [there((BOX, 0), (OTHER, 1)), there((OTHER, 0))],
    )
    assert counts.dtype == np.int64
    assert counts.tolist() == [[1, 0, 1], [1, 0, 0], [0, 1, 0]]


def test_the_surer_detection_takes_the_object_whatever_its_class() -> None:
    counts = table_of([found((BOX, 0.9, 1), (BOX, 0.8, 0))], [there((BOX, 0))])
    assert counts.tolist() == [[0, 1, 0], [0, 0, 0], [1, 0, 0]]
    free = table_of([found((SHIFTED, 0.9, 0), (BOX, 0.8, 0))], [there((BOX, 0), (SHIFTED, 0))])
    assert free.tolist() == [[2, 0, 0], [0, 0, 0], [0, 0, 0]]


def test_of_two_objects_overlapped_alike_the_later_one_is_met() -> None:
    left, right, between = (0.0, 0.0, 32.0, 32.0), (16.0, 0.0, 48.0, 32.0), (8.0, 0.0, 40.0, 32.0)
    counts = table_of([found((between, 0.9, 0))], [there((left, 0), (right, 1))])
    assert counts.tolist() == [[0, 0, 1], [1, 0, 0], [0, 0, 0]]


def test_a_crowd_hides_its_own_class_only() -> None:
    inside = [found((BOX, 0.9, 0)), found((BOX, 0.9, 1))]
    crowd = there(((0.0, 0.0, 100.0, 100.0), 0), crowd=True)
    assert table_of(inside, [crowd, crowd]).tolist() == [[0, 0, 0], [0, 0, 0], [0, 1, 0]]


def slow_confusion(scenes: list[Scene], classes: int, iou: float, score: float) -> Array:
    counts = np.zeros((classes + 1, classes + 1), np.int64)
    for s in scenes:
        taken: set[int] = set()
        for i in np.argsort(-s.scores, kind="stable"):
            if s.scores[i] < score:
                continue
            real = [j for j in range(len(s.crowd)) if not s.crowd[j] and j not in taken]
            shares = {j: slow_overlap(s.boxes[i], s.true_boxes[j], False) for j in real}
            crowds = [j for j in range(len(s.crowd)) if s.crowd[j] and s.true_labels[j] == s.labels[i]]
            best = max(shares, key=lambda j: (shares[j], j), default=None)
            if best is not None and shares[best] >= iou:
                taken.add(best)
                counts[s.true_labels[best], s.labels[i]] += 1
            elif not any(slow_overlap(s.boxes[i], s.true_boxes[j], True) >= iou for j in crowds):
                counts[classes, s.labels[i]] += 1
        for j in range(len(s.crowd)):
            counts[s.true_labels[j], classes] += j not in taken and not s.crowd[j]
    return counts


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize(("iou", "score"), [(0.5, 0.5), (0.3, 0.0), (0.75, 0.3)])
def test_random_sets_agree_with_a_plain_loop(seed: int, iou: float, score: float) -> None:
    scenes = random_scenes(seed)
    metric = fed(scenes, 4, iou=iou, score=score, resamples=0)
    counts = confusion(metric.table(), score)
    assert (counts == slow_confusion(scenes, 4, iou, score)).all()
    objects = np.bincount(np.concatenate([s.true_labels[~s.crowd] for s in scenes]), minlength=4)
    assert (counts[:4].sum(axis=1) == objects).all()


def test_the_confusion_of_parts_is_the_sum() -> None:
    scenes = random_scenes(2)
    one, other, whole = (fed(part, 4) for part in (scenes[:5], scenes[5:], scenes))
    summed = confusion(one.table(), 0.3) + confusion(other.table(), 0.3)
    one.merge(other)
    assert (confusion(one.table(), 0.3) == summed).all()
    assert (confusion(whole.table(), 0.3) == summed).all()


def test_the_operating_point_weighs_images_as_copies_would() -> None:
    metric = fed(random_scenes(8, images=9), 4, resamples=0)
    statistic, matches = (
        operating_point(metric.table(), 0, 0.5),
        sorted(metric._matches, key=lambda m: m.key()),
    )
    for seed in range(20):
        drawn = np.sort(np.random.default_rng(seed).integers(0, 9, 9))
        copies = DetectionMetric(metric._labels, resamples=0)
        copies._matches = [matches[i] for i in drawn]
        names = [
            n
            for n in values(copies)
            if n.startswith(("precision", "recall", "f1", "fppi")) and "best" not in n
        ]
        wanted = [values(copies)[name] for name in names]
        weighted = statistic(np.bincount(drawn, minlength=9)[None])[0]
        np.testing.assert_allclose(weighted, np.array(wanted, float), atol=1e-12)


def test_every_number_has_an_interval_that_holds_it() -> None:
    scores = by_name(fed(random_scenes(11, images=40), 4, resamples=200))
    for name, score in scores.items():
        if score.value is None or name == "f1.best":
            assert score.low is None, name
            continue
        assert score.low is not None, name
        assert score.high is not None, name
        # Costs and the calibration error are biased upwards when resampled; all others lie within.
        if "dap" not in name and "dece" not in name:
            assert score.low - 1e-9 <= score.value <= score.high + 1e-9, name


def test_resampling_is_in_the_order_the_images_came() -> None:
    """Two versions' answers come in the same order, whatever their ids and contents."""
    scenes = random_scenes(4, images=7)[::-1]
    metric = fed(scenes, 4, resamples=0)
    resampled = metric.resampled()
    once = np.zeros((7, 7), np.int64)
    np.fill_diagonal(once, 1)
    ap = resampled.values(once)[:, resampled.names.index("recall.micro")]
    alone = [values(fed([scene], 4, resamples=0))["recall.micro"] for scene in scenes]
    np.testing.assert_allclose(ap, np.array(alone, float))
    whole = [np.nan if s.value is None else s.value for s in metric.compute() if s.name != "f1.best"]
    np.testing.assert_allclose(resampled.values(np.ones((1, 7), np.int64))[0], whole, atol=1e-12)
    assert resampled.values(once) is resampled.values(once.copy())  # for the next score it is there already
    np.testing.assert_array_equal(resampled.values(once[::-1]), resampled.values(once)[::-1])

"""A detector at its operating point, and the mistakes other tools made."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest

from eval.metrics.detection import DetectionMetric
from eval.metrics.operating import best_f1
from eval.metrics.overlaps import Shapes, box_overlaps
from eval.metrics.truth import Objects
from models.results import Array, Detections
from tests.eval.metrics.oracles import Scene, fed, pycocotools, random_scenes, values

LABELS = ("cat", "dog", "eel")


def found(*rows: tuple[tuple[float, float, float, float], float, int]) -> Detections:
    """(xyxy, score, label) rows."""
    if not rows:
        return Detections.empty()
    boxes, scores, labels = zip(*rows, strict=True)
    return Detections(np.array(boxes, np.float32), np.array(scores, np.float32), np.array(labels))


def there(*rows: tuple[tuple[float, float, float, float], int], crowd: bool = False) -> Objects:
    """(xyxy, label) rows."""
    boxes = np.array([box for box, _ in rows], np.float64).reshape(-1, 4)
    labels = np.array([label for _, label in rows], np.int64)
    return Objects(boxes, labels, crowd=np.full(len(rows), crowd))


def measured(
    predicted: list[Detections], expected: list[Objects], **options: float
) -> dict[str, float | None]:
    metric = DetectionMetric(LABELS, resamples=0, **options)  # type: ignore[arg-type]
    metric.update(predicted, expected)
    return values(metric)


BOX, OTHER = (0.0, 0.0, 40.0, 40.0), (50.0, 50.0, 90.0, 90.0)


def test_a_background_image_with_false_positives_counts() -> None:
    """supervision#2331: images without objects were skipped, and with them their false alarms."""
    clean = measured([found((BOX, 0.9, 0))], [there((BOX, 0))])
    noisy = measured([found((BOX, 0.9, 0)), found((BOX, 0.95, 0))], [there((BOX, 0)), there()])
    assert clean["precision.micro"] == 1.0
    assert clean["ap"] == pytest.approx(1.0)  # COCO divides by TP + FP + 2e-16
    assert noisy["precision.micro"] == 0.5
    assert noisy["recall.micro"] == 1.0
    assert noisy["fppi_error"] == 0.5
    assert noisy["ap"] == pytest.approx(0.5)


def test_a_hallucinated_class_counts_in_micro_and_not_in_macro() -> None:
    """supervision#2427: a class that is never there was dropped from precision."""
    scores = measured([found((BOX, 0.9, 0), (OTHER, 0.9, 1))], [there((BOX, 0))])
    assert scores["precision.micro"] == 0.5
    assert scores["precision.class.dog"] == 0.0
    assert scores["f1.class.dog"] == 0.0
    assert scores["recall.class.dog"] is None
    assert scores["precision.class.eel"] is scores["f1.class.eel"] is None
    assert scores["precision.macro"] == scores["recall.macro"] == scores["f1.macro"] == 1.0
    assert scores["ap"] == pytest.approx(1.0)
    assert scores["ap.class.dog"] is None


@pytest.mark.parametrize("side", [8.0, 32.0, 50.0, 96.0, 200.0])
def test_a_perfect_detector_is_perfect_in_every_size(side: float) -> None:
    """supervision#1836: size buckets of a perfect detector fell short of 1. Bounds are inclusive."""
    box = (10.0, 10.0, 10.0 + side, 10.0 + side)
    other = (300.0, 300.0, 310.0, 310.0)
    large = (0.0, 300.0, 200.0, 500.0)
    boxes = [box, other, large]
    scores = measured([found(*((b, 0.9, 0) for b in boxes))], [there(*((b, 0) for b in boxes))])
    sizes = [scores[f"{kind}.{size}"] for kind in ("ap", "ar") for size in ("small", "medium", "large")]
    assert [size for size in sizes if size is not None] == [pytest.approx(1.0)] * (4 + 2 * (32 <= side <= 96))
    assert scores["ap"] == scores["ar100"] == pytest.approx(1.0)


def test_a_duplicate_is_a_false_positive() -> None:
    """yolov5#10817: the second detection of one object was a hit too."""
    scores = measured([found((BOX, 0.9, 0), (BOX, 0.8, 0))], [there((BOX, 0))])
    assert (scores["precision.micro"], scores["recall.micro"]) == (0.5, 1.0)
    assert scores["f1.micro"] == pytest.approx(2 / 3)
    assert scores["f1.best"] == 1.0


def test_a_crowd_is_neither_demanded_nor_punished() -> None:
    """faster_coco_eval#74: detections inside a crowd were false positives."""
    inside = found((BOX, 0.9, 0), ((0.0, 0.0, 20.0, 20.0), 0.8, 0))
    scores = measured([inside], [there(((0.0, 0.0, 100.0, 100.0), 0), crowd=True)])
    assert scores["precision.micro"] is scores["recall.micro"] is scores["ap"] is None
    assert scores["fppi_error"] == 0.0


def test_equal_scores_keep_the_order_they_came_in() -> None:
    """The first of two equal detections takes the object, so the images' ids decide, not chance."""
    right, wrong = found((BOX, 0.5, 0)), found((OTHER, 0.5, 0))
    truth = [Objects(there((BOX, 0)).boxes, np.array([0]), image=name) for name in ("a", "b")]
    first = measured([right, wrong], truth)["ap"]
    assert first != measured([wrong, right], truth)["ap"]
    assert first == measured([wrong, right], truth[::-1])["ap"]


def test_of_two_objects_overlapped_alike_the_later_one_is_taken() -> None:
    """COCO's rule: so the second detection, which only fits the first object, still hits."""
    left, right, between = (0.0, 0.0, 32.0, 32.0), (16.0, 0.0, 48.0, 32.0), (8.0, 0.0, 40.0, 32.0)
    both = found((between, 0.9, 0), (left, 0.8, 0))
    assert measured([both], [there((left, 0), (right, 0))])["recall.micro"] == 1.0
    assert measured([both], [there((right, 0), (left, 0))])["recall.micro"] == 0.5


def test_the_score_threshold_lets_equal_scores_through() -> None:
    """A service that answers 0.7 means 0.7, not 0.69999999."""
    scores = measured([found((BOX, 0.7, 0), (OTHER, 0.69, 0))], [there((BOX, 0), (OTHER, 0))], score=0.7)
    assert (scores["precision.micro"], scores["recall.micro"]) == (1.0, 0.5)


def test_an_iou_that_is_not_one_of_cocos() -> None:
    box = (0.0, 0.0, 40.0, 16.0)  # IoU 0.4 with BOX
    loose = measured([found((box, 0.9, 0))], [there((BOX, 0))], iou=0.4)
    strict = measured([found((box, 0.9, 0))], [there((BOX, 0))], iou=0.41)
    assert (loose["recall.micro"], strict["recall.micro"]) == (1.0, 0.0)
    assert loose["ap"] == strict["ap"] == 0.0


def test_an_iou_of_one_allows_for_rounding() -> None:
    """x + width - x is not width, so even a box's overlap with itself falls short of 1."""
    box = np.array([[0.3, 0.3, 0.9, 0.9]])
    crowd = np.zeros(1, bool)
    assert 1 - 1e-10 < box_overlaps(box, box, crowd)[0, 0] < 1
    metric = DetectionMetric(LABELS, iou=1.0, resamples=0)
    shape = Shapes(np.zeros(1, np.int64), np.ones(1), box)
    metric.add("a", shape, np.ones(1), shape, crowd)
    assert values(metric)["recall.micro"] == 1.0


def slow_counts(scene: Scene, label: int, iou: float, score: float) -> tuple[int, int, int]:
    """(hits, false positives, objects) by the plain loop over detections and objects."""
    rows = [i for i in np.argsort(-scene.scores, kind="stable") if scene.labels[i] == label]
    objects = [j for j in range(len(scene.crowd)) if scene.true_labels[j] == label]
    objects.sort(key=lambda j: bool(scene.crowd[j]))
    taken: set[int] = set()
    hits = false = 0
    for i in rows:
        if scene.scores[i] < score:
            continue
        best, most = -1, iou
        for j in objects:
            if j in taken and not scene.crowd[j]:
                continue
            if best >= 0 and not scene.crowd[best] and scene.crowd[j]:
                break
            overlap = slow_overlap(scene.boxes[i], scene.true_boxes[j], bool(scene.crowd[j]))
            if overlap >= most:
                best, most = j, overlap
        taken.add(best)
        hits += best >= 0 and not scene.crowd[best]
        false += best < 0
    return hits, false, sum(not scene.crowd[j] for j in objects)


def slow_overlap(one: Array, other: Array, crowd: bool) -> float:
    w = min(one[0] + one[2], other[0] + other[2]) - max(one[0], other[0])
    h = min(one[1] + one[3], other[1] + other[3]) - max(one[1], other[1])
    inter = max(w, 0) * max(h, 0)
    return float(inter / (one[2] * one[3] + (0 if crowd else other[2] * other[3] - inter)))


@pytest.mark.parametrize(
    ("seed", "iou", "score"), list(itertools.product(range(12), (0.5, 0.33), (0.0, 0.5)))
)
def test_the_operating_point_agrees_with_a_plain_loop(seed: int, iou: float, score: float) -> None:
    scenes = random_scenes(seed)
    ours = values(fed(scenes, 4, iou=iou, score=score, resamples=0))
    counts = np.array([[slow_counts(s, k, iou, score) for k in range(4)] for s in scenes]).sum(axis=0)
    hits, false, wanted = counts.sum(axis=0).tolist()
    assert ours["precision.micro"] == hits / (hits + false)
    assert ours["recall.micro"] == hits / wanted
    assert ours["f1.micro"] == pytest.approx(2 * hits / (hits + false + wanted), abs=1e-15)
    assert ours["fppi_error"] == false / len(scenes)
    macro = [h / (h + f) if h + f else 0.0 for h, f, w in counts.tolist() if w]
    assert ours["precision.macro"] == pytest.approx(np.mean(macro), abs=1e-15)
    for k, (h, f, w) in enumerate(counts.tolist()):
        assert ours[f"recall.class.c{k}"] == (h / w if w else None)
        assert ours[f"f1.class.c{k}"] == (pytest.approx(2 * h / (h + f + w)) if h + f + w else None)


@pytest.mark.parametrize("seed", range(6))
def test_the_best_f1_is_the_best_of_all_thresholds(seed: int) -> None:
    scenes = random_scenes(seed)
    tried = [
        values(fed(scenes, 4, score=score / 10, resamples=0))["f1.micro"] or 0.0 for score in range(1, 10)
    ]
    metric = fed(scenes, 4, resamples=0)
    best, threshold = best_f1(metric.table(), 0)
    assert values(metric)["f1.best"] == best == max(tried)
    assert threshold == pytest.approx((1 + tried.index(best)) / 10)


def test_nothing_found_is_zero_recall_and_no_precision() -> None:
    scores = measured([found()], [there((BOX, 0))])
    assert scores["recall.micro"] == scores["f1.micro"] == scores["f1.best"] == scores["ap"] == 0.0
    assert scores["precision.micro"] is None


def test_labels_and_masks_must_fit() -> None:
    metric = DetectionMetric(LABELS)
    with pytest.raises(ValueError, match=r"predicted labels must be in \[0, 3\), got 3 to 3"):
        metric.update([found((BOX, 0.9, 3))], [there((BOX, 0))])
    with pytest.raises(ValueError, match=r"expected labels must be in"):
        metric.update([found((BOX, 0.9, 0))], [there((BOX, -1))])
    masked = DetectionMetric(LABELS, overlap="masks")
    with pytest.raises(ValueError, match="boxes only"):
        masked.update([found((BOX, 0.9, 0))], [there((BOX, 0))])
    answer = Detections(np.zeros((1, 4)), np.ones(1), np.zeros(1, int), np.ones((1, 4, 4), bool))
    truth = Objects(np.zeros((1, 4)), np.zeros(1, int), masks=np.ones((1, 4, 5), bool))
    with pytest.raises(ValueError, match=r"masks must be \(4, 5\) like the truth, got \(4, 4\)"):
        masked.update([answer], [truth])
    assert metric._matches == masked._matches == []
    with pytest.raises(ValueError, match="iou must be"):
        DetectionMetric(LABELS, iou=0)
    with pytest.raises(ValueError, match="settings must be the same"):
        metric.merge(DetectionMetric(LABELS, iou=0.6))


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"boxes": np.zeros((2, 4)), "labels": np.zeros(1, int)}, "boxes must be"),
        ({"boxes": np.zeros((1, 4)), "labels": np.zeros(1, int), "areas": np.zeros(2)}, "areas must be"),
        ({"boxes": np.full((1, 4), np.nan), "labels": np.zeros(1, int)}, "finite"),
        ({"boxes": np.zeros((1, 4)), "labels": np.zeros(1, int), "masks": np.zeros((2, 3, 3))}, "masks must"),
    ],
)
def test_objects_are_checked(columns: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Objects(**columns)


def test_a_box_without_area_does_no_harm() -> None:
    """BCCD has two such objects."""
    point = (5.0, 5.0, 5.0, 5.0)
    scores = measured([found((point, 0.9, 0), (BOX, 0.8, 0))], [there((point, 0), (BOX, 0))])
    assert scores["recall.micro"] == 0.5


def test_the_reference_is_asked_the_same_question() -> None:
    """pycocotools at IoU 0.5 finds the hits the operating point finds at score 0."""
    scenes = random_scenes(4)
    recall = pycocotools(scenes, 4).eval["recall"][0, :, 0, 2]
    ours = values(fed(scenes, 4, score=0.0, resamples=0))
    assert [ours[f"recall.class.c{k}"] for k in range(4)] == [None if r == -1 else r for r in recall]

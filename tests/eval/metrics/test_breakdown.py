"""Each kind of mistake alone, and all of them by the plain text of the paper."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from eval.metrics.breakdown import COSTS, costs, mistakes
from eval.metrics.coco import precision_recall
from eval.metrics.detection import DetectionMetric
from tests.eval.metrics.oracles import Scene, fed, random_scenes, values
from tests.eval.metrics.test_detection import BOX, OTHER, found, slow_overlap, there

LABELS = ("cat", "dog", "eel")
NEAR_BOX = (0.0, 0.0, 40.0, 16.0)  # IoU 0.4 with BOX
FAR = (200.0, 200.0, 240.0, 240.0)


def one_image(predicted: Any, expected: Any) -> tuple[dict[str, int], dict[str, float | None]]:
    """The counts of the mistakes there are, and the costs that are not 0."""
    metric = DetectionMetric(LABELS, resamples=0)
    metric.update([predicted], [expected])
    counts = {kind: count for kind, count in mistakes(metric.table()).items() if count}
    read = values(metric)
    return counts, {kind: cost for kind in COSTS if (cost := read[f"dap.{kind}_error"]) != 0}


def test_a_wrong_class() -> None:
    """AP is the mean of cat (1) and dog (0); with the class mended both are 1."""
    counts, cost = one_image(found((BOX, 0.9, 0), (OTHER, 0.8, 0)), there((BOX, 0), (OTHER, 1)))
    assert counts == {"classification": 1}
    assert cost == {
        "classification": pytest.approx(0.5),
        "false_negatives": pytest.approx(0.5),  # dog leaves the mean
    }


def test_a_wrong_place() -> None:
    counts, cost = one_image(found((NEAR_BOX, 0.9, 0)), there((BOX, 0)))
    assert counts == {"localisation": 1}
    assert cost["localisation"] == pytest.approx(1.0)
    assert "missed" not in cost


def test_a_wrong_class_and_a_wrong_place() -> None:
    """It may not have meant the object, so it is dropped and the object is missed."""
    counts, cost = one_image(found((OTHER, 0.8, 1), (NEAR_BOX, 0.9, 1)), there((BOX, 0), (OTHER, 1)))
    assert counts == {"both": 1, "missed": 1}
    assert cost["both"] == pytest.approx(0.25)  # the precision of dog is 1/2
    assert cost["missed"] == pytest.approx(0.25)  # cat leaves the mean, and dog is 1/2 alone


def test_a_duplicate() -> None:
    """It costs something if it comes before another hit."""
    counts, cost = one_image(
        found((BOX, 0.9, 0), (BOX, 0.8, 0), (OTHER, 0.7, 0)), there((BOX, 0), (OTHER, 0))
    )
    assert counts == {"duplicate": 1}
    assert cost == {
        "duplicate": pytest.approx(50 / 101 / 3),  # half of the recalls at 2/3
        "false_positives": pytest.approx(50 / 101 / 3),
    }


def test_background() -> None:
    counts, cost = one_image(found((FAR, 0.9, 0), (BOX, 0.8, 0)), there((BOX, 0)))
    assert counts == {"background": 1}
    assert cost == {"background": pytest.approx(0.5), "false_positives": pytest.approx(0.5)}


def test_a_missed_object() -> None:
    counts, cost = one_image(found((BOX, 0.9, 0)), there((BOX, 0), (OTHER, 0)))
    assert counts == {"missed": 1}
    assert cost == {"missed": pytest.approx(50 / 101), "false_negatives": pytest.approx(50 / 101)}


def test_of_two_mistakes_about_an_object_the_surer_is_mended() -> None:
    """The other is dropped; so it is if the object was found anyway."""
    counts, cost = one_image(found((NEAR_BOX, 0.9, 0), (NEAR_BOX, 0.8, 0)), there((BOX, 0)))
    assert counts == {"localisation": 2}
    assert cost["localisation"] == pytest.approx(1.0)
    counts, cost = one_image(found((NEAR_BOX, 0.9, 0), (BOX, 0.8, 0)), there((BOX, 0)))
    assert counts == {"localisation": 1}
    assert cost == {"localisation": pytest.approx(0.5), "false_positives": pytest.approx(0.5)}


def test_within_a_crowd_nothing_is_a_mistake() -> None:
    counts, cost = one_image(found((BOX, 0.9, 0)), there((BOX, 0), crowd=True))
    assert counts == {}
    assert set(cost.values()) == {None}


def test_an_iou_of_a_tenth_is_background_for_another_class_and_near_for_its_own() -> None:
    """Exactly 0.1."""
    square, tenth = (0.0, 0.0, 10.0, 10.0), (0.0, 0.0, 10.0, 1.0)
    assert one_image(found((tenth, 0.9, 1)), there((square, 0)))[0] == {"background": 1, "missed": 1}
    assert one_image(found((tenth, 0.9, 0)), there((square, 0)))[0] == {"localisation": 1}


def test_a_localisation_mistake_is_asked_for_before_a_duplicate_and_a_class() -> None:
    """As the authors' code asks: IoU is 1 with the dog, 0.4 with the cat, and it says cat."""
    counts, _ = one_image(found((NEAR_BOX, 0.9, 0)), there((BOX, 0), (NEAR_BOX, 1)))
    assert counts == {"localisation": 1, "missed": 1}


def slow_image(scene: Scene) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Detections and objects of one image, each with what became of it; by loops."""
    objects = [
        {
            "label": int(k),
            "box": box,
            "crowd": bool(crowd),
            "image": scene.image,
            "used": False,
            "aimed": False,
        }
        for k, box, crowd in zip(scene.true_labels, scene.true_boxes, scene.crowd, strict=True)
    ]
    order = np.argsort(-scene.scores, kind="stable").tolist()
    dets = [
        {"label": int(scene.labels[i]), "box": scene.boxes[i], "score": float(scene.scores[i])} for i in order
    ]
    dets = [d | {"image": scene.image, "hit": False, "mistake": "", "becomes": None} for d in dets]
    for d in dets:
        same = [o for o in objects if o["label"] == d["label"]]
        near = [o for o in same if slow_overlap(d["box"], o["box"], o["crowd"]) >= 0.5]
        free = [o for o in near if not o["used"] and not o["crowd"]]
        if free:
            most = max(slow_overlap(d["box"], o["box"], False) for o in free)
            taken = [o for o in free if slow_overlap(d["box"], o["box"], False) == most][-1]
            taken["used"] = d["hit"] = True
        elif any(o["crowd"] for o in near):
            d["mistake"] = "none of ours"
    real = [o for o in objects if not o["crowd"]]
    for d in dets:
        if not d["hit"] and not d["mistake"]:
            slow_mistake(d, real)
    return [d for d in dets if d["mistake"] != "none of ours"], real


def slow_mistake(d: dict[str, Any], real: list[dict[str, Any]]) -> None:
    ious = [(slow_overlap(d["box"], o["box"], False), o) for o in real]
    own = [(iou, o) for iou, o in ious if o["label"] == d["label"]]
    other = [(iou, o) for iou, o in ious if o["label"] != d["label"]]
    best = max((iou for iou, _ in own), default=0.0)
    alien = max((iou for iou, _ in other), default=0.0)
    aims: dict[str, Any] | None = None
    if 0.1 <= best <= 0.5:
        d["mistake"], aims = "localisation", next(o for iou, o in own if iou == best)
    elif alien >= 0.5:
        d["mistake"], aims = "classification", next(o for iou, o in other if iou == alien)
    elif any(iou >= 0.5 and o["used"] for iou, o in own):
        d["mistake"] = "duplicate"
    elif max(best, alien) <= 0.1:
        d["mistake"] = "background"
    else:
        d["mistake"] = "both"
    if aims is not None and not aims["used"] and not aims["aimed"]:
        aims["aimed"], d["becomes"] = True, aims["label"]


def slow_mean_ap(dets: list[dict[str, Any]], objects: list[dict[str, Any]]) -> float | None:
    aps = []
    for label in sorted({o["label"] for o in objects}):
        wanted = sum(o["label"] == label for o in objects)
        points, hits = [], 0
        mine = sorted((d for d in dets if d["label"] == label), key=lambda d: (-d["score"], d["image"]))
        for rank, d in enumerate(mine, start=1):
            hits += d["hit"]
            points.append((hits / wanted, hits / (rank + np.spacing(1))))
        levels = np.linspace(0, 1, 101).tolist()
        aps.append(sum(max((p for r, p in points if r >= level), default=0.0) for level in levels) / 101)
    return sum(aps) / len(aps) if aps else None


def slow_costs(dets: list[dict[str, Any]], objects: list[dict[str, Any]]) -> dict[str, float | None]:
    before = slow_mean_ap(dets, objects)
    after = {}
    for kind in COSTS[:5]:
        mended = [d if d["mistake"] != kind else d | {"hit": True, "label": d["becomes"]} for d in dets]
        after[kind] = slow_mean_ap([d for d in mended if d["label"] is not None], objects)
    after["missed"] = slow_mean_ap(dets, [o for o in objects if o["used"] or o["aimed"]])
    after["false_positives"] = slow_mean_ap([d for d in dets if d["hit"]], objects)
    after["false_negatives"] = slow_mean_ap(dets, [o for o in objects if o["used"]])
    return {k: None if v is None or before is None else max(v - before, 0.0) for k, v in after.items()}


def confused(seed: int) -> list[Scene]:
    """Random sets where three detections in ten are of any class."""
    rng = np.random.default_rng(seed)
    scenes = random_scenes(seed, images=2 + seed % 7, step=(8.0, 7.3)[seed % 2])
    for scene in scenes:
        any_class = rng.integers(0, 4, len(scene.labels))
        scene.labels = np.where(rng.random(len(scene.labels)) < 0.3, any_class, scene.labels)
    return scenes


@pytest.mark.parametrize("seed", range(40))
def test_random_sets_agree_with_plain_loops(seed: int) -> None:
    scenes = confused(seed)
    metric = fed(scenes, 4, resamples=0)
    images = [slow_image(scene) for scene in scenes]
    dets, objects = ([row for image in images for row in image[side]] for side in (0, 1))
    slow = {kind: sum(d["mistake"] == kind for d in dets) for kind in COSTS[:5]}
    slow["missed"] = sum(not o["used"] and not o["aimed"] for o in objects)
    assert mistakes(metric.table()) == slow
    ours = values(metric)
    for kind, cost in slow_costs(dets, objects).items():
        assert ours[f"dap.{kind}_error"] == (None if cost is None else pytest.approx(cost, abs=1e-12)), kind


def test_the_random_sets_hold_every_mistake() -> None:
    counts = [mistakes(fed(confused(seed), 4).table()) for seed in range(40)]
    assert all(sum(count[kind] for count in counts) > 20 for kind in counts[0])


def test_detections_beyond_the_hundredth_are_no_mistakes_and_find_nothing() -> None:
    """COCO does not count them, so the object one of them found is missed."""
    alarms = [(FAR, 0.9, 0)] * 100
    counts, _ = one_image(found(*alarms, (BOX, 0.5, 0), (FAR, 0.4, 0)), there((BOX, 0)))
    assert counts == {"background": 100, "missed": 1}


def test_the_costs_weigh_images_as_copies_would() -> None:
    scenes = random_scenes(9, images=8)
    for k, scene in enumerate(scenes):  # no score twice: copies of an image stay together
        scene.scores = (np.arange(len(scene.scores)) * 8 + k + 1) / 100
    metric = fed(scenes, 4, resamples=0)
    statistic, matches = costs(metric.table()), sorted(metric._matches, key=lambda m: m.key())
    for seed in range(10):
        drawn = np.sort(np.random.default_rng(seed).integers(0, 8, 8))
        copies = DetectionMetric(metric._labels, resamples=0)
        copies._matches = [matches[i] for i in drawn]
        wanted = [values(copies)[f"dap.{kind}_error"] for kind in COSTS]
        weighted = statistic(np.bincount(drawn, minlength=8)[None])[0]
        np.testing.assert_allclose(weighted, np.array(wanted, float), atol=1e-12)


def test_precision_over_recall_is_what_ap_is_the_mean_of() -> None:
    table = fed(random_scenes(3), 4).table()
    read = values(fed(random_scenes(3), 4, resamples=0))
    curves = [precision_recall(table, label) for label in range(3)]
    assert all(curve.shape == (101,) and (np.diff(curve) <= 0).all() for curve in curves)
    assert np.mean(curves) == pytest.approx(read["ap50"], abs=1e-12)
    assert np.isnan(precision_recall(table, 3)).all()  # no objects
    with pytest.raises(ValueError, match=r"iou must be one of \[0.5, 0.55"):
        precision_recall(table, 0, iou=0.33)

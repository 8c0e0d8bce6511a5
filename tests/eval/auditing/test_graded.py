"""Scores under attack, against the metrics themselves on answers picked by hand."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from eval.attacks.base import Threat
from eval.attacks.results import AttackResult, Facts, result_of
from eval.auditing.graded import graded
from eval.errors import EndpointError
from eval.metrics.base import Score
from eval.metrics.detection import DetectionMetric
from eval.metrics.segmentation import SegmentationMetric
from eval.metrics.truth import Objects
from models.results import Array, Classification, Detections, Result, Segmentation

LABELS = ("a", "b", "c")
THREAT = Threat("linf", 8)
RNG = np.random.default_rng(4)
MAPS = [RNG.integers(0, 3, (12, 15)).astype(np.uint8) for _ in range(6)]
CLEAN: list[Result | None] = [Segmentation(truth.copy()) for truth in MAPS]


def noisy(share: float, seed: int) -> list[Result | None]:
    """Maps of which so much is drawn anew, a little more from picture to picture."""
    rng, found = np.random.default_rng(seed), list[Result | None]()
    for i, truth in enumerate(MAPS):
        wrong = rng.random(truth.shape) < share + 0.05 * i
        found.append(Segmentation(np.where(wrong, rng.integers(0, 3, truth.shape), truth).astype(np.uint8)))
    return found


def right(answer: Result | None, truth: Array) -> float:
    assert isinstance(answer, Segmentation)
    return float((answer.labels == truth).mean())


def result(
    attack: str, answers: Sequence[Result | None], losses: Sequence[float], **told: Any
) -> AttackResult:
    goal, threat = told.pop("goal", "pixels"), told.pop("threat", THREAT)
    far, errors = told.pop("far", ()), told.pop("errors", ())
    facts = [
        Facts(start_loss=1.0, best_loss=loss, distance=9.0 if i in far else 8.0, error=i in errors)
        for i, loss in enumerate(losses)
    ]
    pictures = [np.zeros((12, 15, 3), np.uint8)] * len(facts)
    return result_of(attack, goal, threat, facts, pictures, answers)


def losses(answers: Sequence[Result | None]) -> list[float]:
    return [right(answer, truth) for answer, truth in zip(answers, MAPS, strict=True)]


def scored(answers: Sequence[Any], truths: Sequence[Array] = MAPS) -> list[Score]:
    metric = SegmentationMetric(LABELS)
    metric.update(answers, truths)
    return metric.compute()


ONE, TWO = noisy(0.3, 1), noisy(0.3, 2)


def test_clean_beside_attacked_and_the_worst_of_each_picture() -> None:
    found = graded(
        "segmentation",
        LABELS,
        MAPS,
        CLEAN,
        [result("one", ONE, losses(ONE)), result("two", TWO, losses(TWO))],
    )
    assert (found.goal, found.images, found.left_out) == ("pixels", 6, 0)
    assert found.clean == scored(CLEAN)
    assert dict(found.attacked) == {"one": scored(ONE), "two": scored(TWO)}
    worst = [min(pair, key=lambda a: right(a, t)) for *pair, t in zip(ONE, TWO, MAPS, strict=True)]
    assert {id(answer) for answer in worst} & {id(answer) for answer in ONE}
    assert {id(answer) for answer in worst} & {id(answer) for answer in TWO}
    assert found.worst == scored(worst)
    value = {score.name: score.value for score in found.worst}["pixel_accuracy"]
    for scores in found.attacked.values():
        assert value is not None
        assert value < next(s.value for s in scores if s.name == "pixel_accuracy")


def test_a_picture_beyond_the_threat_is_the_clean_one() -> None:
    far = result("hopskipjump", ONE, losses(ONE), far=(0, 3))
    found = graded("segmentation", LABELS, MAPS, CLEAN, [far])
    inside = [CLEAN[i] if i in (0, 3) else ONE[i] for i in range(6)]
    assert found.attacked["hopskipjump"] == scored(inside) == found.worst
    both = graded("segmentation", LABELS, MAPS, CLEAN, [far, result("two", TWO, losses(TWO))])
    assert both.worst == scored(
        [min(pair, key=lambda a: right(a, t)) for *pair, t in zip(inside, TWO, MAPS, strict=True)]
    )


def test_what_got_no_answer_is_left_out_everywhere() -> None:
    clean: list[Result | None] = [None, *CLEAN[1:]]
    failed: list[Result | None] = [*ONE[:2], None, *ONE[3:]]
    found = graded(
        "segmentation",
        LABELS,
        MAPS,
        clean,
        [result("one", failed, losses(ONE), errors=(2,)), result("two", TWO, losses(TWO))],
    )
    assert (found.images, found.left_out) == (4, 2)
    kept = [1, 3, 4, 5]
    truths = [MAPS[i] for i in kept]
    assert found.clean == scored([CLEAN[i] for i in kept], truths)
    assert found.attacked["two"] == scored([TWO[i] for i in kept], truths)


A, B, FAR = [0.0, 0, 10, 10], [20.0, 0, 30, 12], [20.0, 20, 30, 30]


def found_there(*rows: tuple[list[float], float, int]) -> Detections:
    boxes = np.array([row[0] for row in rows], np.float32).reshape(-1, 4)
    return Detections(boxes, np.array([r[1] for r in rows], np.float32), np.array([r[2] for r in rows], int))


def test_detectors_have_average_precision_and_fates() -> None:
    truths = [Objects(np.array([A, B]), np.array([0, 1]), image=str(i)) for i in range(4)]
    clean: list[Result | None] = [found_there((A, 0.9, 0), (B, 0.9, 1)) for _ in range(3)]
    clean.append(found_there((B, 0.9, 1)))
    after: list[Result | None] = [
        found_there((A, 0.9, 0), (B, 0.2, 1)),  # one vanished
        found_there((A, 0.9, 0), (B, 0.9, 2), (FAR, 0.8, 2)),  # one mislabelled, one fabricated
        found_there((A, 0.9, 0), (B, 0.9, 1)),
        found_there((A, 0.9, 0), (B, 0.9, 1)),  # one found that was not before
    ]
    graded_ = graded("detection", LABELS, truths, clean, [result("one", after, [1.0] * 4, goal="vanish")])
    metric = DetectionMetric(LABELS)
    metric.update(after, truths)  # type: ignore[arg-type]
    whole = {score.name: score for score in metric.compute()}
    attacked = {score.name: score for score in graded_.attacked["one"]}
    assert [s for s in attacked.values() if not s.name.startswith("objects.")] == [
        whole[name] for name in attacked if not name.startswith("objects.")
    ]
    assert {"ap", "ap50", "ar100", "ap.class.c"} <= set(attacked)
    fates = {name: (s.value, s.support) for name, s in attacked.items() if name.startswith("objects.")}
    assert fates == {
        "objects.found": (5 / 7, 7),
        "objects.vanished_error": (1 / 7, 7),
        "objects.mislabelled_error": (1 / 7, 7),
        "objects.fabricated_error": (1 / 4, 4),
    }
    assert attacked["objects.found"].low < 5 / 7 < attacked["objects.found"].high  # type: ignore[operator]
    before = {score.name: score.value for score in graded_.clean}
    assert (before["objects.found"], before["objects.fabricated_error"]) == (1, 0)
    assert graded_.worst == graded_.attacked["one"]


def test_without_objects_nothing_is_made_up() -> None:
    empty = Objects(np.zeros((0, 4)), np.zeros(0, np.int64))
    told = graded(
        "detection", LABELS, [empty], [Detections.empty()], [result("one", [Detections.empty()], [0.0])]
    )
    values = {score.name: (score.value, score.low) for score in told.clean}
    assert values["ap"] == values["objects.found"] == (None, None)
    assert values["objects.fabricated_error"] == (0, None)


def test_what_does_not_belong_together_is_refused() -> None:
    one = result("one", ONE, losses(ONE))
    for others in (
        [],
        [one, result("one", ONE, losses(ONE), goal="erase")],
        [one, result("one", ONE, losses(ONE), threat=Threat("linf", 4))],
    ):
        with pytest.raises(ValueError, match="one goal and threat"):
            graded("segmentation", LABELS, MAPS, CLEAN, others)
    with pytest.raises(ValueError, match="equally many"):
        graded("segmentation", LABELS, MAPS[:5], CLEAN, [one])
    with pytest.raises(ValueError, match="must be graded, got untargeted"):
        graded("segmentation", LABELS, MAPS, CLEAN, [result("x", [None] * 6, [1.0] * 6, goal="untargeted")])


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        (Segmentation(np.zeros((3, 4), int)), "cannot be scored: predicted map must be"),
        (Classification(np.ones(1, np.float32)), "must be a segmenter's, got Classification"),
    ],
)
def test_an_answer_that_cannot_be_scored_is_the_endpoints(answer: Result, message: str) -> None:
    with pytest.raises(EndpointError, match=message):
        graded("segmentation", LABELS, MAPS[:1], [answer], [result("one", ONE[:1], [1.0])])

"""Goals for detectors, against a reading of their definitions one object and one detection at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from eval.attacks.base import Goal
from eval.attacks.goals.detection import Fabricate, Mislabel, Seen, Vanish, Wanted
from eval.errors import EndpointError
from eval.metrics.truth import Objects
from models.results import Array, Classification, Detections

SIDE = 40.0


def found(*rows: tuple[list[float], float, int]) -> Detections:
    boxes = np.array([row[0] for row in rows], np.float32).reshape(-1, 4)
    return Detections(boxes, np.array([r[1] for r in rows], np.float32), np.array([r[2] for r in rows], int))


def truth(*rows: tuple[list[float], int], crowd: list[bool] | None = None) -> Wanted:
    boxes = np.array([row[0] for row in rows], np.float64).reshape(-1, 4)
    labels = np.array([row[1] for row in rows], np.int64)
    return Wanted.of(Objects(boxes, labels, crowd=np.array(crowd or [False] * len(rows))))


A, B, FAR = [0.0, 0, 10, 10], [20.0, 0, 30, 12], [20.0, 20, 30, 30]
NEAR_A = [0.0, 0, 10, 8]  # IoU 0.8
BOTH = truth((A, 0), (B, 1))


def told(goal: Goal, answer: Detections) -> tuple[bool, bool]:
    verdict = goal.judge(answer)
    assert verdict.label == goal.truth == -1
    assert goal.graded
    assert not goal.starts
    return verdict.right, verdict.fooled


def test_vanished_is_all_or_any_or_a_share() -> None:
    both, one, none = found((A, 0.9, 0), (B, 0.9, 1)), found((A, 0.9, 0), (B, 0.2, 1)), found((A, 0.9, 1))
    assert told(Vanish(BOTH), both) == told(Vanish(BOTH), one) == (True, False)
    assert told(Vanish(BOTH), none) == (False, True)
    assert told(Vanish(BOTH, 0), both) == (True, False)
    assert told(Vanish(BOTH, 0), one) == told(Vanish(BOTH, 0), none) == (False, True)
    assert told(Vanish(BOTH, 0.5), one) == (False, True)
    assert told(Vanish(BOTH, 0.51), one) == (True, False)
    assert [Vanish(BOTH, s).name for s in (1, 0, 0.5)] == ["vanish", "vanish:any", "vanish:0.5"]


def test_a_share_of_the_objects_is_not_missed_by_rounding() -> None:
    """0.28 * 25 is a little more than 7."""
    rows = [([12.0 * i, 0, 12.0 * i + 10, 10], 0) for i in range(25)]
    answer = found(*((box, 0.9, label) for box, label in rows))
    assert told(Vanish(truth(*rows), 0.28), answer[np.arange(18)]) == (False, True)
    assert told(Vanish(truth(*rows), 0.28), answer[np.arange(19)]) == (True, False)


def test_the_loss_of_vanish_is_seen_below_the_score() -> None:
    def loss(score: float) -> float:
        return Vanish(BOTH).judge(found((NEAR_A, score, 0))).loss

    assert loss(0.2) == pytest.approx(0.16)
    assert loss(0.001) == pytest.approx(0.0008)
    assert Vanish(BOTH).judge(Detections.empty()) == (0.0, True, -1, False)


def test_score_and_overlap_are_at_least() -> None:
    half = [0.0, 0, 10, 5]
    assert told(Vanish(truth((A, 0))), found((half, 0.3, 0))) == (True, False)
    assert told(Vanish(truth((A, 0))), found((half, 0.2999, 0))) == (False, True)
    assert told(Vanish(truth((A, 0))), found(([0.0, 0, 10, 4.9], 0.9, 0))) == (False, True)
    assert told(Vanish(truth((A, 0)), score=0.95), found((half, 0.9, 0))) == (False, True)
    assert told(Vanish(truth((A, 0)), iou=0.4), found(([0.0, 0, 10, 4.9], 0.9, 0))) == (True, False)


def test_fabricated_is_where_nothing_is() -> None:
    beside = found((A, 0.9, 0), (NEAR_A, 0.8, 0), (B, 0.7, 0))  # a duplicate and a wrong class are no such
    assert told(Fabricate(BOTH), beside) == (True, False)
    assert Fabricate(BOTH).judge(beside).loss == 0
    weak, strong = found((FAR, 0.2, 2)), found((FAR, 0.4, 2), (FAR, 0.3, 1))
    assert told(Fabricate(BOTH), weak) == (True, False)
    assert Fabricate(BOTH).judge(weak).loss == pytest.approx(-0.2)
    assert told(Fabricate(BOTH), strong) == told(Fabricate(BOTH, 2), strong) == (False, True)
    assert told(Fabricate(BOTH, 3), strong) == (True, False)
    assert told(Fabricate(BOTH, score=0.25), found((FAR, 0.25, 2))) == (False, True)
    assert (Fabricate(BOTH).name, Fabricate(BOTH, 3).name) == ("fabricate", "fabricate:3")


def test_an_empty_picture_can_only_be_filled() -> None:
    nothing = truth()
    assert told(Fabricate(nothing), Detections.empty()) == (True, False)
    assert told(Fabricate(nothing), found((A, 0.9, 0))) == (False, True)
    for goal in (Vanish(nothing), Vanish(nothing, 0), Mislabel(nothing)):
        assert told(goal, found((A, 0.9, 0)))[0] is False
        assert told(goal, found((A, 0.9, 0)))[1] is False


def test_a_crowd_is_neither_demanded_nor_punished() -> None:
    crowded = truth((FAR, 2), (A, 0), crowd=[True, False])
    inside = found((A, 0.9, 0), ([21.0, 21, 24, 24], 0.9, 2))
    assert told(Vanish(crowded, 0), inside) == (True, False)
    assert told(Vanish(crowded), found((FAR, 0.9, 2))) == (False, True)
    assert told(Fabricate(crowded), inside) == (True, False)
    assert told(Fabricate(crowded), found(([21.0, 21, 24, 24], 0.9, 1))) == (False, True)
    among = truth((A, 0), ([0.0, 0, 20, 20], 2), crowd=[False, True])
    assert told(Mislabel(among), found((A, 0.9, 2))) == (False, False)
    assert told(Mislabel(among), found((A, 0.9, 1))) == (False, True)


def test_mislabelled_is_another_class_and_no_longer_its_own() -> None:
    goal = Mislabel(BOTH)
    assert told(goal, found((A, 0.9, 0))) == (True, False)
    assert told(goal, found((A, 0.9, 0), (NEAR_A, 0.95, 2))) == (True, False)
    assert told(goal, found((A, 0.2, 0), (NEAR_A, 0.5, 2))) == (False, True)
    assert told(goal, found((A, 0.2, 0), (NEAR_A, 0.2, 2))) == (False, False)
    assert told(goal, Detections.empty()) == (False, False)
    assert goal.judge(found((A, 0.9, 0), (B, 0.2, 1), (B, 0.1, 0))).loss == pytest.approx(0.1)


def test_a_neighbour_is_no_mistake() -> None:
    """Two objects that overlap by more than half: one hidden, the other rightly found."""
    pair = truth((A, 0), (NEAR_A, 1))
    assert told(Mislabel(pair), found((A, 0.9, 0))) == (True, False)
    assert told(Mislabel(pair), found((A, 0.9, 2))) == (False, True)


def test_no_other_answer_is_judged() -> None:
    for goal in (Vanish(BOTH), Fabricate(BOTH), Mislabel(BOTH)):
        with pytest.raises(EndpointError, match="only be wanted of a detector, got Classification"):
            goal.judge(Classification(np.ones(2, np.float32) / 2))


def slow(a: Array, b: Array) -> float:
    wide, high = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    shared = max(wide, 0.0) * max(high, 0.0)
    return float(shared / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - shared))


@settings(deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 12), st.integers(1, 5))
def test_definitions_hold_for_any_answer(seed: int, many: int, objects: int) -> None:
    rng = np.random.default_rng(seed)

    def boxes(n: int) -> Array:
        corner = rng.integers(0, 12, (n, 2))
        return np.concatenate([corner, corner + rng.integers(4, 16, (n, 2))], axis=1).astype(np.float64)

    gt, gl, d, dl = boxes(objects), rng.integers(0, 2, objects), boxes(many), rng.integers(0, 2, many)
    s = rng.uniform(0, 1, many).astype(np.float32).astype(np.float64)
    wanted, answer = Wanted.of(Objects(gt, gl)), Detections(d.astype(np.float32), s.astype(np.float32), dl)
    iou = [[slow(d[i], gt[g]) for g in range(objects)] for i in range(many)]
    own = [max([s[i] * iou[i][g] for i in range(many) if dl[i] == gl[g]], default=0) for g in range(objects)]
    hit = [
        any(dl[i] == gl[g] and iou[i][g] >= 0.5 and s[i] >= 0.3 for i in range(many)) for g in range(objects)
    ]
    right = [any(dl[i] == gl[g] and iou[i][g] >= 0.5 for g in range(objects)) for i in range(many)]
    wrong = [[i for i in range(many) if dl[i] != gl[g] and not right[i]] for g in range(objects)]
    taken = [max([s[i] * iou[i][g] for i in wrong[g]], default=0) for g in range(objects)]
    false = [s[i] for i in range(many) if max(iou[i]) < 0.5]
    mistaken = [
        not hit[g] and any(iou[i][g] >= 0.5 and s[i] >= 0.3 for i in wrong[g]) for g in range(objects)
    ]
    vanish, fabricate, mislabel = (
        goal.judge(answer) for goal in (Vanish(wanted), Fabricate(wanted), Mislabel(wanted))
    )
    assert vanish.loss == pytest.approx(sum(own))
    assert (vanish.right, vanish.fooled) == (any(hit), not any(hit))
    assert fabricate.loss == pytest.approx(-sum(false))
    assert fabricate.fooled == (max(false, default=0) >= 0.3) == (not fabricate.right)
    assert mislabel.loss == pytest.approx(min(o - t for o, t in zip(own, taken, strict=True)))
    assert (mislabel.right, mislabel.fooled) == (any(hit) and not any(mistaken), any(mistaken))
    assert Seen.of(wanted, answer).found().tolist() == hit

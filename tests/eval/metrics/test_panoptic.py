"""Panoptic quality by a plain walk over pixels, on hand-made images, and as every metric must be."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from eval.metrics.panoptic import PanopticMetric, Segments
from models.results import Array
from tests.eval.metrics import test_contract as contract
from tests.eval.metrics.oracles import values

LABELS = ("person", "car", "sky", "road")
THINGS = (True, True, False, False)


def segments(rng: np.random.Generator, crowds: bool, shape: tuple[int, int] = (12, 14)) -> Segments:
    """Overlapping rectangles painted one over the other; some ids are far apart, some pixels void."""
    count = int(rng.integers(0, 7))
    ids = rng.choice([1, 2, 3, 7, 500, 70_000, 16_000_000, 9], count, replace=False).astype(np.int64)
    picture = np.zeros(shape, np.int64)
    for one in ids:
        y, x = rng.integers(0, 9, 2)
        h, w = rng.integers(2, 10, 2)
        picture[y : y + h, x : x + w] = one
    ids = ids[np.isin(ids, picture)]
    labels = rng.integers(0, 4, len(ids))
    return Segments(picture, ids, labels, (rng.random(len(ids)) < 0.25) & crowds)


def guess(rng: np.random.Generator, truth: Segments) -> Segments:
    """The truth moved by a pixel or so, under other ids, with some classes changed and some pieces void."""
    moved = np.roll(truth.map, rng.integers(-1, 2, 2), (0, 1))
    moved[rng.random(moved.shape) < 0.05] = 0
    ids = truth.ids[np.isin(truth.ids, moved)]
    renamed = np.zeros_like(moved)
    for k, one in enumerate(ids, start=1):
        renamed[moved == one] = k
    labels = truth.labels[np.isin(truth.ids, ids)].copy()
    wrong = rng.random(len(labels)) < 0.2
    labels[wrong] = rng.integers(0, 4, int(wrong.sum()))
    extra = int(rng.integers(0, 3))
    for k in range(len(ids) + 1, len(ids) + extra + 1):
        renamed[rng.integers(0, 10) :, rng.integers(0, 12) :][:4, :4] = k
    told = np.arange(1, len(ids) + extra + 1)
    there = np.isin(told, renamed)
    return Segments(renamed, told[there], np.append(labels, rng.integers(0, 4, extra))[there])


def draw(rng: np.random.Generator) -> tuple[Segments, Segments]:
    truth = segments(rng, crowds=True)
    return (guess(rng, truth) if rng.random() < 0.8 else segments(rng, crowds=False)), truth


def by_walking(pairs: list[tuple[Segments, Segments]]) -> dict[str, float | None]:
    """From the text of the paper, section 4: sets of pixels, no arrays."""
    tallies: list[dict[str, Any]] = [{"iou": [], "fp": 0, "fn": 0} for _ in LABELS]
    for predicted, expected in pairs:
        void = pixels(expected, 0)
        mine = {
            int(i): (int(k), pixels(predicted, i))
            for i, k in zip(predicted.ids, predicted.labels, strict=True)
        }
        crowds = {
            int(k): pixels(expected, i)
            for i, k, crowd in zip(expected.ids, expected.labels, expected.crowd, strict=True)
            if crowd
        }
        matched = set()
        for i, k, crowd in zip(expected.ids, expected.labels, expected.crowd, strict=True):
            if crowd:
                continue
            region = pixels(expected, i)
            for j, (label, other) in mine.items():
                union = (region | other) - (other & void)
                if label == k and union and len(region & other) / len(union) > 0.5:
                    tallies[k]["iou"].append(len(region & other) / len(union))
                    matched.add(j)
                    break
            else:
                tallies[k]["fn"] += 1
        for j, (label, region) in mine.items():
            excused = len(region & void) + len(region & crowds.get(label, set()))
            tallies[label]["fp"] += j not in matched and not excused / len(region) > 0.5
    return read(tallies)


def pixels(segments: Segments, one: int) -> set[tuple[int, int]]:
    return {(y, x) for y, row in enumerate(segments.map.tolist()) for x, i in enumerate(row) if i == one}


def read(tallies: list[dict[str, Any]]) -> dict[str, float | None]:
    scores: dict[str, float | None] = {}
    for part, members in (("", range(4)), (".things", (0, 1)), (".stuff", (2, 3))):
        rows = []
        for k in members:
            hits, weight = (
                len(tallies[k]["iou"]),
                len(tallies[k]["iou"]) + (tallies[k]["fp"] + tallies[k]["fn"]) / 2,
            )
            if weight:
                iou = sum(tallies[k]["iou"])
                rows.append((iou / weight, iou / hits if hits else 0.0, hits / weight))
                names = {
                    f"{kind}.class.{LABELS[k]}": value
                    for kind, value in zip(("pq", "sq", "rq"), rows[-1], strict=True)
                }
                scores |= names | ({} if hits else {f"sq.class.{LABELS[k]}": None})
        for place, kind in enumerate(("pq", "sq", "rq")):
            scores[kind + part] = sum(row[place] for row in rows) / len(rows) if rows else None
    return scores


@pytest.mark.parametrize("seed", range(200))
def test_random_images_agree_with_a_walk_over_pixels(seed: int) -> None:
    rng = np.random.default_rng(seed)
    pairs = [draw(rng) for _ in range(int(rng.integers(1, 5)))]
    metric = PanopticMetric(LABELS, THINGS, resamples=0)
    metric.update(*map(list, zip(*pairs, strict=True)))
    ours, slow = values(metric), by_walking(pairs)
    assert {name for name, value in ours.items() if value is not None} == {
        n for n, v in slow.items() if v is not None
    }
    for name, value in slow.items():
        assert ours[name] == (None if value is None else pytest.approx(value, abs=1e-12)), name


def strip(*runs: tuple[int, int]) -> Array:
    """One row of pixels: (id, how many)."""
    return np.repeat([one for one, _ in runs], [many for _, many in runs])[None]


def one(picture: Array, *told: tuple[int, int], crowds: tuple[int, ...] = ()) -> Segments:
    """(id, class) of each segment."""
    ids, labels = (np.array([row[i] for row in told], np.int64) for i in (0, 1))
    return Segments(picture, ids, labels, np.isin(ids, crowds))


def measured(predicted: Segments, expected: Segments) -> dict[str, float | None]:
    metric = PanopticMetric(LABELS, THINGS, resamples=0)
    metric.update([predicted], [expected])
    return values(metric)


def test_half_is_not_more_than_half() -> None:
    """IoU 1/2 is no match; one pixel more is."""
    truth = one(strip((1, 6), (2, 6)), (1, 0), (2, 2))
    half = measured(one(strip((5, 3), (6, 9)), (5, 0), (6, 3)), truth)
    assert half["pq.class.person"] == 0.0
    assert half["sq.class.person"] is None
    assert half["pq"] == 0.0  # of person, sky (missed) and road (false)
    more = measured(one(strip((5, 4), (6, 8)), (5, 0), (6, 2)), truth)
    assert more["pq.class.person"] == 4 / 6
    assert more["pq.class.sky"] == 6 / 8
    assert more["pq.things"] == 4 / 6
    assert more["pq.stuff"] == 6 / 8
    assert more["rq"] == 1.0


def test_what_is_predicted_on_void_is_no_part_of_the_union() -> None:
    truth = one(strip((1, 4), (0, 8)), (1, 0))
    assert measured(one(strip((3, 12)), (3, 0)), truth)["sq.class.person"] == 1.0


def test_a_segment_mostly_on_void_is_no_false_positive() -> None:
    truth = one(strip((1, 4), (2, 4), (0, 5)), (1, 0), (2, 3))
    excused = measured(one(strip((1, 4), (2, 4), (3, 5)), (1, 0), (2, 3), (3, 1)), truth)
    assert excused["pq"] == 1.0
    assert excused["pq.class.car"] is None
    half = measured(one(strip((1, 4), (0, 1), (3, 6), (0, 2)), (1, 0), (3, 1)), truth)  # 3 of 6 on void
    assert half["pq.class.car"] == 0.0


def test_a_crowd_excuses_its_own_class_only() -> None:
    truth = one(strip((1, 4), (2, 8)), (1, 2), (2, 0), crowds=(2,))
    own = measured(one(strip((1, 4), (3, 4), (4, 4)), (1, 2), (3, 0), (4, 0)), truth)
    assert own["pq"] == 1.0
    assert own["pq.class.person"] is None  # neither missed nor demanded
    other = measured(one(strip((1, 4), (3, 8)), (1, 2), (3, 1)), truth)
    assert other["pq.class.car"] == 0.0


def test_of_several_crowds_of_a_class_the_last_one_excuses() -> None:
    """As panopticapi has it."""
    truth = one(strip((1, 6), (2, 6)), (1, 0), (2, 0), crowds=(1, 2))
    assert measured(one(strip((5, 12)), (5, 0)), truth)["pq.class.person"] == 0.0
    assert measured(one(strip((5, 5), (6, 7)), (5, 0), (6, 0)), truth)["pq.class.person"] == 0.0
    assert measured(one(strip((0, 5), (6, 7)), (6, 0)), truth)["pq.class.person"] is None


def test_the_means_are_of_classes_with_sums_over_images() -> None:
    """Person: 2 hits of IoU 1 and 3/4, a miss; car: a false positive; nothing else is there."""
    metric = PanopticMetric(LABELS, THINGS)
    metric.update(
        [one(strip((1, 4)), (1, 0)), one(strip((1, 3), (0, 1), (2, 4)), (1, 0), (2, 1))],
        [one(strip((1, 4)), (1, 0)), one(strip((1, 4), (2, 4)), (1, 0), (2, 0))],
    )
    scores = {score.name: score for score in metric.compute()}
    assert scores["pq.class.person"].value == pytest.approx(1.75 / 2.5)
    assert scores["sq.class.person"].value == pytest.approx(1.75 / 2)
    assert scores["rq.class.person"].value == pytest.approx(2 / 2.5)
    assert scores["pq"].value == scores["pq.things"].value == pytest.approx(1.75 / 2.5 / 2)
    assert scores["pq.stuff"].value is None
    assert scores["pq"].support == 4
    assert scores["pq"].low is not None


CASE = contract.Case(
    lambda: PanopticMetric(LABELS, THINGS), draw, lambda: PanopticMetric(LABELS, (True, True, True, False))
)
PROMISES: tuple[Callable[[contract.Case], None], ...] = (
    contract.test_parts_merged_are_the_whole_in_any_order,
    contract.test_merging_leaves_the_other_alone,
    contract.test_computing_changes_nothing,
    contract.test_nothing_measured_is_none_not_zero,
    contract.test_scores_are_plain_finite_and_named_once,
    contract.test_unequal_lengths_are_refused,
    contract.test_strangers_are_not_merged,
)


@pytest.mark.parametrize("promise", PROMISES)
def test_it_keeps_what_every_metric_promises(promise: Callable[[contract.Case], None]) -> None:
    promise(CASE)


def test_resampling_once_each_is_computing() -> None:
    rng = np.random.default_rng(5)
    pairs = [draw(rng) for _ in range(12)]
    metric = PanopticMetric(LABELS, THINGS, resamples=0)
    metric.update(*map(list, zip(*pairs, strict=True)))
    twice, some = metric.resampled(), np.random.default_rng(0).integers(0, 3, 12)
    copies = PanopticMetric(LABELS, THINGS, resamples=0)
    for times, (predicted, expected) in zip(some.tolist(), pairs, strict=True):
        copies.update([predicted] * times, [expected] * times)
    wanted = [np.nan if score.value is None else score.value for score in copies.compute()]
    assert twice.names == tuple(score.name for score in copies.compute())
    np.testing.assert_allclose(twice.values(some[None])[0], wanted, atol=1e-12)


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"ids": np.array([1, 2])}, r"labels must be \(2,\)"),
        ({"ids": np.array([0])}, "positive and distinct"),
        ({"ids": np.array([1, 1]), "labels": np.zeros(2, int)}, "positive and distinct"),
        ({"map": np.full((2, 2), 9)}, r"ids of the segments or 0, got \[9\]"),
        ({"map": np.zeros((2, 2))}, "integers"),
        ({"crowd": np.zeros(2, bool)}, "crowd must be"),
    ],
)
def test_segments_are_checked(columns: dict[str, Array], message: str) -> None:
    given = {"map": np.ones((2, 2), int), "ids": np.array([1]), "labels": np.zeros(1, int), **columns}
    with pytest.raises(ValueError, match=message):
        Segments(**given)


def test_pairs_are_checked() -> None:
    metric = PanopticMetric(LABELS, THINGS)
    truth = one(strip((1, 4)), (1, 0))
    for predicted, message in (
        (one(strip((1, 5)), (1, 0)), r"map must be \(1, 4\) like the truth"),
        (one(strip((1, 4)), (1, 4)), r"predicted labels must be in \[0, 4\), got 4 to 4"),
        (one(strip((1, 4)), (1, 0), (2, 0)), r"must occur in the map, got none of \[2\]"),
    ):
        with pytest.raises(ValueError, match=message):
            metric.update([predicted], [truth])
    with pytest.raises(ValueError, match="things must say it of 4 classes, got 3"):
        PanopticMetric(LABELS, THINGS[:3])
    assert metric._images == []

"""The difference of any score of any task, against resampling the answers themselves."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from eval.metrics.base import Metric
from eval.metrics.intervals import widened
from eval.metrics.paired import paired_difference, tango
from eval.metrics.tables import METRICS
from models.card import TaskName
from models.results import Array
from tests.eval.metrics.test_contract import LABELS, classification, detection, segmentation

IMAGES, RESAMPLES = 14, 12
DRAW = {"classification": classification, "detection": detection, "segmentation": segmentation}


def versions(task: TaskName, seed: int = 0) -> tuple[list[Any], list[Any], list[Any]]:
    """Answers of two versions to the same images, and the truth."""
    rng = np.random.default_rng(seed)
    first, truths = zip(*(DRAW[task](rng) for _ in range(IMAGES)), strict=True)
    return list(first), [*first[1:], first[0]] if task != "segmentation" else list(first[::-1]), list(truths)


def read(
    task: TaskName, answers: Sequence[Any], truths: Sequence[Any], rows: Array
) -> dict[str, float | None]:
    """Every score, measured from nothing on the images drawn."""
    found: dict[str, float | None] = {}
    for make in METRICS[task]:
        metric: Metric[Any, Any] = make(LABELS, resamples=0)
        metric.update([answers[i] for i in rows.tolist()], [truths[i] for i in rows.tolist()])
        found |= {score.name: score.value for score in metric.compute()}
    return found


def names(task: TaskName) -> list[str]:
    return [score.name for make in METRICS[task] for score in make(LABELS, resamples=0).compute()]


SHARES = {"accuracy", "top5_accuracy"}


@pytest.fixture(scope="module", params=["classification", "segmentation"])
def drawn(request: pytest.FixtureRequest) -> tuple[TaskName, list[dict[str, float | None]]]:
    """The gap of every score on the data and on every resample."""
    task: TaskName = request.param
    first, second, truths = versions(task)
    rng = np.random.Generator(np.random.Philox(key=0))
    sets = [np.arange(IMAGES), *(rng.integers(0, IMAGES, IMAGES) for _ in range(RESAMPLES))]
    gaps = []
    for rows in sets:
        mine, other = read(task, first, truths, rows), read(task, second, truths, rows)
        gaps.append({name: apart(mine[name], other[name]) for name in mine})
    return task, gaps


def apart(mine: float | None, other: float | None) -> float | None:
    return None if mine is None or other is None else mine - other


def test_every_score_of_a_task_has_its_difference(
    drawn: tuple[TaskName, list[dict[str, float | None]]],
) -> None:
    """Value and interval are those of answers resampled one by one; nothing is fitted to a score."""
    task, (whole, *sets) = drawn
    first, second, truths = versions(task)
    for name in names(task):
        if name in SHARES or name.startswith(("precision.micro", "recall.micro", "f1.micro")):
            continue
        told = paired_difference(task, LABELS, first, second, truths, score=name, resamples=RESAMPLES)
        gap = whole[name]
        assert told.value == (None if gap is None else pytest.approx(gap, abs=1e-12)), name
        assert told.lower_is_better == name.endswith(("_loss", "_error"))
        there = [one[name] for one in sets if one[name] is not None]
        if gap is None or not there or told.low is None or told.high is None:
            assert told.low is None, name
            continue
        low, high = np.quantile(np.array(there, float), [0.025, 0.975]).tolist()
        bounds = widened((min(low, gap), max(high, gap)), len(truths))
        assert (told.low, told.high) == pytest.approx(bounds, abs=1e-9), name


@pytest.mark.parametrize("name", ["accuracy", "top5_accuracy", "recall.micro"])
def test_shares_of_images_have_tango_s_interval(name: str) -> None:
    first, second, truths = versions("classification")
    k = 5 if name == "top5_accuracy" else 1
    mine, other = (
        np.array([t in a.top(k) for a, t in zip(answers, truths, strict=True)]) for answers in (first, second)
    )
    told = paired_difference("classification", LABELS, first, second, truths, score=name)
    gained, lost = int((mine & ~other).sum()), int((other & ~mine).sum())
    assert gained + lost > 0
    assert told.value == pytest.approx((gained - lost) / IMAGES)
    assert (told.low, told.high) == tango(gained, lost, IMAGES)


@pytest.mark.parametrize("name", ["ap75", "f1.micro", "ap.class.cat"])
def test_detection_has_it_of_any_score(name: str) -> None:
    first, second, truths = versions("detection")
    told = paired_difference("detection", LABELS, first, second, truths, score=name, resamples=20)
    everything = np.arange(IMAGES)
    mine, other = (read("detection", answers, truths, everything)[name] for answers in (first, second))
    assert told.value == pytest.approx(apart(mine, other), abs=1e-12)
    assert told.value
    assert told.support == IMAGES


@pytest.mark.parametrize("task", list(DRAW))
def test_the_same_answers_do_not_differ(task: TaskName) -> None:
    first, _, truths = versions(task)
    told = paired_difference(task, LABELS, first, first, truths, resamples=20)
    assert told.value == 0
    assert told.low is not None
    assert told.high is not None
    assert told.low <= 0 <= told.high


@pytest.mark.parametrize("name", ["f1.macro", "ece_error", "roc_auc.macro"])
def test_turned_round_and_with_another_seed(name: str) -> None:
    first, second, truths = versions("classification", seed=3)
    told = paired_difference("classification", LABELS, first, second, truths, score=name)
    back = paired_difference("classification", LABELS, second, first, truths, score=name)
    assert told.value is not None
    assert back.value == pytest.approx(-told.value, abs=1e-12)
    assert told.low is not None
    assert told.high is not None
    assert (back.low, back.high) == pytest.approx((-told.high, -told.low), abs=1e-9)
    other = paired_difference("classification", LABELS, first, second, truths, score=name, seed=1)
    assert (other.value, other.low) != (told.value, told.low)
    again = paired_difference("classification", LABELS, first, second, truths, score=name)
    assert again == told


def test_a_score_that_is_none_is_refused() -> None:
    first, second, truths = versions("classification")
    with pytest.raises(
        ValueError, match=r"score must be one of \['accuracy', .*'roc_auc.macro', .*, got 'map'"
    ):
        paired_difference("classification", LABELS, first, second, truths, score="map")


@pytest.mark.parametrize("task", list(DRAW))
def test_nothing_to_compare_is_undefined(task: TaskName) -> None:
    told = paired_difference(task, LABELS, [], [], [])
    assert (told.value, told.low, told.high, told.support) == (None, None, None, 0)

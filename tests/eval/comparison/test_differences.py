"""Differences against slow or other ways to the same numbers."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from eval.comparison.columns import Columns, Flip, Flips, columns_of
from eval.comparison.differences import (
    KEY,
    better_and_worse,
    by_class,
    by_slice,
    key_scores,
    scores_of,
)
from eval.comparison.states import comparable, known, states
from eval.data.dataset import Sample
from eval.metrics.intervals import reach, wilson
from eval.metrics.multiple import holm
from eval.metrics.paired import paired_difference, tango
from eval.recorded import recorded
from models.card import TaskName
from models.results import Classification, Result, Segmentation
from tests.eval.recordings import LABELS, classified, maps, pictures, recording

COUNTS = (20, 12, 8)
TRUTH = np.repeat(np.arange(3), COUNTS).tolist()


def made(seed: int, right: float) -> list[Result]:
    """Random answers, right about so often."""
    rng = np.random.default_rng(seed)
    answers: list[Result] = []
    for label in TRUTH:
        scores = rng.dirichlet(np.ones(3)).astype(np.float32)
        if rng.random() < right:
            scores[[label, int(scores.argmax())]] = scores[[int(scores.argmax()), label]]
        answers.append(Classification(scores))
    return answers


@pytest.fixture(scope="module")
def sides() -> tuple[list[Result], list[Result]]:
    return made(1, 0.6), made(2, 0.8)


@pytest.fixture(scope="module")
def columns(tmp_path_factory: pytest.TempPathFactory, sides: tuple[list[Result], list[Result]]) -> Columns:
    root = tmp_path_factory.mktemp("compared")
    data = pictures(root / "data", COUNTS)
    tags = [{"even": str(i % 2 == 0)} for i in range(sum(COUNTS))]
    one, two = (
        recorded(recording(root / name, data, answers, tags=tags, slices=()))
        for name, answers in zip("ab", sides, strict=True)
    )
    with one.journal, two.journal:
        return columns_of(one, two, comparable("classification", LABELS), ["class"])


@pytest.mark.parametrize("name", comparable("classification", LABELS))
def test_every_score_as_the_library_function_has_it(
    columns: Columns, sides: tuple[list[Result], list[Result]], name: str
) -> None:
    (paired,) = scores_of(columns, [name], resamples=50)
    before, after = sides
    other = paired_difference("classification", LABELS, after, before, TRUTH, score=name, resamples=50)
    assert paired.difference == other
    assert paired.before is not None
    assert paired.after is not None
    assert paired.difference.value == pytest.approx(paired.after - paired.before, abs=1e-12)


@pytest.mark.parametrize("name", ["accuracy", "f1.macro", "brier_loss"])
def test_a_slice_is_a_comparison_of_its_images(
    columns: Columns, sides: tuple[list[Result], list[Result]], name: str
) -> None:
    where = np.array(columns.slices["even"]["True"])
    (paired,) = scores_of(columns, [name], where=where, resamples=50)
    before, after = ([side[i] for i in where] for side in sides)
    truth = [TRUTH[i] for i in where]
    other = paired_difference("classification", LABELS, after, before, truth, score=name, resamples=50)
    assert paired.difference.value == pytest.approx(other.value, abs=1e-12)
    assert paired.difference.low == pytest.approx(other.low, abs=1e-12)
    assert paired.difference.support == len(where)


def test_better_and_worse_is_what_mcnemar_asks(
    columns: Columns, sides: tuple[list[Result], list[Result]]
) -> None:
    rights = [
        np.array([a.label == t for a, t in zip(side, TRUTH, strict=True) if isinstance(a, Classification)])
        for side in sides
    ]
    better, worse = int((~rights[0] & rights[1]).sum()), int((rights[0] & ~rights[1]).sum())
    assert better_and_worse(columns) == (better, worse)
    assert columns.units.tolist()[1:3] == [worse, better]
    assert sum(columns.units) == len(TRUTH)


def test_classes_and_slices_are_tested_together(columns: Columns) -> None:
    """A slice by the true class asks what the recall of that class asks."""
    classes = {change.label: change for change in by_class(columns)}
    told = by_slice(columns, resamples=20)
    assert [(change.name, change.value) for change in told[-2:]] == [("even", "False"), ("even", "True")]
    slices = told[:3]
    assert [change.value for change in slices] == list(LABELS)
    for change in slices:
        same = classes[change.value]
        assert (change.better, change.worse) == (same.better, same.worse)
        assert change.score.difference == same.difference
    raw = [_sign_test(change.better, change.worse) for change in told]
    assert [classes[label].p for label in LABELS] == pytest.approx(holm(raw[:3]), rel=1e-12)
    assert [change.p for change in told] == pytest.approx(holm(raw), rel=1e-12)  # one family
    assert holm(raw) != raw


def _sign_test(better: int, worse: int) -> float:
    return float(binomtest(better, better + worse).pvalue) if better + worse else 1.0


@given(st.integers(1, 10_000), st.sampled_from([0.8, 0.95, 0.99]))
def test_reach_is_that_of_wilson_and_tango(n: int, confidence: float) -> None:
    low, _ = wilson(n, n, confidence)
    assert low is not None
    assert reach(n, confidence) == pytest.approx(1 - low, abs=1e-12)
    below, above = tango(0, 0, n, confidence)
    assert below is not None
    assert above is not None
    assert (-below, above) == pytest.approx((reach(n, confidence),) * 2, abs=1e-9)


def test_answers_that_are_alike_prove_little(tmp_path: Path) -> None:
    """The bootstrap of equal answers has no width; ten images must not show that nothing changed."""
    data = pictures(tmp_path / "data", (4, 3, 3))
    answers = classified([0, 0, 0, 1, 1, 1, 1, 2, 2, 2])
    one, two = (recorded(recording(tmp_path / name, data, answers)) for name in "ab")
    with one.journal, two.journal:
        columns = columns_of(one, two, KEY["classification"])
    for paired in key_scores(columns, resamples=20):
        assert paired.difference.value == 0
        assert (paired.difference.low, paired.difference.high) == pytest.approx(
            (-reach(10), reach(10)), abs=1e-9
        )


def test_segmentation_classes_by_hand(tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    labels = ("road", "sky", "tree")
    truths = [rng.integers(0, 3, (8, 8)).astype(np.uint8) for _ in range(12)]
    sides = [[np.where(rng.random((8, 8)) < share, t, 0) for t in truths] for share in (0.5, 0.9)]
    data = maps(tmp_path / "maps", truths, labels)
    one, two = (
        recorded(
            recording(
                tmp_path / name, data, [Segmentation(m) for m in side], task="segmentation", labels=labels
            )
        )
        for name, side in zip("ab", sides, strict=True)
    )
    with one.journal, two.journal:
        columns = columns_of(one, two, KEY["segmentation"])
    for k, change in enumerate(by_class(columns, resamples=200)):
        whole = np.concatenate([t.ravel() for t in truths]) == k
        recalls = [np.concatenate([m.ravel() for m in side])[whole] == k for side in sides]
        assert (change.before, change.after) == (recalls[0].mean(), recalls[1].mean())
        low, high = change.difference.low, change.difference.high
        assert low is not None
        assert high is not None
        assert low < change.after - change.before < high
    assert by_class(columns)[1].p < 0.01 < by_class(columns)[0].p  # the first is the default answer


@pytest.mark.parametrize("task", ["classification", "detection", "segmentation"])
def test_only_what_was_asked_for_is_kept(task: TaskName) -> None:
    for name in known(task, LABELS):
        for asked in (name, f"slice.size.up to 64.{name}"):
            kept = states(task, LABELS, [asked])
            assert name in {score.name for metric in kept for score in metric.compute()}
    assert states(task, LABELS, ["churn", "latency.p95_ms"]) == ()
    assert set(comparable(task, LABELS)) <= set(known(task, LABELS))


@given(st.permutations(list(range(9))))
def test_the_weightiest_flips_whatever_the_order(order: Sequence[int]) -> None:
    flips = Flips(3)
    answer = classified([0])[0]
    for i in order:
        flips.note(Flip(i // 2, Sample(f"s{i}", b"", 0), answer, answer))
    assert [flip.sample.id for flip in flips] == ["s8", "s6", "s7"]

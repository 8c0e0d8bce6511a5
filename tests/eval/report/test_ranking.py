"""Curves of each class against the rest, beside scikit-learn's."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, precision_recall_curve, roc_auc_score, roc_curve

from eval.report.plots import draw
from eval.report.ranking import Ranked, ranking_plots, steps
from models.results import Array


class Kept:
    """Scores of every image for every class."""

    def __init__(self, scores: Array, truth: Array) -> None:
        self.scores, self.truth = scores, truth

    def ranked(self) -> Iterator[tuple[int, Array, Array]]:
        for label, column in enumerate(self.scores.T):
            yield label, column, self.truth == label


def kept(classes: int, images: int, seed: int = 0) -> Kept:
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, classes, images)
    scores = rng.dirichlet(np.ones(classes), images) + 0.4 * np.eye(classes)[truth] * rng.random((images, 1))
    return Kept(scores.round(2).astype(np.float32), truth)


@given(
    st.lists(st.tuples(st.sampled_from([0.0, 0.1, 0.5, 0.7, 1.0]), st.booleans()), min_size=1, max_size=30)
)
def test_steps_are_scikit_learns(rows: list[tuple[float, bool]]) -> None:
    scores, positive = np.array([s for s, _ in rows]), np.array([p for _, p in rows])
    hits, count = steps(scores, positive)
    if positive.any():
        precision, recall, _ = precision_recall_curve(positive, scores)
        np.testing.assert_allclose((hits / count)[::-1], precision[:-1])
        np.testing.assert_allclose((hits / positive.sum())[::-1], recall[:-1])
    if positive.any() and not positive.all():
        false, true, _ = roc_curve(positive, scores, drop_intermediate=False)
        np.testing.assert_allclose((count - hits) / (~positive).sum(), false[1:])
        np.testing.assert_allclose(hits / positive.sum(), true[1:])


def test_names_carry_the_areas_and_the_worst_come_first() -> None:
    scores = kept(3, 400)
    curves, roc = ranking_plots(scores, ["a", "b", "c"])
    for plot, reference in ((curves, average_precision_score), (roc, roc_auc_score)):
        told = dict(name.split() for name in plot.series)
        for label, column, positive in scores.ranked():
            assert float(told["abc"[label]]) == pytest.approx(reference(positive, column), abs=6e-4)
    areas = [float(name.split()[1]) for name in curves.series]
    assert areas == sorted(areas)
    assert draw(roc).count('class="line') == 3
    for points in roc.series.values():
        assert points[0] == (0.0, 0.0)
        assert points[-1] == (1.0, 1.0)


def test_of_many_classes_the_worst_are_drawn_and_long_curves_are_thinned() -> None:
    curves, _ = ranking_plots(kept(9, 4000), [f"c{i}" for i in range(9)])
    assert len(curves.series) == 6
    assert curves.title.endswith("the 6 worst of 9 classes")
    assert all(len(points) <= 152 for points in curves.series.values())


def test_a_class_nobody_or_everybody_is_of_has_no_curve() -> None:
    assert ranking_plots(Kept(np.ones((3, 2), np.float32), np.zeros(3, int)), ["a", "b"]) == []
    assert ranking_plots(Kept(np.ones((0, 2), np.float32), np.zeros(0, int)), ["a", "b"]) == []


def test_what_kept_no_scores_is_not_ranked() -> None:
    assert isinstance(kept(2, 2), Ranked)
    assert not isinstance(object(), Ranked)

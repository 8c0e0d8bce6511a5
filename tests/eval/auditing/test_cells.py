"""One cell's numbers, and which reference fits what was measured."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from eval.auditing.cells import CLEAN, Cell, Corrupted, Standing, standing_of
from eval.auditing.headline import Accuracy
from eval.corruptions.tables import COMMON, SEVERITIES
from eval.errors import EvalError
from eval.metrics.base import Score
from eval.metrics.intervals import resample
from models.results import Classification
from tests.eval.auditing.brightness import LABELS, Model, data, run


def made(
    names: Sequence[str] = COMMON, classes: int = 1000, severities: Sequence[int] = SEVERITIES
) -> Corrupted:
    """A model that is right four times in five, and half the times under corruption."""

    def standing(cell: Cell, value: float) -> Standing:
        return Standing(cell, Score(str(cell), value, 10), 0, "", np.full(201, value), np.full(201, 0.1))

    worn = {name: tuple(standing(Cell(name, s), 0.5) for s in severities) for name in names}
    labels = tuple(f"c{i}" for i in range(classes))
    told = tuple(severities)
    return Corrupted("m/2", "classification", labels, 10, 0, told, standing(CLEAN, 0.8), worn, "ECE")


def test_alexnet_is_for_imagenets_classes_and_the_common_fifteen() -> None:
    own = made()
    values = {score.name: score.value for score in own.scores(own.reference("alexnet"))}
    assert values["mCE_error"] is not None
    assert 0.6 < values["mCE_error"] < 0.7
    assert values["relative_mCE_error"] is not None


@pytest.mark.parametrize(
    ("own", "words"),
    [
        (made(classes=10), "1000 classes; m/2 does classification of 10"),
        (made(COMMON[:14]), "--corruptions common"),
        (made((*COMMON, "spatter")), "--corruptions common"),
        (made(severities=(1, 3, 5)), "five severities"),
        (replace(made(), task="detection"), "does detection"),
    ],
)
def test_alexnet_is_refused_where_it_does_not_fit(own: Corrupted, words: str) -> None:
    with pytest.raises(EvalError, match=words):
        own.reference("alexnet")


def test_another_name_is_no_reference() -> None:
    with pytest.raises(EvalError, match="alexnet or version:N, got 'resnet'"):
        made().reference("resnet")


def test_a_version_is_measured_on_the_same_pictures() -> None:
    own, other = run(Model()), replace(run(Model()), model="m/1")
    reference = own.reference("version:1", other)
    values = {score.name: score for score in own.scores(reference)}
    assert values["mCE_error"].value == pytest.approx(1)
    assert values["mCE_error"].definition.endswith("reference=m/1")
    for changed in (
        replace(other, seed=1),
        replace(other, images=23),
        replace(other, labels=("a", "b", "c")),
        replace(other, severities=(2, 4)),
    ):
        with pytest.raises(EvalError, match="measured alike"):
            own.reference("version:1", changed)
    with pytest.raises(EvalError, match="same corruptions"):
        own.reference("version:1", replace(other, worn=dict(reversed(list(other.worn.items())))))


def test_scores_have_names_of_their_own() -> None:
    for own in (made(), replace(made(), calibration="")):
        names = [score.name for score in own.scores(own.reference("alexnet"))]
        assert len(set(names)) == len(names) == 2 + 2 + 15 + 1 + 75 + (7 if own.calibration else 0)


def test_cells_have_names() -> None:
    assert (str(CLEAN), str(Cell("fog", 3))) == ("clean", "fog/3")


def kept(places: Sequence[int]) -> dict[int, bytes]:
    """Answers as random as they come, in this order."""
    scores = np.random.default_rng(0).dirichlet(np.ones(3), 200)
    headline = Accuracy(LABELS)
    return {place: headline.kept(Classification(scores[place]), 0) for place in places}


def test_the_order_answers_came_in_changes_no_bit() -> None:
    one, other = (
        standing_of(CLEAN, kept(order), {}, data(200), Accuracy(LABELS))
        for order in (range(200), np.random.default_rng(1).permutation(200).tolist())
    )
    assert one.draws.tobytes() == other.draws.tobytes()
    assert one.calibration.tobytes() == other.calibration.tobytes()


def test_an_image_without_answer_has_no_part_in_any_resample() -> None:
    errors = {150: "late", 3: "first"}
    places = [place for place in range(200) if place not in errors]
    found = standing_of(Cell("fog", 1), kept(places), errors, data(200), Accuracy(LABELS))
    times = np.concatenate([np.ones((1, 200), np.int64), *resample(200, 200, 0)])
    right = np.array([kept([place])[place][0] for place in places])
    assert found.draws == pytest.approx((times[:, places] @ right) / times[:, places].sum(axis=1))
    assert (found.errors, found.why, found.score.support) == (2, "first", 198)


def test_every_cell_has_the_same_resamples() -> None:
    cells = CLEAN, Cell("fog", 1), Cell("snow", 5)
    clean, *others = (standing_of(c, kept(range(200)), {}, data(200), Accuracy(LABELS)) for c in cells)
    assert all(np.array_equal(clean.draws, other.draws) for other in others)

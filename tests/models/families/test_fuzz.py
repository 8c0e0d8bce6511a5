"""Every family reads random raw outputs as the slow reference does, and refuses what is no number."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.card import ModelCard, Postprocess, TaskName
from models.families.found import strongest
from models.families.tables import FAMILIES
from models.ports import Port
from models.results import Array, Classification, Detections
from models.tasks import TASKS
from tests.models.families.fuzz import differs, drawn, mismatches
from tests.models.families.raws import RAWS, card_of

ALL: list[tuple[TaskName, str]] = [(task, family) for task in FAMILIES for family in FAMILIES[task]]
CASES = 50


def test_every_family_is_fuzzed() -> None:
    assert {task: set(families) for task, families in RAWS.items()} == {
        task: set(families) for task, families in FAMILIES.items()
    }


def test_no_family_differs_from_the_reference() -> None:
    assert mismatches(CASES) == {f"{task}.{family}": 0 for task, family in ALL}


@given(st.sampled_from(ALL), st.integers(10**6, 2**32 - 1))
@settings(deadline=None, max_examples=300)
def test_any_raw_output_is_read_as_the_reference_reads_it(which: tuple[TaskName, str], seed: int) -> None:
    assert differs(*drawn(*which, seed)) is None


@pytest.mark.parametrize("family", FAMILIES["detection"])
def test_the_fuzz_says_something(family: str) -> None:
    """Answers of many kinds, or a family that finds nothing would pass."""
    task: TaskName = "detection"
    answers = [TASKS[task](card).interpret(outputs, shape) for card, outputs, shape in cases(task, family)]
    found = [len(answer) for answer in answers if isinstance(answer, Detections)]
    assert np.mean(np.array(found) > 0) > 0.3
    assert len(set(found)) > 3


def cases(task: TaskName, family: str) -> list[tuple[ModelCard, list[Array], tuple[int, int]]]:
    return [drawn(task, family, seed) for seed in range(60)]


def ports(outputs: list[Array], *, batched: bool) -> list[Port]:
    """As a graph would tell them; where there happen to be no objects, their number is told as any."""
    lead = (1,) if batched else ()
    return [Port(f"o{i}", o.dtype, (*lead, *(size or -1 for size in o.shape))) for i, o in enumerate(outputs)]


@pytest.mark.parametrize(("task", "family"), ALL)
def test_what_a_family_reads_it_also_accepts(task: TaskName, family: str) -> None:
    own = FAMILIES[task][family]
    for card, outputs, _ in cases(task, family):
        told = ports(outputs, batched=own.batched)
        assert own.mismatch(told, card.input, len(card.labels)) is None
        assert own.classes(told, card.input) in (None, len(card.labels))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize(("task", "family"), ALL)
def test_what_is_no_number_is_refused(task: TaskName, family: str, value: float) -> None:
    """Minus infinity before a softmax is a class that cannot be."""
    refused = 0
    for card, outputs, shape in cases(task, family):
        for i, output in enumerate(outputs):
            if output.dtype.kind == "f" and output.size and (task, value) != ("classification", -np.inf):
                broken = output.copy()
                broken.flat[output.size // 3] = value
                with pytest.raises(ValueError, match="finite"), np.errstate(invalid="ignore"):
                    TASKS[task](card).interpret([*outputs[:i], broken, *outputs[i + 1 :]], shape)
                refused += 1
    assert refused or family == "labels" or (task, value) == ("classification", -np.inf)


def test_a_label_that_has_no_name_is_refused() -> None:
    box, one = np.array([[0, 0, 9, 9]], np.float32), np.ones(1, np.float32)
    for label, first in ((2, 0), (3, 1)):
        card = card_of("detection", "torchvision", 2, postprocess={"first_label": first})
        with pytest.raises(ValueError, match="must be below 2, got 2"):
            TASKS["detection"](card).interpret([box, np.array([label]), one], (9, 9))
    labels = np.array([[0, 1], [2, 0]])
    with pytest.raises(ValueError, match="from 0 to 1, got 0 to 2"):
        TASKS["segmentation"](card_of("segmentation", "labels", 2)).interpret([labels], (9, 9))


@given(st.integers(0, 2**32 - 1), st.sampled_from([0, 1, 999, 1000, 1999, 2001, 2002, 5000]))
@settings(deadline=None, max_examples=60)
def test_the_strongest_are_the_first_of_the_sorted(seed: int, count: int) -> None:
    """More than are sorted at once, many of them equal; sorting by (-score, place) is the definition."""
    values = np.random.default_rng(seed).integers(0, 4 + seed % 2000, count).astype(np.float32)
    scores = values.reshape(-1, 1 + (count % 2 == 0))
    rows, columns, confidence = strongest(scores, Postprocess(score_threshold=1))
    want = sorted((-value, place) for place, value in enumerate(values.tolist()) if value >= 1)[:1000]
    assert [(-value, place) for value, place in want] == list(
        zip(confidence.tolist(), (rows * scores.shape[1] + columns).tolist(), strict=True)
    )


def test_levels_that_are_all_zero_tell_nothing() -> None:
    found = TASKS["classification"](card_of("classification", "probabilities", 4)).interpret(
        [np.zeros(4, np.uint8)], (9, 9)
    )
    assert isinstance(found, Classification)
    assert found.scores.tolist() == [0.25] * 4

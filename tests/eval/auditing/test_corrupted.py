"""What is asked, what is made of failures, and that nothing but the answers decides the numbers."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from eval.auditing import corrupted as module
from eval.auditing.cells import CLEAN, Cell, Corrupted
from eval.corruptions.tables import corrupt
from eval.data.dataset import Sample
from eval.errors import EndpointError, Gone, Refused
from eval.metrics.base import Score
from eval.metrics.calibration import CalibrationMetric
from eval.metrics.classification import ClassificationMetric
from eval.metrics.intervals import wilson
from models.results import Array, Classification
from tests.eval.auditing.brightness import (
    CELLS,
    LABELS,
    NAMES,
    SEVERITIES,
    Memory,
    Model,
    answer,
    data,
    image,
    load,
    run,
)


def drawn(place: int, cell: Cell, seed: int = 0) -> Array:
    if cell == CLEAN:
        return image(place)
    return corrupt(image(place), cell.corruption, cell.severity, seed=seed, sample=f"s{place}")


def every() -> list[Cell]:
    return [CLEAN, *(Cell(name, s) for name in NAMES for s in SEVERITIES)]


def same(one: Corrupted, other: Corrupted) -> bool:
    """To the last bit, draws of the bootstrap included."""
    pairs = zip(one.standings, other.standings, strict=True)
    draws = all(np.array_equal(a.draws, b.draws, equal_nan=True) for a, b in pairs)
    return draws and one.scores() == other.scores() and one.errors == other.errors


def unlucky(*places: int, error: type[EndpointError] = EndpointError, cell: Cell | None = None) -> Model:
    """Fails every request that holds one of these, in one cell or all."""
    cells = every() if cell is None else [cell]
    bad = {drawn(place, one).tobytes() for place in places for one in cells}

    def trouble(pictures: Sequence[Array]) -> None:
        if any(picture.tobytes() in bad for picture in pictures):
            raise error("it hurts")

    return Model(trouble)


def test_the_numbers_are_those_of_the_metrics_on_the_same_pictures() -> None:
    found = run(Model(), 24)
    truth = [load(place).expected for place in range(24)]
    for standing in found.standings:
        answers = [answer(drawn(place, standing.cell)) for place in range(24)]
        metrics = ClassificationMetric(LABELS, resamples=0), CalibrationMetric(LABELS, resamples=0)
        for metric in metrics:
            metric.update(answers, truth)  # type: ignore[arg-type]
        accuracy, ece = (metric.compute()[0] for metric in metrics)
        assert replace(standing.score, name="accuracy") == accuracy
        assert standing.calibration[0] == pytest.approx(ece.value, abs=1e-12)
    assert {standing.score.value for standing in found.standings} > {1.0}  # it has something to lose
    assert [standing.cell for standing in found.standings] == every()


def test_every_picture_is_asked_about_once_and_as_it_was_drawn() -> None:
    model = Model()
    run(model, 13)
    assert sorted(model.asked) == sorted(drawn(p, cell).tobytes() for p in range(13) for cell in every())
    assert max(map(len, model.requests)) == 5


@pytest.mark.parametrize(("batch", "in_flight"), [(1, 1), (1, 7), (4, 2), (64, 4)])
def test_the_pace_changes_nothing(batch: int, in_flight: int) -> None:
    assert same(run(Model()), run(Model(), batch=batch, in_flight=in_flight))


def test_another_seed_is_another_draw() -> None:
    one, other = Model(), Model()
    run(one, 3, seed=0)
    run(other, 3, seed=1)
    assert set(one.asked) & set(other.asked) >= {drawn(p, CLEAN).tobytes() for p in range(3)}
    assert set(one.asked) != set(other.asked)


def test_a_failed_request_fails_its_own_picture_only() -> None:
    found = run(unlucky(7, error=Refused), 100, batch=8)
    assert [standing.errors for standing in found.standings] == [1] * CELLS
    assert {standing.score.support for standing in found.standings} == {99}
    assert {standing.why for standing in found.standings} == {"it hurts"}
    assert found.errors == CELLS
    assert found.valid
    whole = run(Model(), 100)
    for mine, theirs, cell in zip(found.standings, whole.standings, every(), strict=True):
        right = answer(drawn(7, cell)).label == load(7).expected
        assert mine.score.value is not None
        assert theirs.score.value is not None
        assert mine.score.value * 99 == pytest.approx(theirs.score.value * 100 - right)


def test_more_than_one_in_a_hundred_leaves_no_score() -> None:
    found = run(unlucky(1, 2, error=Refused, cell=Cell("brightness", 5)), 100)
    assert [standing.errors for standing in found.standings] == [0, 0, 0, 0, 2]
    *others, last = found.standings
    assert (last.score.value, last.score.low, last.score.high, last.score.support) == (None, None, None, 98)
    assert all(standing.score.value is not None for standing in others)
    named = {score.name: score.value for score in found.scores()}
    assert not found.valid
    assert named["mPC"] is named["rPC"] is named["corruption.brightness"] is None
    assert named["corruption.gaussian_noise"] is not None
    assert named["corrupted_ece_error.severity.2"] is not None
    assert named["corrupted_ece_error.severity.5"] is None


@pytest.mark.parametrize("error", [Gone, EndpointError])
def test_a_dead_endpoint_is_given_up_and_what_it_said_stays(error: type[EndpointError]) -> None:
    memory, alive = Memory(), Model()

    def dies(pictures: Sequence[Array]) -> None:
        if alive.answered >= 30:
            raise error("nobody there")

    alive.trouble = dies
    with pytest.raises(EndpointError, match=r"no more is asked.*nobody there"):
        run(alive, cells=memory)
    kept = memory.count
    assert 0 < kept <= alive.answered
    assert len(alive.requests) < 30  # of 24 x 5 pictures: it did not go through them one by one
    again = Model()
    assert same(run(again, cells=memory), run(Model()))
    assert len(again.asked) == 24 * CELLS - kept


def test_it_goes_on_inside_a_cell_wherever_it_was_killed() -> None:
    """A crash at every place there is: nothing is asked twice, and the numbers stay."""
    whole, inside = run(Model(), 6, batch=2), 0
    for crash in range(1, 3 * CELLS):
        memory, model = Memory(), Model()

        def boom(pictures: Sequence[Array], model: Model = model, crash: int = crash) -> None:
            if len(model.requests) > crash:
                raise KeyError

        model.trouble = boom
        with pytest.raises(KeyError):
            run(model, 6, batch=2, in_flight=2, cells=memory)
        kept, again = memory.count, Model()
        assert kept <= model.answered
        assert same(run(again, 6, batch=2, cells=memory), whole)
        assert len(again.asked) == 6 * CELLS - kept
        inside += kept % 6 > 0
    assert inside > CELLS


def test_an_image_without_answer_is_asked_about_again_by_who_goes_on() -> None:
    memory = Memory()
    assert run(unlucky(3, error=Refused), 12, cells=memory).errors == CELLS
    again = Model()
    assert same(run(again, 12, cells=memory), run(Model(), 12))
    assert sorted(again.asked) == sorted(drawn(3, cell).tobytes() for cell in every())


def test_what_is_complete_is_not_asked_again() -> None:
    memory, model = Memory(), Model()
    first = run(Model(), cells=memory)
    assert same(run(model, cells=memory), first)
    assert not model.requests
    assert {len(kept) for row in memory.rows.values() for kept in row.values()} == {9}  # bytes


def test_pictures_are_drawn_in_threads_and_only_what_is_under_way_is_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, lock, threads, ahead, count = Model(), threading.Lock(), set(), [0], [0]

    def noted(*of: object, **how: object) -> Array:
        with lock:
            threads.add(threading.get_ident())
            count[0] += 1
            ahead[0] = max(ahead[0], count[0] - model.answered)
        return corrupt(*of, **how)  # type: ignore[arg-type]

    monkeypatch.setattr(module, "corrupt", noted)
    run(model, 40, batch=4, in_flight=2)
    assert threading.get_ident() not in threads
    assert count[0] == 40 * (CELLS - 1)
    assert ahead[0] <= 4 * 2


def test_large_pictures_go_in_smaller_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = run(Model())
    monkeypatch.setattr(module, "MOST_BYTES", 2 * image(0).nbytes)
    model = Model()
    assert same(run(model, batch=24), expected)
    assert set(map(len, model.requests)) == {2}
    monkeypatch.setattr(module, "MOST_BYTES", 1)
    assert same(run(Model(), batch=24), expected)


def test_a_picture_that_cannot_be_read_is_an_error_of_every_cell() -> None:
    def broken(place: int) -> Sample:
        return replace(load(place), file=b"no picture") if place == 2 else load(place)

    found = run(Model(), own=replace(data(100), load=broken))
    assert [standing.errors for standing in found.standings] == [1] * CELLS
    assert "cannot be read" in found.clean.why
    assert found.valid


class Foreign(Model):
    """Answers what fits no data now and then."""

    async def predict(self, images: Sequence[Array]) -> list[Classification]:
        answers = await super().predict(images)
        odd = [picture.tobytes() == image(4).tobytes() for picture in images]
        return [Classification(np.ones(2)) if wrong else a for wrong, a in zip(odd, answers, strict=True)]


def test_an_answer_that_cannot_be_scored_is_an_error() -> None:
    found = run(Foreign(), 100)
    assert [standing.errors for standing in found.standings] == [1, 0, 0, 0, 0]
    assert "3 scores" in found.clean.why


def test_progress_ends_where_everything_is_done() -> None:
    told: list[tuple[int, int]] = []
    run(unlucky(3, error=Refused), progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (24 * CELLS, 24 * CELLS)
    assert [done for done, _ in told] == sorted(done for done, _ in told)


def test_progress_counts_what_was_kept() -> None:
    memory, told = Memory(), list[tuple[int, int]]()
    run(Model(), 12, cells=memory)
    memory.rows["brightness/2"].pop(7)
    run(Model(), 12, cells=memory, progress=lambda done, total: told.append((done, total)))
    assert told[-1] == (12 * CELLS, 12 * CELLS)


def test_one_image_has_no_bootstrap() -> None:
    found = run(Model(), 1)
    assert found.clean.score == Score(
        "corruption.clean_accuracy", 1.0, 1, "sklearn/accuracy_score", *wilson(1, 1)
    )
    assert all(score.low is None for score in found.scores() if score.name in ("mPC", "rPC"))


def test_names_and_severities_are_checked() -> None:
    for names, severities in ((["rain"], [1]), ([], [1]), (["fog"], []), (["fog"], [6])):
        with pytest.raises(ValueError, match="must be"):
            asyncio.run(module.corrupted(Model(), data(), names, severities, seed=0, batch=1, in_flight=1))


def test_severities_are_sorted_and_told_once() -> None:
    found = run(Model(), 4, severities=(5, 2, 5))
    assert found.severities == (2, 5)
    assert same(found, run(Model(), 4))

"""Scores of a run do not know in what order, in what pieces or how often its record was read."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from eval.errors import EndpointError
from eval.journal import Journal
from eval.metrics.intervals import wilson
from eval.recorded import JOURNAL, Recorded, recorded
from eval.runs import reported
from eval.scoring import ERRORS_TOLD, Scored, score
from models.card import TaskName
from models.results import Classification, Detections, Result, Segmentation
from tests.eval.recordings import LABELS, boxes, classified, maps, pictures, recording

IMAGES = 30
RNG = np.random.default_rng(5)
Run = tuple[str, Sequence[Result | None]]


def _classes(root: Path) -> Run:
    scores = RNG.random((IMAGES, len(LABELS))).astype(np.float32).round(1)
    scores /= scores.sum(axis=1, keepdims=True)
    return pictures(root, [IMAGES // 3] * 3), [Classification(row) for row in scores]


def _objects(root: Path) -> Run:
    truths, answers = [], []
    for _ in range(IMAGES):
        count = int(RNG.integers(0, 4))
        corners = RNG.integers(0, 4, (count, 2))
        sides = RNG.integers(1, 5, (count, 2))
        labels = RNG.integers(0, 3, count)
        ends = corners + sides
        rows = zip(labels.tolist(), corners.tolist(), ends.tolist(), strict=True)
        truths.append([(k, *map(float, (*a, *b))) for k, a, b in rows])
        moved = np.hstack([corners, ends]) + RNG.integers(-1, 2, (count, 4)) * 0.5
        moved[:, 2:] = np.maximum(moved[:, 2:], moved[:, :2] + 0.5)
        answers.append(
            Detections(moved.astype(np.float32), RNG.random(count).astype(np.float32).round(1), labels)
        )
    return boxes(root, truths, LABELS), answers


def _maps(root: Path) -> Run:
    truths = [RNG.integers(0, 3, (8, 8)).astype(np.uint8) for _ in range(IMAGES)]
    guesses = [np.where(RNG.random((8, 8)) < 0.3, 0, truth) for truth in truths]
    return maps(root, truths, LABELS), [Segmentation(guess) for guess in guesses]


MAKERS: Mapping[TaskName, Callable[[Path], Run]] = {
    "classification": _classes,
    "detection": _objects,
    "segmentation": _maps,
}


@pytest.mark.parametrize("task", MAKERS)
def test_no_byte_depends_on_the_order_or_the_pieces(task: TaskName, tmp_path: Path) -> None:
    data, answers = MAKERS[task](tmp_path / "data")
    some: list[Result | None] = [*answers]
    some[3] = some[11] = None
    tags = [{"third": str(place % 3)} for place in range(IMAGES)]
    folder = recording(tmp_path / "run", data, some, task=task, tags=tags, slices=("third",))
    with Journal.open(folder / JOURNAL) as journal:
        rows = list(journal.rows())
    whole = None
    for seed in range(4):
        chance = random.Random(seed)
        mixed = chance.sample(rows, len(rows))
        run = recorded(folder)
        with run.journal:
            found = {row.place: (one, row.tags) for row, one in run.rows()}
            begun = Scored.of(run)
            while mixed:
                part = [mixed.pop() for _ in range(min(len(mixed), chance.randint(1, 9)))]
                if seed != 3:  # the last is read from the record alone
                    begun.note([found[row.place] for row in part])
            scored = score(run, begun)
            told = (scored.scores(), scored.scores_of_slices(), scored.why, scored.digest, scored.errors)
            worst = [sample.id for sample, _ in scored.worst.examples]
            whole = whole or (told, worst, reported(run).to_json())
            assert (told, worst, reported(run).to_json()) == whole
    assert whole is not None
    assert whole[0][4] == 2
    assert len(whole[1]) > 1


def test_slices_are_scored_by_their_own_images(tmp_path: Path) -> None:
    tags = [{"half": "b" if place > 3 else "a", "all": "one"} for place in range(10)]
    answers = [*classified([0, 0, 1]), None, *classified([0] * 5 + [1])]
    data = pictures(tmp_path / "data", [10, 0, 0])
    run = recorded(recording(tmp_path / "run", data, answers, tags=tags, slices=("half", "all")))
    with run.journal:
        slices = score(run).scores_of_slices()
    found = {
        (name, value): next((s.value, s.support) for s in scores if s.name == "accuracy")
        for name, parts in slices.items()
        for value, scores in parts.items()
    }
    assert found == {("half", "a"): (2 / 3, 3), ("half", "b"): (5 / 6, 6), ("all", "one"): (7 / 9, 9)}


def test_the_digest_is_of_every_image(tmp_path: Path) -> None:
    seen = set()
    for count in (9, 10):
        run = _run(tmp_path / str(count), classified([0] * count), count)
        with run.journal:
            seen.add(score(run).digest)
    assert len(seen) == 2


def test_the_clock_is_read_in_milliseconds(tmp_path: Path) -> None:
    run = recorded(
        recording(tmp_path / "run", pictures(tmp_path / "data", [4, 0, 0]), classified([0] * 4), seconds=0.25)
    )
    with run.journal:
        clock = reported(run).clock
    assert (clock["request_p50_ms"], clock["request_p99_ms"], clock["seconds"]) == (250.0, 250.0, 1.0)
    assert clock["started"] == "1970-01-01T00:00:01+00:00"


def _run(root: Path, answers: Sequence[Result | None], count: int = 10) -> Recorded:
    return recorded(recording(root / "run", pictures(root / "data", [count, 0, 0]), answers))


def test_effective_accuracy_counts_silence_as_wrong(tmp_path: Path) -> None:
    run = _run(tmp_path, [*classified([0, 0, 0, 0, 0, 0, 1]), None, None, None])
    with run.journal:
        scores = {one.name: one for one in score(run).scores()}
        report = reported(run)
    assert scores["accuracy"].value == 6 / 7
    found = scores["effective_accuracy"]
    assert (found.value, found.support) == (6 / 10, 10)
    assert (found.low, found.high) == wilson(6, 10)
    assert found.definition == "assay/effective_accuracy,no_answer=wrong"
    assert report.figures["toy.1.effective_accuracy"] == 0.6


def test_where_all_is_answered_it_would_say_nothing_new(tmp_path: Path) -> None:
    run = _run(tmp_path, classified([0] * 9 + [1]))
    with run.journal:
        assert [one.name for one in score(run).scores() if "effective" in one.name] == []


def test_detectors_have_none(tmp_path: Path) -> None:
    data, answers = _objects(tmp_path / "data")
    run = recorded(recording(tmp_path / "run", data, [None, *answers[1:]], task="detection"))
    with run.journal:
        scored = score(run)
    assert scored.errors == 1
    assert [one.name for one in scored.scores() if "effective" in one.name] == []


@pytest.mark.parametrize(("silent", "valid"), [(0, True), (1, True), (2, False)])
def test_one_in_a_hundred_is_still_valid(tmp_path: Path, silent: int, valid: bool) -> None:
    run = _run(tmp_path, [*classified([0] * (100 - silent)), *[None] * silent], 100)
    with run.journal:
        assert score(run).valid == valid


def test_the_first_errors_are_named_and_all_are_counted(tmp_path: Path) -> None:
    run = _run(tmp_path, [*[None] * 29, *classified([0])], 30)
    with run.journal:
        backwards = Scored.of(run)
        for row, one in reversed(list(run.rows())):
            backwards.note([(one, row.tags)])
        for scored in (score(run), backwards):
            assert (scored.errors, scored.images, len(scored.why)) == (29, 30, ERRORS_TOLD)
            assert [name for name, _ in scored.why] == [f"ape/{i:05}.png" for i in range(ERRORS_TOLD)]


def test_an_answer_of_an_old_record_that_cannot_be_scored_is_named(tmp_path: Path) -> None:
    run = _run(tmp_path, [*classified([0] * 4), Classification(np.array([0.5, 0.5])), *classified([0] * 5)])
    with (
        run.journal,
        pytest.raises(EndpointError, match=r"ape/00004.png cannot be scored: .*\[2\]"),
    ):
        score(run)

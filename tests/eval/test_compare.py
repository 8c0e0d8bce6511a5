"""`assay compare` on recorded runs: what it tells, what it leaves out, what it refuses."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result
from scipy.stats import binomtest

from eval.cli import cli
from eval.compare import compare, comparison
from eval.recorded import recorded
from eval.report.document import Report
from eval.subject import Asking, Subject
from models.results import Detections, Segmentation
from models.results import Result as Answer
from tests.eval.recordings import boxes, classified, maps, pictures, recording

COUNTS = (40, 40, 40)
TRUTH = np.repeat(np.arange(3), COUNTS).tolist()


def flipped(places: dict[int, int]) -> list[Answer]:
    return classified([places.get(i, label) for i, label in enumerate(TRUTH)])


@pytest.fixture
def data(tmp_path: Path) -> str:
    return pictures(tmp_path / "data", COUNTS)


def told(before: Path, after: Path) -> Report:
    one, two = recorded(before), recorded(after)
    with one.journal, two.journal:
        return comparison(one, two, resamples=50)


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, ["compare", *map(str, words), "--resamples", "20"])


def test_flips_and_their_test(tmp_path: Path, data: str) -> None:
    a = recording(tmp_path / "a", data, flipped({0: 1, 1: 1, 50: 2}))
    b = recording(tmp_path / "b", data, flipped({1: 2, 60: 0, 61: 0, 62: 0, 90: 1}), version=2)
    figures = told(a, b).figures
    assert figures["compare.lost"] == 4
    assert figures["compare.gained"] == 2
    assert figures["compare.neither"] == 1
    assert figures["compare.both"] == 113
    assert figures["compare.churn"] == 7 / 120  # also the one that is wrong in both, but otherwise
    assert figures["compare.mcnemar_p"] == pytest.approx(binomtest(2, 6).pvalue, rel=1e-12)
    assert figures["compare.difference.accuracy"] == pytest.approx(-2 / 120)
    assert figures["compare.a.accuracy"] == 117 / 120
    assert figures["compare.b.accuracy"] == 115 / 120


def test_the_surest_wrong_answers_come_first(tmp_path: Path, data: str) -> None:
    a = recording(tmp_path / "a", data, flipped({}))
    answers = flipped({})
    for place, sure in ((5, 0.6), (45, 0.95), (100, 0.7)):
        answers[place] = classified([(TRUTH[place] + 1) % 3], sure)[0]
    b = recording(tmp_path / "b", data, answers, version=2)
    (section,) = told(a, b).sections
    worse = next(table for table in section.tables if table.title.startswith("Images that became worse"))
    assert [row["after"] for row in worse.rows] == ["cat (0.95)", "ape (0.70)", "bee (0.60)"]
    assert [row["before"] for row in worse.rows] == ["bee (0.90)", "cat (0.90)", "ape (0.90)"]
    (gallery,) = section.galleries
    assert "true bee; toy/1: bee (0.90); toy/2: cat (0.95)" in gallery.items[0][0].caption


def test_only_what_the_images_show_is_called_worse(tmp_path: Path, data: str) -> None:
    """Ten of forty apes lost are beyond chance, two cats are not, and what nobody lost is not listed."""
    a = recording(tmp_path / "a", data, flipped({}))
    b = recording(tmp_path / "b", data, flipped({**dict.fromkeys(range(10), 1), 90: 0, 91: 0}), version=2)
    (section,) = told(a, b).sections
    tables = {table.title: table for table in section.tables}
    reads = {row["class"]: row["reads"] for row in tables["Classes that changed"].rows}
    assert reads == {"ape": "worse", "cat": "no change shown"}
    (accuracy,) = [row for row in tables["Scores"].rows if row["score"] == "accuracy"]
    assert (accuracy["toy/1"], accuracy["toy/2"], accuracy["reads"]) == (1.0, 0.9, "worse")
    (back,) = told(b, a).sections
    words = {h.title: h.note for h in back.headlines}
    assert words["accuracy, difference"] == words["nll_loss, difference"] == "better"


def test_what_one_did_not_answer_is_left_out(tmp_path: Path) -> None:
    data = pictures(tmp_path / "many", (100, 100, 100))
    truth = np.repeat(np.arange(3), 100).tolist()
    before: list[Answer | None] = list(classified(truth))
    after: list[Answer | None] = list(classified([1, 1, *truth[2:]]))
    before[7], after[0], after[7], after[8] = None, None, None, None
    a = recording(tmp_path / "a", data, before)
    b = recording(tmp_path / "b", data, after, version=2)
    report = told(a, b)
    assert report.valid
    assert report.figures["compare.images"] == 297
    assert report.figures["compare.left_out"] == 3
    assert (report.figures["compare.a.errors"], report.figures["compare.b.errors"]) == (1, 3)
    assert report.figures["compare.lost"] == 1
    assert report.figures["compare.difference.accuracy"] == pytest.approx(-1 / 297)
    after[9] = None
    assert not told(a, recording(tmp_path / "b", data, after, version=2)).valid


def test_equal_runs_give_equal_bytes(tmp_path: Path, data: str) -> None:
    reports = []
    for root, seconds in ((tmp_path / "one", 0.01), (tmp_path / "two", 7.0)):
        a = recording(root / "a", data, flipped({0: 1}), seconds=seconds)
        b = recording(root / "b", data, flipped({1: 1}), version=2, seconds=2 * seconds)
        asked = compare(Subject(a), Subject(b), Asking(slices=("class",)), resamples=30)
        reports.append(asyncio.run(asked))
    assert reports[0].to_json() == reports[1].to_json()
    (timing,) = reports[1].timing
    assert timing.tables[0].rows[0]["difference ms"] == pytest.approx(7000)
    assert "seconds" in reports[0].clock


def test_classes_that_only_one_model_has_change_nothing(tmp_path: Path, data: str) -> None:
    a = recording(tmp_path / "a", data, flipped({0: 1}))
    b = recording(tmp_path / "b", data, flipped({1: 2}), version=2)
    turned = classified([{0: 3, 1: 0, 2: 2}[k] for k in [0, 2, *TRUTH[2:]]], classes=4)
    c = recording(tmp_path / "c", data, turned, version=2, labels=("bee", "dog", "cat", "ape"))
    one, other = told(a, b).figures, told(a, c).figures
    exact = [name for name in one if "accuracy" in name or name.count(".") == 1]
    assert len(exact) > 8
    assert [one[name] for name in exact] == [other[name] for name in exact]


def test_detection(tmp_path: Path) -> None:
    data = boxes(tmp_path / "boxes", [[(0, 0, 0, 4, 4), (1, 4, 4, 8, 8)]] * 6, ("lamp", "door"))
    corners = np.array([[0, 0, 4, 4], [4, 4, 8, 8]], np.float32)
    whole = Detections(corners, np.array([0.9, 0.8], np.float32), np.array([0, 1]))
    half = Detections(corners[:1], np.array([0.9], np.float32), np.array([0]))
    sides = [[whole] * 5 + [half], [whole] * 3 + [half] * 3]
    a, b = (
        recording(tmp_path / name, data, side, task="detection", labels=("lamp", "door"))
        for name, side in zip("ab", sides, strict=True)
    )
    report = told(a, b)
    assert report.figures["compare.lost"] == 2
    assert report.figures["compare.both"] == 9
    assert report.figures["compare.churn"] == 2 / 6
    assert report.figures["compare.difference.recall.micro"] == pytest.approx(-2 / 12)
    (section,) = report.sections
    classes = next(table for table in section.tables if table.title.startswith("Classes"))
    assert [row["class"] for row in classes.rows] == ["door"]
    assert len(section.galleries[0].items) == 2
    assert "toy/1 (first): 2 true, 0 missed, 0 false" in section.galleries[0].items[0][0].caption


def test_segmentation(tmp_path: Path) -> None:
    truth = np.zeros((8, 8), np.uint8)
    truth[4:] = 1
    data = maps(tmp_path / "maps", [truth] * 5, ("road", "sky"))
    off = truth.copy()
    off[4] = 0
    sides = [[truth] * 5, [truth] * 4 + [off]]
    a, b = (
        recording(
            tmp_path / name,
            data,
            [Segmentation(m) for m in side],
            task="segmentation",
            labels=("road", "sky"),
        )
        for name, side in zip("ab", sides, strict=True)
    )
    figures = told(a, b).figures
    assert figures["compare.lost"] == 8
    assert figures["compare.images_worse"] == 1
    assert figures["compare.churn"] == 1 / 5
    assert figures["compare.difference.pixel_accuracy"] == pytest.approx(-8 / 320)


def test_the_verb(tmp_path: Path, data: str) -> None:
    a = recording(tmp_path / "a", data, flipped({0: 1}))
    b = recording(tmp_path / "b", data, flipped({1: 1, 2: 1, 3: 1}), version=2)
    done = run(a, b, "--out", tmp_path / "out", "--slice", "class")
    assert done.exit_code == 0, done.output
    assert "toy/2 against toy/1" in done.output
    body = json.loads((tmp_path / "out" / "report.json").read_text())
    assert body["figures"]["compare.lost"] == 3
    assert "| class | ape | 40 |" in (tmp_path / "out" / "report.md").read_text()


def test_the_verb_s_other_ends(tmp_path: Path, data: str) -> None:
    a = recording(tmp_path / "a", data, flipped({}))
    gone: list[Answer | None] = [None, None, *flipped({})[2:]]
    invalid = run(a, recording(tmp_path / "b", data, gone, version=2))
    assert invalid.exit_code == 3
    nothing = run(a, recording(tmp_path / "c", data, [None] * len(TRUTH)))
    assert (nothing.exit_code, "no image was answered by both" in nothing.output) == (1, True)
    absent = run(a, tmp_path / "none")
    assert (absent.exit_code, "there is no such folder" in absent.output) == (1, True)
    inside = run(a, a, "--out", a)
    assert (inside.exit_code, "--out must be another folder" in inside.output) == (1, True)
    assert run(a, a, "--resume").exit_code == 2
    assert run(a, a, "--header", "odd").exit_code == 2

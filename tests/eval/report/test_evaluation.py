"""The section of an evaluation, for every task, from answers to what is shown."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from eval.data.dataset import Sample
from eval.metrics.tables import metric_for
from eval.metrics.truth import Objects
from eval.report.document import Report, Section
from eval.report.evaluation import EXAMPLES, KEY, evaluation_section
from eval.report.html import to_html
from eval.report.markdown import to_markdown
from eval.report.plots import draw
from eval.report.tables import tables_of
from eval.worst import Worst
from models.card import TaskName
from models.decoding import encode_png
from models.results import Classification, Detections, Result, Segmentation

TASKS: tuple[TaskName, ...] = ("classification", "detection", "segmentation")
EVIL = "<img src=x onerror=alert(1)>"


def asked(task: TaskName, classes: int, images: int) -> list[tuple[Sample, Result]]:
    """Answers that are right about two times in three."""
    rng = np.random.default_rng(0)
    file = encode_png(rng.integers(0, 256, (24, 32, 3), dtype=np.uint8))
    made: list[tuple[Sample, Result]] = []
    for i in range(images):
        truth, guess = i % classes, i % classes if rng.random() < 0.67 else int(rng.integers(classes))
        if task == "classification":
            scores = rng.dirichlet(np.ones(classes)).astype(np.float32) * np.float32(0.4)
            scores[guess] += np.float32(1 - scores.sum())
            made.append((Sample(f"{EVIL}{i}", file, truth), Classification(scores)))
        elif task == "detection":
            box = np.array([[2, 2, 12, 12]])
            score = rng.random(1).astype(np.float32)
            expected = Objects(box.astype(float), np.array([truth]))
            made.append(
                (Sample(f"{i}", file, expected), Detections(box.astype(np.float32), score, np.array([guess])))
            )
        else:
            maps = rng.integers(0, classes, (2, 24, 32))
            maps[1] = np.where(rng.random((24, 32)) < 0.67, maps[0], maps[1])
            made.append((Sample(f"{i}", file, maps[0]), Segmentation(maps[1])))
    return made


def section_of(task: TaskName, classes: int = 3, images: int = 60, **more: Any) -> Section:
    labels = [EVIL, *(f"class {i}" for i in range(1, classes))]
    metrics, worst = metric_for(task, labels), Worst(EXAMPLES)
    rows = asked(task, classes, images)
    for metric in metrics:
        metric.update([a for _, a in rows], [s.expected for s, _ in rows])
    for sample, answer in rows:
        worst.note(sample, answer)
    scores = [score for metric in metrics for score in metric.compute()]
    return evaluation_section("title", task, labels, metrics, scores, worst.examples, {}, **more)


@pytest.mark.parametrize("task", TASKS)
def test_every_task_shows_figures_plots_examples_and_scores(task: TaskName) -> None:
    section = section_of(task)
    shown = [name for name in KEY[task] if not name.startswith("mask.")]  # these boxes have none
    assert [h.title for h in section.headlines] == shown
    assert {plot.kind for plot in section.plots} >= {"bars", "matrix"}
    assert len(section.galleries[0].items) >= 6
    assert {table.title for table in tables_of(section)} >= {"Classes", "All scores"}
    page = to_html(Report("r", {}, [section]))
    assert EVIL not in page
    assert EVIL not in to_markdown(Report("r", {}, [section]))
    for plot in section.plots:
        assert draw(plot).startswith("<svg")


@pytest.mark.parametrize("task", TASKS)
def test_all_of_it_comes_back_from_json(task: TaskName) -> None:
    report = Report("r", {}, [section_of(task)])
    again = Report.from_json(report.to_json())
    assert again.to_json() == report.to_json()
    assert to_markdown(again) == to_markdown(report)
    names = {score["name"] for score in json.loads(report.to_json())["sections"][0]["scores"]}
    assert set(KEY[task][:1]) <= names


def test_only_the_key_scores_of_slices_are_kept() -> None:
    scores = list(section_of("classification").scores)
    section = section_of("classification", slices={"light": {"dark": scores}})
    kept = section.slices["light"]["dark"]
    assert [s.name for s in kept] == [s.name for s in scores if ".class." not in s.name]
    assert "By light" in {table.title for table in tables_of(section)}


def test_errors_and_advice_are_told() -> None:
    section = section_of("classification", errors=[(EVIL, "timed out")], advice=["ask 400 more"])
    assert section.tables[0].rows == [{"sample": EVIL, "why": "timed out"}]
    told = to_markdown(Report("r", {}, [section]))
    assert "> ask 400 more" in told
    assert "timed out" in told
    assert "Without an answer" not in {t.title for t in section_of("classification").tables}


def test_claims_stand_beside_what_was_measured() -> None:
    rows = asked("classification", 3, 60)
    metrics = metric_for("classification", ["a", "b", "c"])
    metrics[0].update([a for _, a in rows], [s.expected for s, _ in rows])
    scores = metrics[0].compute()
    claims = {"accuracy": (0.5, "digits:test"), "none": (0.1, "x")}
    section = evaluation_section("t", "classification", ["a", "b", "c"], metrics[:1], scores, [], claims)
    first, second = section.tables[0].rows
    assert isinstance(first["measured"], float)
    assert first["difference"] == first["measured"] - 0.5
    assert second["measured"] is None


@pytest.mark.parametrize(
    ("classes", "bars", "matrix"), [(20, True, True), (100, False, True), (101, False, False)]
)
def test_many_classes_are_told_in_tables(classes: int, bars: bool, matrix: bool) -> None:
    section = section_of("classification", classes, 2 * classes)
    kinds = {plot.kind for plot in section.plots}
    assert (("bars" in kinds), ("matrix" in kinds)) == (bars, matrix)
    assert "Most confused" in {table.title for table in section.tables}


def test_of_many_detected_classes_the_mean_and_the_worst_are_drawn() -> None:
    section = section_of("detection", 12, 240)
    (curves,) = (plot for plot in section.plots if plot.kind == "curves")
    names = list(curves.series)
    assert len(names) == 6
    assert names[0].startswith("mean of all ")
    values = [float(name.rsplit(" ", 1)[1]) for name in names[1:]]
    assert values == sorted(values)
    ap50 = {s.name: s.value for s in section.scores}["ap50"]
    assert float(names[0].rsplit(" ", 1)[1]) == pytest.approx(ap50, abs=6e-4)


def test_mistakes_come_dearest_first_and_calibration_lies_where_scores_do() -> None:
    section = section_of("detection", 3, 120)
    (table,) = (t for t in section.tables if t.title == "Mistakes")
    *kinds, positives, negatives = table.rows
    costs = [float(row["AP50 lost"] or 0) for row in kinds]
    assert costs == sorted(costs, reverse=True)
    assert costs[0] > 0
    assert (positives["mistake"], negatives["mistake"]) == ("false positives", "false negatives")
    (plot,) = (p for p in section.plots if p.kind == "reliability")
    for confidence, precision, low, high, count, left, right in plot.series["bins"]:
        assert (left or 0) <= (confidence or 0) <= (right or 0)
        assert (low or 0) <= (precision or 0) <= (high or 0)
        assert count


def test_an_example_must_be_of_the_datas_task() -> None:
    file = encode_png(np.zeros((2, 2, 3), np.uint8))
    odd = (Sample("a", file, 0), Segmentation(np.zeros((2, 2), int)))
    with pytest.raises(TypeError, match="task, got Segmentation"):
        evaluation_section("t", "classification", ["a"], [], [], [odd], {})

"""What a reader sees of corruption, and what a gate can read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eval.corruptions.tables import CORRUPTIONS, corrupt
from eval.data.dataset import Dataset
from eval.errors import Refused
from eval.gate.measured import figures_of
from eval.report.corruption import KINDS, corruption_figures, corruption_section, examples_of
from eval.report.document import Report, Section
from eval.report.html import to_html
from eval.report.markdown import to_markdown
from models.decoding import encode_png
from models.results import Array, Classification
from tests.eval.auditing.brightness import NAMES, SEVERITIES, Model, data, image, load, run

FOUND = run(Model())
BEFORE = replace(run(Model(), seed=0), model="m/0")


class Worse(Model):
    """Sees everything darker."""

    async def predict(self, images: Sequence[Array]) -> list[Classification]:
        return await super().predict([picture // 2 for picture in images])


def report(section: Section, figures: dict[str, float | None] | None = None) -> Report:
    return Report("r", {}, [section], figures or {})


def test_headlines_say_what_the_figures_say() -> None:
    other = replace(run(Worse()), model="m/0")
    reference = FOUND.reference("version:0", other)
    section = corruption_section("t", FOUND, reference)
    told = [headline.title for headline in section.headlines]
    assert told == ["clean accuracy", "mPC", "rPC", "mCE", "relative mCE", "corrupted ece error"]
    figures = corruption_figures(FOUND, reference)
    assert figures["corruption.clean_accuracy"] == section.headlines[0].value
    assert [figures[name] for name in ("mPC", "rPC", "mCE", "relative_mCE", "corrupted_ece_error")] == [
        headline.value for headline in section.headlines[1:]
    ]
    for name in NAMES:
        row = [figures[f"corruption.{name}.{s}"] for s in SEVERITIES]
        assert row == [standing.score.value for standing in FOUND.worn[name]]
        assert figures[f"corruption.{name}"] == pytest.approx(np.mean(np.array(row, float)))
    assert figures["corruption.errors"] == 0
    assert "m/0 on the same pictures" in section.text
    assert None not in (figures["mCE"], section.headlines[3].low)


def test_a_gate_finds_the_intervals() -> None:
    section = corruption_section("t", FOUND)
    figures = {f"audit.m.1.{name}": value for name, value in corruption_figures(FOUND).items()}
    read = figures_of(report(section, figures), Path(), 0.95)
    mpc = section.headlines[1]
    assert (read["figures.audit.m.1.mPC"].low, read["figures.audit.m.1.mPC"].high) == (mpc.low, mpc.high)
    assert mpc.low is not None


def test_every_cell_is_in_the_table_and_in_a_figure() -> None:
    section = corruption_section("t", FOUND)
    (table,) = section.tables
    assert [row["corruption"] for row in table.rows] == list(NAMES)
    for row, name in zip(table.rows, NAMES, strict=True):
        values = [standing.score.value for standing in FOUND.worn[name]]
        assert [row[f"severity {s}"] for s in SEVERITIES] == values
        assert row["mean"] == pytest.approx(np.mean(np.array(values, float)))
        assert row["errors"] == 0
        assert "CE" not in row
    lines = {name: points for plot in section.plots for name, points in plot.series.items()}
    assert set(lines) == {*NAMES, "mean ECE"}
    clean = FOUND.clean.score.value
    assert lines["brightness"] == [
        (0.0, clean),
        *((float(s.cell.severity), s.score.value) for s in FOUND.worn["brightness"]),
    ]
    assert [x for x, _ in lines["mean ECE"]] == [0.0, 2.0, 5.0]


def test_the_error_against_the_reference_is_told_by_corruption() -> None:
    section = corruption_section("t", FOUND, FOUND.reference("version:0", BEFORE))
    assert [row["CE"] for row in section.tables[0].rows] == [pytest.approx(1)] * len(NAMES)


def test_the_text_says_what_was_drawn() -> None:
    text = corruption_section("t", replace(FOUND, seed=7)).text
    assert "24 pictures under 2 corruptions at severities 2, 5" in text
    assert "seed 7" in text
    assert "no number here is comparable with a leaderboard" in text
    assert "truth" not in text
    moved = replace(FOUND, task="segmentation", worn={"zoom_blur": FOUND.worn["brightness"]})
    assert "although zoom_blur move" in corruption_section("t", moved).text


def test_what_was_not_answered_is_told_and_leaves_a_hole() -> None:
    bad = {corrupt(image(p), "brightness", 5, seed=0, sample=f"s{p}").tobytes() for p in (3, 4)}

    def trouble(pictures: Sequence[Array]) -> None:
        if any(picture.tobytes() in bad for picture in pictures):
            raise Refused("too bright")

    section = corruption_section("t", run(Model(trouble)))
    cells, errors = section.tables
    assert [row["errors"] for row in cells.rows] == [0, 2]
    assert cells.rows[1]["severity 5"] is cells.rows[1]["mean"] is None
    assert errors.rows == [
        {"cell": "brightness/5", "errors": 2, "answered": 22, "first reason": "too bright"}
    ]
    assert "No score: brightness/5" in section.advice[0]
    assert section.headlines[1].value is None
    assert "n/a" in to_markdown(report(section))


def test_an_undefined_reference_is_explained() -> None:
    """It makes no error under one corruption."""
    perfect = {name: tuple(replace(s, draws=np.ones(201)) for s in row) for name, row in BEFORE.worn.items()}
    section = corruption_section("t", FOUND, FOUND.reference("version:0", replace(BEFORE, worn=perfect)))
    assert section.headlines[3].value is None
    assert "take more images" in section.advice[0]
    assert [row["CE"] for row in section.tables[0].rows] == [None, None]


def test_every_corruption_is_of_one_kind() -> None:
    names = [name for kind in KINDS.values() for name in kind]
    assert sorted(names) == sorted(CORRUPTIONS)


def test_examples_are_the_pictures_that_were_sent() -> None:
    rows = examples_of(data(), FOUND)
    assert [[p.caption for p in row] for row in rows] == [
        ["s0, clean, 6 x 6"],
        ["gaussian_noise, severity 2", "gaussian_noise, severity 5"],
        ["brightness, severity 2", "brightness, severity 5"],
    ]
    assert len({picture.uri for row in rows for picture in row}) == 5
    page = to_html(report(corruption_section("t", FOUND, examples=rows)))
    assert all(picture.uri in page for row in rows for picture in row)


def test_examples_of_five_severities_are_three_and_large_ones_are_cut() -> None:
    wide = np.zeros((300, 10, 3), np.uint8)

    def large(place: int) -> object:
        return replace(load(place), file=encode_png(wide) if place else b"no picture")

    own: Dataset = replace(data(2), load=large)  # type: ignore[arg-type]
    rows = examples_of(
        own, replace(FOUND, severities=(1, 2, 3, 4, 5), worn={"contrast": FOUND.worn["brightness"]})
    )
    assert rows[0][0].caption == "s1, clean, 10 x 300"
    assert [p.caption[-1] for p in rows[1]] == ["1", "3", "5"]
    assert {(p.width, p.height) for row in rows for p in row} == {(10, 224)}
    assert examples_of(replace(own, ids=own.ids[:1]), FOUND) == []


def test_the_page_is_the_same_whatever_the_pace() -> None:
    first, second = (corruption_section("t", found) for found in (FOUND, run(Model(), batch=2, in_flight=7)))
    assert report(first).to_json() == report(second).to_json()

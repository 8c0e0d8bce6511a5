"""One report, three forms: nothing lost, nothing unescaped, nothing fetched."""

from __future__ import annotations

import base64
import hashlib
import json
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from eval.checks.flag import Flag
from eval.metrics.base import Score
from eval.metrics.truth import Objects
from eval.report.document import (
    Gallery,
    Headline,
    Plot,
    Report,
    Section,
    Table,
    merged,
    scores_table,
)
from eval.report.html import CLOCK, to_html
from eval.report.markdown import shown, to_markdown
from eval.report.pictures import attacked, detected, picture, segmented
from eval.report.plots import draw, ticks
from eval.report.script import SCRIPT
from eval.report.style import STYLE
from models.results import Detections

EVIL = '<script>alert("x")</script>|&'
IMAGE = np.random.default_rng(0).integers(0, 256, (6, 9, 3), dtype=np.uint8)
PLOTS = [
    Plot("lines", EVIL, {EVIL: [(1.0, 0.5), (2.0, None), (3.0, 0.25)], "b": [(1.0, 0.1)]}, "x", "y"),
    Plot("steps", "steps", {"a": [(0.0, 0.0), (10.0, 0.5), (20.0, 1.0)]}, "queries", "share"),
    Plot("bars", "bars", {"f1": [(0.5, 0.4, 0.6), (None, None, None)]}, "class", "F1", [EVIL, "b"]),
    Plot("matrix", "matrix", {"counts": [[5.0, 1.0], [0.0, 0.0]]}, "predicted", "true", [EVIL, "b"]),
    Plot("reliability", "calibration", {"bins": [(0.2, 0.1), (0.9, 0.95)]}, "confidence", "accuracy"),
    Plot("lines", "empty", {"none": []}),
    Plot(
        "reliability",
        EVIL,
        {"bins": [(0.2, 0.1, 0.0, 0.3, 4.0, 0.0, 0.5), (0.9, 0.95, 0.9, 1.0, 9.0, 0.5, 1.0)]},
    ),
    Plot("curves", "curves", {EVIL * 3: [(i / 100, 1 - i / 100) for i in range(101)]}, "recall", "precision"),
    Plot("roc", "roc", {"a": [(0.0, 0.0), (0.2, 0.9), (1.0, 1.0)]}, "false", "true"),
    Plot("histogram", "h", {EVIL: [(0.0, 2.0, 5.0), (2.0, 4.0, 1.0)]}, "ms", "n", marks={EVIL: 3.0}),
    Plot("histogram", "no request", {"ms": []}),
    Plot(
        "matrix",
        "wide",
        {"counts": [[float(i == j) for j in range(30)] for i in range(30)]},
        "a",
        "b",
        [EVIL] * 30,
    ),
]
FOUND = Detections(np.array([[1, 1, 5, 4]], np.float32), np.array([0.9], np.float32), np.array([0]))
TRUTH = Objects(np.array([[1.0, 1, 4, 4]]), np.array([0]))


def full() -> Report:
    flags = [Flag(EVIL, state, "seen", "means.", "do.") for state in (True, False, None)]
    examples = [
        attacked(IMAGE, IMAGE, EVIL, "b", EVIL),
        detected(IMAGE, FOUND, TRUTH, [EVIL]),
        segmented(IMAGE, IMAGE[..., 0] // 64, IMAGE[..., 1] // 64),
        [picture(IMAGE, EVIL)],
    ]
    section = Section(
        EVIL,
        EVIL,
        [Headline("accuracy", 0.5, 10, 0.2, 0.8), Headline("nothing", None, 0)],
        flags,
        [Table([{"name": EVIL, "value": None, "n": 3}], "t", "note"), Table([], "empty")],
        PLOTS,
        [Gallery("examples", examples, EVIL, {EVIL: "#123456"})],
        [EVIL],
        [Score("accuracy", 0.5, 10, EVIL, 0.2, 0.8), Score(f"f1.class.{EVIL}", None, 0)],
        {EVIL: {EVIL: [Score("accuracy", 0.1, 5, "d", 0.0, 0.3)]}},
    )
    timing = Section(EVIL, headlines=[Headline("p50 ms", 12.5, 3)])
    return Report(
        EVIL,
        {"url": EVIL, "seed": 0, "none": None, "command": EVIL},
        [section],
        {"a.b": 0.5, "c": None},
        clock={"started": EVIL, "seconds": 1.5},
        timing=[timing],
    )


class Tags(HTMLParser):
    """Every tag and attribute of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))


def tags(page: str) -> list[tuple[str, dict[str, str | None]]]:
    parser = Tags()
    parser.feed(page)
    return parser.seen


def test_the_page_needs_nothing_else() -> None:
    page = to_html(full())
    assert [attributes for tag, attributes in tags(page) if tag == "script"] == [{}]
    for _, attributes in tags(page):
        for name in ("src", "href"):
            assert (attributes.get(name) or "#").startswith(("#", "data:image/png;base64,"))
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
    assert "@import" not in page
    assert "url(" not in page


def test_everything_is_escaped() -> None:
    page = to_html(full())
    assert page.count("<script") == 1
    assert f"<script>{SCRIPT}</script>" in page
    assert page.count("&lt;script&gt;") >= 25
    assert "<script" not in to_markdown(full())
    assert to_html(merged("two", {}, [full()])).count("<script") == 1


def test_the_page_allows_its_own_script_and_style_and_no_request() -> None:
    (policy,) = (a["content"] for tag, a in tags(to_html(full())) if a.get("http-equiv"))
    told = dict(part.strip().split(" ", 1) for part in (policy or "").split(";"))
    assert told["default-src"] == "'none'"
    assert told["img-src"] == "data:"
    for kind, text in (("script-src", SCRIPT), ("style-src", STYLE)):
        digest = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert told[kind] == f"'sha256-{digest}'"


def test_json_there_and_back() -> None:
    report = full()
    again = Report.from_json(report.to_json())
    bare = replace(report, sections=[replace(s, galleries=()) for s in report.sections], clock={}, timing=())
    assert Report.from_json(report.to_json(), report.clock).clock == report.clock
    assert again.to_json() == bare.to_json() == report.to_json()
    assert again.figures == report.figures
    assert again.sections[0].scores == report.sections[0].scores
    assert to_markdown(again) == to_markdown(report)


def test_json_is_strict() -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        replace(full(), figures={"x": float("nan")}).to_json()
    for text in ("[]", '{"schema": 1}', '{"schema": 2}'):
        with pytest.raises(ValueError, match=r"schema|Report"):
            Report.from_json(text)
    assert isinstance(json.loads(full().to_json()), dict)


def test_links_lead_somewhere() -> None:
    report = merged("two", {}, [full(), replace(full(), figures={})])
    seen = tags(to_html(report))
    ids = [a["id"] for _, a in seen if "id" in a]
    assert len(ids) == len(set(ids)) == 4
    links = [(a.get("href") or "")[1:] for tag, a in seen if tag == "a"]
    assert links == ids


def test_two_sources_for_a_figure_are_refused() -> None:
    with pytest.raises(ValueError, match=r"two for a\.b"):
        merged("two", {}, [full(), full()])


def test_an_invalid_part_makes_an_invalid_whole() -> None:
    report = merged("two", {}, [full(), replace(full(), figures={}, valid=False)])
    assert not report.valid
    assert "not valid" in to_html(report)
    assert "not valid" in to_markdown(report)


def test_raised_flags_come_first_and_say_what_to_do() -> None:
    page = to_html(full())
    states = re.findall(r'<li class="(\w+)">', page)
    assert states == ["raised", "unknown", "clear"]
    assert "1 trust flag raised" in page


@pytest.mark.parametrize("plot", PLOTS, ids=lambda p: f"{p.kind} {len(p.series)}")
def test_figures_are_well_formed_and_described(plot: Plot) -> None:
    root = ET.fromstring(draw(plot))
    assert root.attrib["role"] == "img"
    assert root[0].text == plot.title
    x0, y0, width, height = map(float, root.attrib["viewBox"].split())
    for circle in root.iter("{http://www.w3.org/2000/svg}circle"):
        assert x0 <= float(circle.attrib["cx"]) <= width
        assert y0 <= float(circle.attrib["cy"]) <= height


def test_higher_values_are_drawn_higher() -> None:
    root = ET.fromstring(draw(PLOTS[2]))
    taller = ET.fromstring(draw(replace(PLOTS[2], series={"f1": [(0.9, 0.4, 0.6), (None, None, None)]})))
    first, second = (next(r.iter("{http://www.w3.org/2000/svg}rect")).attrib for r in (root, taller))
    assert float(second["height"]) > float(first["height"])


def test_an_unknown_figure_is_refused() -> None:
    with pytest.raises(ValueError, match="kind must be one of"):
        draw(Plot("pie", "", {}))


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 8))
@example(879609.9999999999, 1e-6, 5)
def test_ticks_cover_and_are_round(low: float, span: float, count: int) -> None:
    high = low + span
    told = ticks(low, high, count)
    step = told[1] - told[0]
    grain = step * 1e-6 + 4 * np.spacing(max(abs(low), abs(high)))  # floats are no finer than that
    assert told[0] <= low + grain
    assert told[-1] >= high - grain
    assert len(told) <= 2 * count + 3
    mantissa = round(step / 10.0 ** np.floor(np.log10(step) + 1e-9), 3)
    assert mantissa in (1, 2, 5, 10) or abs(low) / span > 1e6


def test_ticks_of_one_point() -> None:
    assert ticks(3, 3)[0] < 3 < ticks(3, 3)[-1]


def test_markdown_tables_survive_bars() -> None:
    lines = [line for line in to_markdown(full()).splitlines() if line.startswith("|")]
    for line in lines:
        assert line.startswith("| ") or set(line) <= set("| -")
    row = next(line for line in lines if "alert" in line and "n/a" in line)
    assert len(re.findall(r"(?<!\\)\|", row)) == 4


@pytest.mark.parametrize(
    ("cell", "text"),
    [
        (None, "n/a"),
        (0.5, "0.5000"),
        (3, "3"),
        ("x", "x"),
        (1e-7, "1e-07"),
        (12345.6, "1.235e+04"),
        (0.0, "0.0000"),
        (True, "yes"),
    ],
)
def test_cells(cell: float | str | None, text: str) -> None:
    assert shown(cell) == text


def test_scores_tell_their_interval_and_definition() -> None:
    rows = scores_table([Score("a", 0.5, 3, "def", 0.1, 0.9), Score("b", None, 0)]).rows
    assert rows[0]["95 % interval"] == "0.1000 to 0.9000"
    assert rows[1]["value"] is None
    assert rows[1]["95 % interval"] is None


def test_an_empty_report_is_a_page() -> None:
    assert "<h1>nothing</h1>" in to_html(Report("nothing", {}))


def test_a_clock_changes_one_section_of_the_page_and_nothing_else() -> None:
    report = full()
    later = replace(report, clock={"started": "later", "seconds": 99.0}, timing=[Section("slow")])
    assert report.to_json() == later.to_json()
    assert to_markdown(report) == to_markdown(later)
    first, second = to_html(report), to_html(later)
    assert first != second
    assert first.count('<section id="clock">') == first.count("<section") == 1
    assert CLOCK.sub("", first) == CLOCK.sub("", second)


def test_a_section_called_as_the_report_is_not_said_twice() -> None:
    page = to_html(Report("digits", {}, [Section("digits"), Section("other")]))
    assert re.findall(r"<h2[^>]*>(.*?)</h2>", page) == ["Results", "other", "How to repeat this"]


def test_a_gauge_is_drawn_for_shares_only() -> None:
    told = [Headline("a", 0.5, 9, 0.4, 0.6), Headline("b", 12.0, 9, 11.0, 13.0), Headline("c", 0.5, 9)]
    assert to_html(Report("r", {}, [Section("s", headlines=told)])).count('class="gauge"') == 1

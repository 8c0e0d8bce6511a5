"""Figures of counts and marks: every number that is drawn is the one that was given."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET

import pytest

from eval.report.document import Plot
from eval.report.plots import draw
from eval.report.style import STYLE

SVG = "{http://www.w3.org/2000/svg}"


def rects(plot: Plot, kind: str) -> list[dict[str, str]]:
    found = (dict(r.attrib) for r in ET.fromstring(draw(plot)).iter(f"{SVG}rect"))
    return [r for r in found if kind in r.get("class", "").split()]


def texts(plot: Plot, kind: str) -> list[str]:
    found = ET.fromstring(draw(plot)).iter(f"{SVG}text")
    return [t.text or "" for t in found if kind in t.get("class", "").split()]


def matrix(rows: list[list[float]]) -> Plot:
    return Plot("matrix", "m", {"counts": rows}, "answered", "true", [f"c{i}" for i in range(len(rows))])


def test_a_matrix_shades_by_the_share_of_the_row() -> None:
    plot = matrix([[90.0, 10.0], [5.0, 5.0]])
    cells = rects(plot, "cell")
    assert [c["class"].split()[1] for c in cells] == ["c0", "c1", "c1", "c0"]
    big, small, left, right = (float(c["fill-opacity"]) for c in cells)
    assert big > right == left > small
    assert texts(plot, "ink") == ["90", "10", "5", "5"]
    assert "<title>true c1, answered c0: 5 (0.500 of row)</title>" in draw(plot)


def test_empty_cells_are_not_drawn_and_many_have_no_text() -> None:
    plot = matrix([[float(i == j) for j in range(21)] for i in range(21)])
    assert len(rects(plot, "cell")) == 21
    assert texts(plot, "ink") == []
    assert len(texts(matrix([[float(i == j) for j in range(20)] for i in range(20)]), "ink")) == 20
    assert len(draw(matrix([[float(i == j) for j in range(100)] for i in range(100)]))) < 80_000


def test_pixels_are_told_as_shares() -> None:
    assert texts(matrix([[75_000.0, 25_000.0], [0.0, 10.0]]), "ink") == [".75", ".25", "1.00"]


def test_a_class_without_truth_is_an_empty_row() -> None:
    assert len(rects(matrix([[0.0, 0.0], [1.0, 0.0]]), "cell")) == 1


def test_reliability_shows_intervals_and_counts() -> None:
    bins = [(0.2, 0.3, 0.1, 0.5, 10.0, 0.0, 0.5), (0.9, 0.9, 0.8, 1.0, 40.0, 0.5, 1.0)]
    plot = Plot("reliability", "r", {"bins": bins}, "confidence", "accuracy")
    root = ET.fromstring(draw(plot))
    assert sum(p.get("class") == "whisker" for p in root.iter(f"{SVG}path")) == 2
    low, high = (float(r["height"]) for r in rects(plot, "c0"))
    assert low * 4 == pytest.approx(high, abs=0.1)
    left, right = rects(plot, "c0")
    assert float(left["x"]) + float(left["width"]) < float(right["x"])
    bare = Plot("reliability", "r", {"bins": [(0.2, 0.3), (None, None)]})
    assert rects(bare, "c0") == []


def test_bars_of_a_histogram_stand_between_their_edges() -> None:
    plot = Plot("histogram", "h", {"ms": [(0.0, 5.0, 8.0), (5.0, 10.0, 4.0)]}, marks={"p50": 5.0})
    first, second = rects(plot, "c0")
    assert float(first["height"]) == pytest.approx(2 * float(second["height"]), abs=0.05)
    assert float(first["width"]) == pytest.approx(float(second["width"]), abs=0.05)
    root = ET.fromstring(draw(plot))
    (line,) = (p.attrib["d"] for p in root.iter(f"{SVG}path") if p.get("class") == "diagonal")
    assert float(re.findall(r"M([\d.]+)", line)[0]) == pytest.approx(float(second["x"]))
    assert "p50" in texts(plot, "tick")


def test_long_names_are_cut_in_the_legend_and_whole_in_its_tooltip() -> None:
    name = "a very long name of a class 0.123"
    drawn = draw(Plot("curves", "c", {name: [(0.0, 1.0), (1.0, 0.0)]}))
    assert "a very long name of …" in drawn
    assert f"<title>{name}</title>" in drawn


def luminance(colour: str) -> float:
    """Relative luminance, WCAG 2.2."""
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(
    ("front", "back", "least"),
    [
        ("ink", "paper", 7),
        ("ink", "wash", 7),
        ("soft", "paper", 4.5),
        ("soft", "wash", 4.5),
        ("paper", "bad", 4.5),
        ("bad", "wash", 4.5),
        *((f"c{i}", "paper", 3) for i in range(6)),
    ],
)
def test_colours_have_contrast(scheme: int, front: str, back: str, least: float) -> None:
    told = dict(re.findall(r"--(\w+): (#\w{6})", STYLE.split(":root {")[1 + scheme].split("}")[0]))
    high, low = sorted((luminance(told[front]), luminance(told[back])), reverse=True)
    assert (high + 0.05) / (low + 0.05) >= least

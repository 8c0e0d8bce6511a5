"""The picture joins the candidates that none beats in both, and names every one."""

from __future__ import annotations

import re

from eval.report.document import Plot
from eval.report.plots import draw

POINTS = {"slow best": (1.0, 0.9), "good": (2.0, 0.89), "beaten": (1.5, 0.7), "fast": (3.0, 0.8)}


def test_the_front_is_joined_and_the_beaten_is_not() -> None:
    svg = draw(Plot("pareto", "t", {name: [point] for name, point in POINTS.items()}, "speed", "score"))
    assert {name: kind for kind, name in re.findall(r'<circle class="(c\d)"[^>]*><title>([\w ]+):', svg)} == {
        "slow best": "c0",
        "good": "c0",
        "fast": "c0",
        "beaten": "c1",
    }
    (path,) = re.findall(r'<path class="line c0" d="([^"]+)"', svg)
    assert path.count("H") == 2  # three points, two steps
    for number, name in enumerate(POINTS, start=1):
        assert f">{number} {name}</text>" in svg


def test_nothing_to_draw_is_an_empty_frame() -> None:
    assert "<circle" not in draw(Plot("pareto", "t", {}, "x", "y"))

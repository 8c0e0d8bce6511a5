"""The figures of an audit: exact where the attacks know, bounds elsewhere, and pictures worth a look."""

from __future__ import annotations

import base64
import math

import numpy as np
import pytest

from eval.attacks.base import Threat
from eval.attacks.spatial import Spatial
from eval.metrics.truth import Objects
from eval.report.audit import audit_section
from eval.report.audit_curves import BY_EPSILON, curve_points, query_curve, security_curve
from eval.report.audit_examples import SIDE, galleries
from eval.report.document import Plot, Report
from eval.report.html import to_html
from eval.report.standing import Standing, standing_of
from models.decoding import decode
from models.results import Classification, Detections, Segmentation
from tests.eval.report.audits import audited, result

FAR = [3.0, 8.0, 20.0, math.inf, 5.0, 9.0]
LETTERS = "ffsses"


def standing(told: object) -> Standing:
    return standing_of(told.results, told.samples, told.budget)  # type: ignore[attr-defined]


def height(plot: Plot, name: str, x: float) -> float:
    """Of a curve in steps, right of x."""
    known = [y for at, y in plot.series[name] if at is not None and at <= x]
    assert known[-1] is not None
    return known[-1]


TOLD = audited(
    result("search", LETTERS, distance=FAR),
    result("noise", "sfsses"),
    minimises=["search"],
    curve=[result("square", "sf", threat=Threat("linf", e)) for e in (4.0, 2.0, 100.0)]
    + [result("square", "fs", threat=Threat("l2", 128.0))],
)


@pytest.mark.parametrize("epsilon", [0, 2.9, 3, 3.9, 4, 8, 9, 15, 20, 31])
def test_robust_accuracy_for_any_epsilon(epsilon: float) -> None:
    """Five were answered; the second fell to noise at 4 levels before the search found it at 8."""
    plot = security_curve(TOLD, standing(TOLD))
    assert plot is not None
    smallest = [3.0, 4.0, 20.0, math.inf, 9.0]
    assert height(plot, "smallest found", epsilon) == sum(d > epsilon for d in smallest) / 5
    assert plot.marks == {"audited": 8.0}


def test_the_curve_of_one_attack_and_chance() -> None:
    plot = security_curve(TOLD, standing(TOLD))
    assert plot is not None
    assert plot.series["square by epsilon"] == [(0.0, 1.0), (2.0, 0.5), (4.0, 0.5)]
    assert plot.series["chance"] == [(0.0, 1 / 3), (20.0, 1 / 3)]
    points = {(name, epsilon): counts for name, epsilon, counts in curve_points(TOLD, standing(TOLD))}
    assert points["smallest found", 8.0].stood == standing(TOLD).counts().stood == 3
    assert points["smallest found", 32.0].stood == 1
    assert points["smallest found", 8.0].silent == 1
    assert points["square by epsilon", 100.0].stood == 1
    assert points["square (l2)", 128.0].answered == 2


def test_no_epsilon_is_above_what_a_picture_has() -> None:
    wide = audited(result("search", LETTERS, distance=FAR, threat=Threat("linf", 100)), minimises=["search"])
    told = [epsilon for _, epsilon, _ in curve_points(wide, standing(wide))]
    assert told == [25, 50, 100, 200, 255]


def test_there_is_no_curve_without_an_epsilon_or_anything_beyond_it() -> None:
    turned = audited(result("grid", "sf", threat=Spatial(10, 2)), minimises=["grid"])
    plain = audited(result("noise", "sf"))
    for told in (turned, plain):
        assert security_curve(told, standing(told)) is None
        assert BY_EPSILON not in [table.title for table in audit_section(told).tables]


def test_queries_are_counted_up_to_the_first_success() -> None:
    attack = result("search", "fsfwf")
    attack.queries_to_fool[4] = 7  # as many as the third
    told = audited(attack)
    curve = query_curve(told, standing(told)).series["search"]
    assert curve == [(0.0, 0.0), (5.0, 1 / 4), (7.0, 3 / 4), (14.0, 3 / 4)]


def test_examples_are_the_surest_the_smallest_and_the_quickest() -> None:
    told = audited(
        result("search", "f" * 12, distance=[9.0 - i / 2 for i in range(12)]),
        clean=[Classification(np.array([0.9, 0.05, 0.05], np.float32))] * 12,
    )
    surest, smallest, quickest = galleries(told)
    assert [item[0].caption for item in surest.items] == [f"true {c} (0.90)" for c in ("cat", "bee", "ape")]
    assert [item[1].caption for item in surest.items] == [
        f"answered {c} (0.50)" for c in ("ape", "cat", "bee")
    ]
    assert [item[2].caption for item in smallest.items] == [
        f"change × 31.8, {9 - i / 2:.3g} levels; search, {5 + i} queries"  # noqa: RUF001
        for i in (8, 7, 6)
    ]  # the last three are shown already
    assert [item[2].caption.split(", ")[-1] for item in quickest.items] == [f"{n} queries" for n in (5, 6, 7)]


def test_small_pictures_are_kept_to_the_pixel() -> None:
    (gallery, *_) = galleries(audited(result("search", "fs")))
    original, sent, magnified = (decode(base64.b64decode(p.uri.split(",")[1])) for p in gallery.items[0])
    assert (original == 36).all()
    assert (sent == 40).all()
    assert (magnified == 255).all()  # 4 levels, magnified to the whole range
    assert not galleries(audited(result("search", "ss")))


def test_large_pictures_stay_small_on_the_page() -> None:
    rng = np.random.default_rng(0)
    attack = result("search", "f" * 20, side=500)
    noisy = [rng.integers(0, 256, (500, 500, 3), dtype=np.uint8) for _ in range(20)]
    told = audited(attack, originals=noisy)
    shots = [shot for gallery in galleries(told) for item in gallery.items for shot in item]
    assert {max(shot.width, shot.height) for shot in shots} <= {SIDE, 167}
    assert len(to_html(Report("r", {}, [audit_section(told)]))) < 3_000_000


def test_boxes_before_and_after() -> None:
    box = Detections(np.array([[1, 1, 5, 5]], np.float32), np.array([0.9], np.float32), np.array([0]))
    attack = result("search", "f")
    attack.answers[:] = [Detections.empty()]  # type: ignore[index]
    truth = Objects(np.array([[1.0, 1, 5, 5]]), np.array([0]))
    told = audited(attack, task="detection", truths=[truth], clean=[box])
    before, after, change = galleries(told)[0].items[0]
    assert (before.caption, after.caption) == ("1 true, 0 missed, 0 false", "1 true, 1 missed, 0 false")
    assert "4 levels" in change.caption


def test_label_maps_before_and_after() -> None:
    attack = result("search", "f")
    attack.answers[:] = [Segmentation(np.full((8, 8), 1))]  # type: ignore[index]
    clean = [Segmentation(np.zeros((8, 8), int))]
    told = audited(attack, task="segmentation", truths=[np.zeros((8, 8), int)], clean=clean)
    gallery = galleries(told)[0]
    assert [shot.caption for shot in gallery.items[0][:3]] == ["sent", "found before", "found in it"]
    assert list(gallery.key) == ["ape", "bee"]


def test_what_was_hurt_is_shown_where_an_answer_can_be_half_right() -> None:
    attack = result("search", "sss")
    attack.start_loss[:], attack.best_loss[:] = 3.0, [1.0, 0.5, 4.0]
    attack.distance[1] = 9.0  # beyond the threat
    (gallery,) = galleries(audited(attack, task="detection"))
    assert gallery.title == "Furthest towards the goal, without success"
    (item,) = gallery.items
    assert item[2].caption.endswith("8 levels; search, 10 queries")
    assert not galleries(audited(attack))

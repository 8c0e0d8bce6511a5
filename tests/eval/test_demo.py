"""The demo's figures are those that were measured; what was not is null."""

from __future__ import annotations

import json

from eval.demo import FIGURES, summary
from eval.report.document import Report

PROMISED = {*FIGURES, "audit.reverify_rate", "parity.max_abs_difference", "seconds"}


def test_nothing_measured_is_null() -> None:
    told = summary(Report("t", {}), 1.0)
    assert told.keys() >= PROMISED
    assert {name for name, value in told.items() if value is not None} == {"seconds"}


def test_figures_are_passed_on() -> None:
    figures: dict[str, float | None] = {
        "digits.1.accuracy": 0.5,
        "scenes-detector.1.ap": 0.25,
        "audit.digits.1.claimed": 3,
        "audit.digits.1.fooled": 2,
        "audit.digits.2.claimed": 1,
        "audit.digits.2.fooled": 1,
        "parity.digits.1.max_abs_difference": 1e-7,
        "parity.digits.2.max_abs_difference": 2e-7,
    }
    told = summary(Report("t", {}, figures=figures), 1.0)
    assert told["digits.1.accuracy"] == 0.5
    assert told["scenes_detector.ap"] == 0.25
    assert told["audit.reverify_rate"] == 0.75
    assert told["parity.max_abs_difference"] == 2e-7
    assert json.loads(json.dumps(told, allow_nan=False)) == told

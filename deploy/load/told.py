"""The end of a run: its figures, its scenario's rules, its verdict, as lines and as a file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from deploy.load import promise
from deploy.load.arrivals import SHAPES, mean_of
from deploy.load.options import slo_of
from deploy.load.tally import Tally

__all__ = ["tell"]


def tell(options: Any, tally: Tally, *, workers: int) -> promise.Verdict:
    """Judge a run, print its scenario's result, and write `options.figures`.

    Args:
        workers: who told the master what they did; 0 where one process did all.
    """
    told: dict[str, Any] = {**tally.figures(within_ms=options.slo_p99_ms), "workers": workers}
    expected = None
    if options.rate:
        expected = options.rate * told["sending_seconds"] * mean_of(SHAPES[options.shape])
    verdict = promise.judged(slo_of(options), told, expected=expected)
    if options.lost:
        verdict = promise.Verdict(promise.INCONCLUSIVE, f"{options.lost} workers never told their last")
    named = ("rate", "streams", "shape", "seed", "models", "slo_p99_ms", "slo_error_share", "slo_goodput_rps")
    told |= {name: getattr(options, name) for name in named}
    if options.scenario:
        verdict = _scenario(options, told, verdict)
    told |= {"exit_code": verdict.code, "verdict": str(verdict)}
    if options.figures:
        Path(options.figures).parent.mkdir(parents=True, exist_ok=True)
        Path(options.figures).write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return verdict


def _scenario(options: Any, told: dict[str, Any], verdict: promise.Verdict) -> promise.Verdict:
    """Add a scenario's result to the figures; a run that breaks its rules proves nothing."""
    limits = {"least_seconds": options.least_seconds, "least_count": options.least_count}
    broken = promise.ruled(options.scenario, told, **limits)
    figure = promise.SCENARIOS[options.scenario].figure
    told |= {"scenario": options.scenario, "result": told[figure], "valid": not broken, **limits}
    said = f"invalid: {'; '.join(broken)}" if broken else "valid"
    print(f"{options.scenario} (MLPerf-style, not MLPerf): {figure} {told[figure]}, {said}")  # noqa: T201
    if broken and verdict.code == promise.KEPT:
        return promise.Verdict(promise.INCONCLUSIVE, broken[0])
    return verdict

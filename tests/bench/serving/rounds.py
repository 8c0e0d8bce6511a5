"""Several servers measured in turn, A B C, A B C ..., and compared round by round.

A slow moment of the machine then falls on all of them, and ratios hold where absolutes do not.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence

from tests.bench.serving.load import Speed

__all__ = ["OURS", "Figures", "compared", "in_turn"]

Figures = dict[str, float | str]
OURS = "assay"


def in_turn(sources: Mapping[str, Callable[[], Speed]], rounds: int) -> dict[str, list[Speed]]:
    """Each source's speed in every round."""
    measured: dict[str, list[Speed]] = {name: [] for name in sources}
    for _ in range(rounds):
        for name, source in sources.items():
            measured[name].append(source())
    return measured


def compared(case: str, measured: Mapping[str, Sequence[Speed]]) -> Figures:
    """`case.<server>.rps` ... as medians over rounds and `case.vs_<server>`, the median of ours / theirs.

    A server with any error has `case.<server>.errors` and nothing else.
    """
    told: Figures = {}
    failed = {name for name, speeds in measured.items() if any(speed.errors for speed in speeds)}
    for name, speeds in measured.items():
        if name in failed:
            told[f"{case}.{name}.errors"] = sum(speed.errors for speed in speeds)
            continue
        columns = {
            "rps": [speed.rps for speed in speeds],
            "p50_ms": [speed.p50_ms for speed in speeds if speed.p50_ms is not None],
            "p99_ms": [speed.p99_ms for speed in speeds if speed.p99_ms is not None],
        }
        told |= {
            f"{case}.{name}.{what}": statistics.median(values) for what, values in columns.items() if values
        }
    for name in measured:
        if name != OURS and not failed & {name, OURS}:
            ratios = [
                ours.rps / other.rps for ours, other in zip(measured[OURS], measured[name], strict=True)
            ]
            told[f"{case}.vs_{name}"] = statistics.median(ratios)
    return told

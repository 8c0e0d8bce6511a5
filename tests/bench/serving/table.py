"""The figures for a person: one line for each server of a case, then what is not a speed."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["lines"]

COLUMNS = ("rps", "p50_ms", "p99_ms")
HEAD = f"{'case':22} {'server':12} {'req/s':>9} {'p50 ms':>9} {'p99 ms':>9} {'assay / it':>10}"


def lines(figures: Mapping[str, float | str]) -> list[str]:
    """The table, in the order of the figures."""
    rows: dict[tuple[str, str], None] = {}
    rest = []
    for key, value in figures.items():
        case, _, what = key.rpartition(".")
        if what in COLUMNS or what == "errors":
            rows[tuple(case.rsplit(".", 1))] = None  # type: ignore[index]
        elif what.removeprefix("vs_") == what or f"{case}.{what.removeprefix('vs_')}.rps" not in figures:
            rest.append(f"{key:48} {_number(value)}")
    return [HEAD, *(_row(figures, case, server) for case, server in rows), "", *rest]


def _row(figures: Mapping[str, float | str], case: str, server: str) -> str:
    errors = figures.get(f"{case}.{server}.errors")
    if errors is not None:
        return f"{case:22} {server:12} {errors} requests failed: no speed"
    cells = [_number(figures.get(f"{case}.{server}.{column}", "")) for column in COLUMNS]
    ratio = _number(figures.get(f"{case}.vs_{server}", ""))
    return f"{case:22} {server:12} " + " ".join(f"{cell:>9}" for cell in cells) + f" {ratio:>10}"


def _number(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:.4g}" if abs(value) < 1000 else f"{value:.0f}"

"""A report is a list of sections; a section is tables, figures and pictures with a caption.

The same object is written as JSON for machines, Markdown for people and HTML for both, so the
three can never disagree.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from types import MappingProxyType
from typing import Literal, TypeAlias

from pydantic import TypeAdapter

from eval.checks.flag import Flag
from eval.metrics.base import Score
from eval.report.standing import Standing

__all__ = [
    "SCHEMA",
    "Cell",
    "Check",
    "Gallery",
    "Headline",
    "Picture",
    "Plot",
    "Report",
    "Section",
    "Table",
    "Verdict",
    "merged",
    "scores_table",
]

SCHEMA = 2
Cell: TypeAlias = bool | str | int | float | None
Verdict: TypeAlias = Literal["pass", "fail", "inconclusive", "error"]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with the same keys. `note` says what the numbers do not show."""

    rows: Sequence[Mapping[str, Cell]]
    title: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Plot:
    """A figure as numbers, drawn where it is shown.

    Attributes:
        kind: `lines` (x against y, one line a series), `steps` (the same, stepwise), `curves` (lines in
            the unit square), `roc` (the same, with the diagonal of chance), `bars` (one bar a label),
            `matrix` (rows of counts, shaded by their share of the row), `reliability`, `histogram`,
            `pareto` (one point a series, more of both is better).
        series: name -> points [(x, y), ...]; for bars [(value, low, high), ...]; for a matrix its
            rows; for reliability [(confidence, accuracy, low, high, count, left, right), ...], where
            all but the first two may be left out; for a histogram [(left, right, count), ...].
        labels: of bars, or of the rows and columns of a matrix.
        marks: name -> x of an upright line.
    """

    kind: str
    title: str
    series: Mapping[str, Sequence[Sequence[float | None]]]
    x: str = ""
    y: str = ""
    labels: Sequence[str] = ()
    marks: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Picture:
    """One example: a PNG as a data URI, what it shows, and boxes to draw over it.

    Attributes:
        boxes: (x1, y1, x2, y2, text, kind), pixels of the picture; the kinds are `expected`, `missed`,
            `predicted` and `false`.
    """

    uri: str
    caption: str
    width: int
    height: int
    boxes: Sequence[tuple[float, float, float, float, str, str]] = ()


@dataclass(frozen=True, slots=True)
class Gallery:
    """Examples side by side, several pictures each.

    Attributes:
        key: name -> colour, `#rrggbb`, of what the pictures are painted in.
    """

    title: str
    items: Sequence[Sequence[Picture]]
    note: str = ""
    key: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Headline:
    """A number that answers the reader's question, with what it rests on."""

    title: str
    value: float | None
    support: int
    low: float | None = None
    high: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Check:
    """One question a gate asked, and its answer.

    Attributes:
        verdict: `inconclusive` where the data cannot tell, `error` where it could not be asked.
        message: one line: what was measured against what was demanded.
        details: anything longer.
    """

    name: str
    verdict: Verdict
    message: str
    details: str = ""


@dataclass(frozen=True, slots=True)
class Section:
    """One subject: what was measured of what.

    Attributes:
        advice: lines such as how many more images would settle a question.
        scores: every score; the tables of classes and of all scores are made of them.
        slices: column -> value -> the scores of that part of the data.
        standing: of an audit: what became of every sample.
    """

    title: str
    text: str = ""
    headlines: Sequence[Headline] = ()
    flags: Sequence[Flag] = ()
    tables: Sequence[Table] = ()
    plots: Sequence[Plot] = ()
    galleries: Sequence[Gallery] = ()
    advice: Sequence[str] = ()
    scores: Sequence[Score] = ()
    slices: Mapping[str, Mapping[str, Sequence[Score]]] = field(default_factory=dict)
    standing: Standing | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Sections, and the manifest that makes them repeatable.

    Attributes:
        figures: flat name -> number, for machines and gates.
        valid: False when too many requests failed for the numbers to mean anything.
        clock: what a clock said: start, duration, latency. Equal answers give equal reports but for it.
        timing: sections of the same kind.
    """

    title: str
    manifest: Mapping[str, Cell]
    sections: Sequence[Section] = ()
    figures: Mapping[str, float | None] = field(default_factory=dict)
    valid: bool = True
    clock: Mapping[str, Cell] = field(default_factory=dict)
    timing: Sequence[Section] = ()

    def to_json(self) -> str:
        """Equal bytes for equal answers: NaN is refused, undefined is null; no pictures, no clock."""
        body = {"schema": SCHEMA, **asdict(self)}
        del body["clock"], body["timing"]
        for section in body["sections"]:
            del section["galleries"]
        return json.dumps(body, indent=2, allow_nan=False) + "\n"

    @staticmethod
    def from_json(text: str, clock: Mapping[str, Cell] = MappingProxyType({})) -> Report:
        """A report that was written, without its pictures.

        Args:
            clock: what clock.json beside it holds.

        Raises:
            ValueError: another schema, or no report at all.
        """
        body = json.loads(text)
        if not isinstance(body, dict) or body.get("schema") != SCHEMA:
            raise ValueError(f"a report must have schema {SCHEMA}, got {text[:40]!r}")
        return TypeAdapter(Report).validate_python({**body, "clock": dict(clock)})


def merged(title: str, manifest: Mapping[str, Cell], reports: Iterable[Report]) -> Report:
    """One report of several: their sections in order, their figures together; valid if all are.

    Raises:
        ValueError: two reports give a figure of the same name.
    """
    reports = list(reports)
    figures: dict[str, float | None] = {}
    for report in reports:
        if twice := figures.keys() & report.figures.keys():
            raise ValueError(f"figures must have one source each, got two for {sorted(twice)[0]}")
        figures.update(report.figures)
    sections = [section for report in reports for section in report.sections]
    timing = [section for report in reports for section in report.timing]
    return Report(title, manifest, sections, figures, all(r.valid for r in reports), timing=timing)


def scores_table(scores: Iterable[Score], title: str = "", note: str = "") -> Table:
    """Name, value, interval, support and definition, one row per score."""
    rows: list[Mapping[str, Cell]] = [
        {
            "score": score.name,
            "value": score.value,
            "95 % interval": None if score.low is None else f"{score.low:.4f} to {score.high:.4f}",
            "support": score.support,
            "definition": score.definition,
        }
        for score in scores
    ]
    return Table(rows, title, note)

"""What a gate knows of its subject: every score with its interval, the clock, figures of other reports."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from pathlib import Path
from typing import Any, Literal, TypeAlias

import numpy as np

from eval.comparison.states import known, states
from eval.data.slices import slicer
from eval.errors import EvalError
from eval.gate.asks import LATENCY
from eval.metrics.base import Metric, Resampled, Score
from eval.metrics.calibration import CalibrationMetric
from eval.metrics.intervals import NONE, Method, bootstrap, clopper_pearson, widened
from eval.recorded import Recorded
from eval.report.document import Check, Report
from eval.scoring import MOST_ERRORS
from models.card import TaskName
from models.results import Array

__all__ = [
    "Measured",
    "Number",
    "figures_of",
    "latency_of",
    "measured_of",
    "require_usable",
    "require_valid",
    "slices_in",
    "unknown",
]

RESAMPLES = 1000
HEADLINES = 0.95  # confidence of the intervals in a report
Kind: TypeAlias = Literal["interval", "plain", "exact"]


@dataclass(frozen=True, slots=True)
class Number:
    """What was measured under one name.

    Attributes:
        value: None where it is undefined.
        low, high: the interval at the confidence that was asked for, or None.
        images: it rests on.
        kind: `interval`: has one, though not on every data; `plain`: has none; `exact`: a count or of a
            clock, taken as it is.
    """

    value: float | None
    low: float | None
    high: float | None
    images: int
    kind: Kind = "interval"


@dataclass(slots=True)
class Measured:
    """A subject's scores, whole and by slice.

    Attributes:
        task: None where there is no run, only figures.
        parts: beginning of the name (empty, or `slice.NAME.VALUE.`) -> metrics and images of that part.
    """

    task: TaskName | None = None
    labels: tuple[str, ...] = ()
    parts: dict[str, tuple[tuple[Metric[Any, Any], ...], int]] = field(default_factory=dict)
    images: int = 0
    errors: int = 0
    seconds: Sequence[float] = ()
    figures: Mapping[str, Number] = field(default_factory=dict)
    _scores: dict[str, dict[str, tuple[Score, Metric[Any, Any]]]] = field(default_factory=dict)

    @property
    def valid(self) -> bool:
        """Whether enough was answered for the numbers to mean anything."""
        return self.errors <= MOST_ERRORS * self.images

    def names(self) -> list[str]:
        """All that may be asked for."""
        if self.task is None:
            return list(self.figures)
        scores = known(self.task, self.labels)
        own = [prefix + name for prefix in self.parts for name in scores]
        return [*own, "errors", *LATENCY, *self.figures]

    def number(self, name: str, confidence: float) -> Number | None:
        """What was measured under a name; None where nothing was."""
        if name in self.figures:
            return self.figures[name]
        if not self.parts:
            return None
        if name == "errors":
            return Number(self.errors, None, None, self.images, "exact")
        if name in LATENCY:
            return Number(latency_of(self.seconds, name), None, None, len(self.seconds), "exact")
        for prefix, (_, images) in self.parts.items():
            told = self._read(prefix) if name.startswith(prefix) else {}
            if (found := told.get(name.removeprefix(prefix))) is not None:
                score, metric = found
                return _number(score, metric, self.task, images, confidence)
        return None

    def _read(self, prefix: str) -> dict[str, tuple[Score, Metric[Any, Any]]]:
        if prefix not in self._scores:
            told = {s.name: (s, metric) for metric in self.parts[prefix][0] for s in metric.compute()}
            self._scores[prefix] = told
        return self._scores[prefix]


def latency_of(seconds: Sequence[float], name: str) -> float | None:
    """Quantile of the requests' duration in ms."""
    return float(np.quantile(seconds, LATENCY[name]) * 1e3) if len(seconds) else None


def _number(
    score: Score, metric: Metric[Any, Any], task: TaskName | None, images: int, confidence: float
) -> Number:
    """Exact (Clopper and Pearson) interval for shares of images; else the bootstrap over images.

    A gate's intervals may not be too narrow: where all resamples are alike, they reach as far as `reach`.
    """
    resampled = metric.resampled() or Resampled((), lambda times: times)
    own = task == "classification" and score.name.startswith(("recall.class.", "precision.class."))
    if score.name in resampled.hits or own:
        right = round((score.value or 0.0) * score.support)
        interval = clopper_pearson(right, score.support, confidence)
        return Number(score.value, *interval, score.support)
    if score.name not in resampled.names:
        return Number(score.value, None, None, images, "plain")
    place = resampled.names.index(score.name)

    def column(times: Array) -> Array:
        return resampled.values(times)[:, [place]]

    method: Method = "bca" if isinstance(metric, CalibrationMetric) else "percentile"
    (interval,) = bootstrap(column, images, resamples=RESAMPLES, confidence=confidence, method=method)
    return Number(score.value, *widened(interval, images, confidence), images)


def slices_in(names: Iterable[str]) -> list[str]:
    """The slices that rules name: `slice.NAME.VALUE.SCORE`, where NAME is `tag.NAME` for some."""
    found = []
    for name in names:
        kind, _, rest = name.partition(".")
        if kind == "slice" and rest:
            first, _, more = rest.partition(".")
            found.append(f"tag.{more.partition('.')[0]}" if first == "tag" else first)
    return list(dict.fromkeys(found))


def measured_of(
    run: Recorded, names: Sequence[str], progress: Callable[[int, int], None] | None = None
) -> Measured:
    """Read a run from its record, one image at a time; of the slices only those that `names` need."""
    task, labels = run.target.task, run.target.labels
    measured = Measured(task, labels, seconds=run.journal.seconds())
    measured.parts[""] = states(task, labels, names), 0
    tag = slicer([name for name in slices_in(names) if name not in run.slices], run.data)
    for row, asked in run.rows():
        measured.images += 1
        if progress is not None:
            progress(measured.images, len(run.data))
        if asked.answer is None:
            measured.errors += 1
            continue
        for prefix in ("", *_prefixes({**row.tags, **tag(asked.sample)}, names)):
            metrics, count = measured.parts.get(prefix) or (states(task, labels, names), 0)
            measured.parts[prefix] = metrics, count + 1
            for metric in metrics:
                metric.update([asked.answer], [asked.sample.expected])
    return measured


def _prefixes(tags: Mapping[str, str], names: Sequence[str]) -> list[str]:
    made = [f"slice.{name}.{value}." for name, value in tags.items()]
    return [prefix for prefix in made if any(name.startswith(prefix) for name in names)]


def figures_of(report: Report, where: Path, confidence: float) -> dict[str, Number]:
    """The figures of a report as `figures.NAME`, with the interval of the headline that says the same.

    Raises:
        EvalError: the report is not valid.
    """
    require_usable(report, where)
    headlines = [headline for section in report.sections for headline in section.headlines]
    found = {}
    for name, value in report.figures.items():
        same = [h for h in headlines if h.value == value and name.endswith(h.title.replace(" ", "_"))]
        low, high = (same[0].low, same[0].high) if same and confidence == HEADLINES else NONE
        kind: Kind = "plain" if low is None else "interval"
        found[f"figures.{name}"] = Number(value, low, high, same[0].support if same else 0, kind)
    return found


def require_usable(report: Report, where: Path) -> None:
    """Raises EvalError when the report is not valid."""
    if not report.valid:
        raise EvalError(f"the report in {where} is not valid: too many requests failed; run it again")


def require_valid(name: str, errors: int, images: int) -> None:
    """Raises EvalError when too many images got no answer."""
    if not Measured(images=images, errors=errors).valid:
        raise EvalError(
            f"the run of {name} is not valid: {errors} of {images} images got no answer, at most 1 % may; "
            "look at the service and ask again"
        )


def unknown(name: str, known: Sequence[str]) -> Check:
    """A rule about a name that is not there, with the nearest that are."""
    near = get_close_matches(name, known, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(near)}?" if near else f"there are {', '.join(known[:8])} ..."
    return Check(name, "error", f"there is no score {name!r}; {hint}")

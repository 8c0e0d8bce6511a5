"""The page of a check under load: what changed, what it did to the score, and whether a cache answered."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict

import numpy as np

from eval.checks.flag import Flag
from eval.collect import Asked
from eval.metrics.intervals import wilson
from eval.metrics.paired import SCORES, Difference, paired_difference
from eval.metrics.tables import METRICS
from eval.parity.differences import UNITS, Apart
from eval.parity.showing import Compared, comparison
from eval.report.document import Cell, Headline, Section, Table
from eval.target import name_of
from eval.under_load.watching import Counts, Seen, counted, largest

__all__ = ["NOT_THE_SAME", "SAME", "shown"]

SAME, NOT_THE_SAME = "the same", "not the same"
Figures = dict[str, float | None]


def shown(seen: Seen) -> tuple[list[Section], list[Section], Figures, str]:
    """Sections, sections that a clock had a say in, figures, and the verdict."""
    counts, n = counted(seen.pictures, seen.tolerance), len(seen.pictures)
    score, quiet, loaded, apart = _scores(seen)
    worst = largest(seen.pictures)
    prefix = f"under_load.{name_of(seen.target).replace('/', '.')}"
    figures: Figures = {f"{prefix}.{name}": value / n for name, value in asdict(counts).items()}
    figures |= {
        f"{prefix}.max_abs_difference": worst,
        f"{prefix}.{score}_quiet": quiet,
        f"{prefix}.{score}_loaded": loaded,
        f"{prefix}.{score}_difference": apart.value if apart else None,
        f"{prefix}.cached": None if (flag := _cached(seen)).raised is None else float(flag.raised),
    }
    same = counts.identical + counts.within
    headlines = [
        Headline("share of pictures answered the same", same / n, n, *wilson(same, n)),
        Headline(
            "largest difference", worst, n, note=f"{UNITS[seen.target.task]}; {seen.tolerance:g} is none"
        ),
        Headline(f"{score} in quiet", quiet, n),
        Headline(f"{score} under load", loaded, n),
    ]
    if apart is not None:
        told = Headline("loaded minus quiet", apart.value, apart.support, apart.low, apart.high, "paired")
        headlines.append(told)
    text = f"{n} pictures, asked in quiet and again while {seen.users} users of Locust ask without a pause."
    rows: list[Mapping[str, Cell]] = [{"under load": k, "pictures": v} for k, v in asdict(counts).items()]
    section = Section(
        f"{name_of(seen.target)} under load",
        text,
        headlines,
        [_unsteady(seen), flag, _errors(seen, counts), _load(seen)],
        [Table(rows, "Pictures", "Each is counted once, by its worst answer.")],
    )
    pages = [section, *_different(seen)]
    return pages, _timing(seen), figures, NOT_THE_SAME if counts.different else SAME


def _scores(seen: Seen) -> tuple[str, float | None, float | None, Difference | None]:
    """Name of the score, its value in quiet and under load, and their difference: first answers of both."""
    task, labels = seen.target.task, seen.data.labels
    both = [one for one in seen.pictures if one.quiet is not None and one.loaded is not None]
    expected = [one.sample.expected for one in both]
    values: list[float | None] = []
    for answers in ([one.quiet for one in both], [one.loaded for one in both]):
        metric = METRICS[task][0](labels)
        metric.update(answers, expected)
        values.append(next(s.value for s in metric.compute() if s.name == SCORES[task]) if both else None)
    apart = None
    if both:
        loaded, quiet = [one.loaded for one in both], [one.quiet for one in both]
        apart = paired_difference(task, labels, loaded, quiet, expected)
    return SCORES[task], values[0], values[1], apart


def _different(seen: Seen) -> list[Section]:
    """The pictures whose answers differ most, drawn as a parity check draws them."""
    pictures = [one for one in seen.pictures if one.worst is not None and one.worst.amount > seen.tolerance]
    if not pictures:
        return []
    asked = [Asked(one.sample, one.answer) for one in pictures]
    quiet = [one.quiet for one in pictures if one.quiet is not None]
    each: Sequence[Apart] = [one.worst for one in pictures if one.worst is not None]
    found = Compared("in quiet", asked, quiet, each, largest(pictures))
    section = comparison(found, seen.target, seen.tolerance)
    return [Section("What differs", section.text, tables=section.tables, galleries=section.galleries)]


def _unsteady(seen: Seen) -> Flag:
    return Flag(
        "unsteady_in_quiet",
        seen.unsteady > 0,
        f"{seen.unsteady} of {len(seen.pictures)} pictures answered in another way when asked again in quiet",
        "The server changes its mind without any load, so what differs under load need not come from it.",
        "Make the model deterministic first, or raise --tolerance to what it varies by.",
    )


def _cached(seen: Seen) -> Flag:
    if seen.caching is None:
        raise ValueError("a cache must be looked for before the page is made")
    return seen.caching.flag()


def _errors(seen: Seen, counts: Counts) -> Flag:
    why = next((one.why for one in seen.pictures if one.why), "")
    told = f"{counts.errors} of {len(seen.pictures)} pictures got no answer at least once"
    return Flag(
        "errors",
        bool(counts.errors or seen.gone),
        ". ".join(filter(None, [told, why, seen.gone])),
        "What got no answer was not compared.",
        "Lower --users, or give the service more room.",
    )


def _load(seen: Seen) -> Flag:
    why = "; ".join(seen.load.get("errors", []))
    return Flag(
        "no_load",
        not seen.felt,
        "the load was answered" if seen.felt else f"no request of the load was answered {why}".strip(),
        "The pictures were asked in quiet all the time.",
        "Look at what the service says to a request of the load.",
    )


def _timing(seen: Seen) -> list[Section]:
    """Everything a clock said."""
    rows: list[Mapping[str, Cell]] = []
    for name, seconds in (("in quiet", seen.quiet_seconds), ("under load", seen.loaded_seconds)):
        ms = (
            [round(float(q) * 1e3, 2) for q in np.quantile(seconds, [0.5, 0.95, 0.99])]
            if seconds
            else [None] * 3
        )
        rows.append(
            {
                "asked": name,
                "answers": len(seconds),
                **dict(zip(("p50 ms", "p95 ms", "p99 ms"), ms, strict=True)),
            }
        )
    load, caching = seen.load, seen.caching
    told: dict[str, Cell] = {name: load.get(name) for name in ("requests", "failures", "per_second")}
    told |= {f"p{p} ms": load.get(f"p{p}_ms") for p in (50, 95, 99)}
    tables = [Table(rows, "Seconds of our requests"), Table([told], "What Locust says of its own")]
    headlines = []
    if caching is not None and caching.ratio is not None:
        alike = f"{caching.equal} of {caching.pairs} repeated alike"
        note = f"repeated bytes to fresh ones; p = {caching.p:.4f}; {alike}"
        headlines.append(
            Headline("ratio of latencies", caching.ratio, caching.pairs, *caching.interval, note)
        )
    return [
        Section("Latency in quiet and under load, and of repeated bytes", headlines=headlines, tables=tables)
    ]

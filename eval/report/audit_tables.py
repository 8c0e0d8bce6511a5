"""The tables of an audit: attacks, classes, slices, confusions, epsilons, queries."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from eval.attacks.results import AttackResult
from eval.metrics.intervals import wilson
from eval.report.audit_curves import BY_EPSILON
from eval.report.audited import Audited, Spent
from eval.report.document import Cell, Table
from eval.report.standing import Counts, Standing, counted

__all__ = ["attack_tables", "class_tables", "curve_table", "slice_tables", "spent_table"]

PAIRS = 20  # of confused classes
Row = Mapping[str, Cell]


def attack_tables(told: Audited, standing: Standing) -> list[Table]:
    """What every attack came to, what it cost, and what it is."""
    alone = standing.alone()
    came = [_came_to(result, standing.counts(result.attack), alone[result.attack]) for result in told.results]
    cost = [_cost(result) for result in told.results]
    found = [
        {
            "attack": result.attack,
            "median smallest change": result.median_perturbation,
            "mean smallest change": result.mean_perturbation,
            "found for": int(np.isfinite(result.perturbations).sum()),
            "of": len(result.perturbations),
        }
        for attack, result in zip(told.attacks, told.results, strict=True)
        if attack.minimises
    ]
    tables = [
        Table(
            came,
            "Attacks",
            "Fooled: the goal was reached, and again when exactly the same bytes were asked at the end; "
            "claimed, but not reached again, counts as stood. Only this one: samples that no other attack "
            "fooled. Intervals are Wilson's, over the samples that got an answer.",
        ),
        Table(
            cost,
            "Queries of the attacks",
            "Images asked about, the clean one and the last check included; to fool: of the samples that "
            "were fooled. Repeats were answered from memory, and cost nothing. Budget spent: samples not "
            "fooled on which the attack had more to try.",
        ),
    ]
    if found:
        tables.append(
            Table(
                found,
                "Smallest changes",
                f"In levels ({told.threat.norm}), inside the threat or not, of samples right when clean; "
                "only of attacks that look for them. No median where fewer than half were ever fooled, no "
                "mean (ADBD; Chen and Gu 2020, arXiv 2006.12792) where any was not.",
            )
        )
    return [*tables, _kinds(told)]


def _came_to(result: AttackResult, counts: Counts, alone: int) -> Row:
    claimed, fooled = int(result.claimed.sum()), int(result.fooled.sum())
    return {
        "attack": result.attack,
        "stood": _ratio(counts.stood, counts.answered),
        "95 % interval": _between(counts.stood, counts.answered),
        "success rate": _ratio(counts.fell, counts.right),
        "fooled": fooled,
        "claimed": claimed,
        "held again": _ratio(fooled, claimed),
        "only this one": alone,
        "no answer": int(result.errors.sum()),
    }


def _cost(result: AttackResult) -> Row:
    spent = result.queries_to_fool[result.fooled]
    return {
        "attack": result.attack,
        "to fool, median": float(np.median(spent)) if len(spent) else None,
        "to fool, 90 %": float(np.quantile(spent, 0.9)) if len(spent) else None,
        "most for one": int(result.queries.max(initial=0)),
        "in all": int(result.queries.sum()),
        "repeats": int(result.cache_hits.sum()),
        "budget spent": int((result.exhausted & ~result.fooled & ~result.errors).sum()),
    }


def _kinds(told: Audited) -> Table:
    rows = [
        {
            "attack": attack.name,
            "NIST AI 100-2 E2025": ", ".join(tag for tag in attack.tags if tag.startswith("NISTAML")),
            "MITRE ATLAS": ", ".join(tag for tag in attack.tags if tag.startswith("AML.")),
            "settings": repr(attack),
        }
        for attack in told.attacks
    ]
    made = any("white-box" in tag for attack in told.attacks for tag in attack.tags)
    asks = "All but the white-box ones only ask" if made else "All of them only ask"
    return Table(
        rows,
        "What the attacks are",
        f"{asks} the served model (ATLAS AML.T0040, AI model inference API access) so as to evade it "
        "(AML.T0015).",
    )


def class_tables(told: Audited, standing: Standing) -> list[Table]:
    """By true class, and what was answered instead; of classifiers only."""
    if told.task != "classification":
        return []
    truth, letters = told.results[0].labels, standing.letters()
    pairs: Counter[tuple[int, int]] = Counter()
    for result in told.results:
        pairs.update(
            zip(result.labels[result.fooled].tolist(), result.predicted[result.fooled].tolist(), strict=True)
        )
    rows: list[Row] = []
    for label in np.unique(truth).tolist():
        own = {became: n for (was, became), n in pairs.items() if was == label}
        most = min(own, key=lambda became: (-own[became], became), default=None)
        answered = None if most is None else told.labels[most]
        share = None if most is None else own[most] / sum(own.values())
        counts = counted(letters[truth == label])
        rows.append(
            {
                **_part("class", told.labels[label], counts),
                "answered most": answered,
                "share of its successes": share,
            }
        )
    note = "Fewest standing first. Answered most: among all successes on it, several of one sample too."
    confused: list[Row] = [
        {"true": told.labels[w], "answered": told.labels[b], "successes": n, "share": n / pairs.total()}
        for (w, b), n in sorted(pairs.items(), key=lambda item: (-item[1], item[0]))[:PAIRS]
    ]
    tables = [Table(sorted(rows, key=_worst), "Classes under attack", note)]
    if confused:
        why = "Successes of all attacks together, so one sample may count several times; share of all."
        tables.append(Table(confused, "What was answered instead", why))
    return tables


def slice_tables(told: Audited, standing: Standing) -> list[Table]:
    """One table a column of tags, one row a value, the fewest standing first."""
    if not told.tags:
        return []
    letters, tables = standing.letters(), []
    whole = counted(letters)
    for column in dict.fromkeys(name for tags in told.tags for name in tags):
        values = np.array([tags.get(column, "none") for tags in told.tags])
        parts = {value: counted(letters[values == value]) for value in np.unique(values).tolist()}
        rows = [
            {**_part(column, value, counts), "against all": _against(counts, whole)}
            for value, counts in parts.items()
        ]
        note = f"Worst case of all attacks; {_shown(_ratio(whole.stood, whole.answered))} over all."
        if len(parts) > 1:
            note += " ▼ and ▲ mark parts whose interval excludes that; by chance, "
            note += f"{max(1, round(len(parts) / 20))} of {len(parts)} may."
        tables.append(Table(sorted(rows, key=_worst), f"Under attack by {column}", note))
    return tables


def _part(column: str, value: str, counts: Counts) -> dict[str, Cell]:
    return {
        column: value,
        "n": counts.answered,
        "clean": _ratio(counts.right, counts.answered),
        "stood": _ratio(counts.stood, counts.answered),
        "95 % interval": _between(counts.stood, counts.answered),
        "success rate": _ratio(counts.fell, counts.right),
    }


def _against(counts: Counts, whole: Counts) -> str:
    low, high = wilson(counts.stood, counts.answered)
    overall = _ratio(whole.stood, whole.answered)
    if low is None or high is None or overall is None:
        return ""
    return "▼ worse" if high < overall else "▲ better" if low > overall else ""


def _worst(row: Row) -> tuple[bool, float]:
    value = row["stood"]
    return value is None, float(value or 0.0)


def curve_table(points: Iterator[tuple[str, float, Counts]]) -> Table:
    """Robust accuracy by epsilon, as (what found it, epsilon in levels, counts)."""
    rows: list[Row] = [
        {
            "found by": name,
            "epsilon": epsilon,
            "stood": _ratio(counts.stood, counts.answered),
            "95 % interval": _between(counts.stood, counts.answered),
            "n": counts.answered,
            "no answer": counts.silent,
        }
        for name, epsilon, counts in points
    ]
    note = (
        "Epsilon in levels. Smallest found: from the smallest change that any attack came to. By epsilon: "
        "attacked anew within each, on the first samples, with a budget of its own, and not between them. "
        "All are upper bounds, and hold up to the next."
    )
    return Table(rows, BY_EPSILON, note)


def spent_table(parts: Sequence[Spent]) -> Table:
    """Queries by part, and their sum."""
    most = [part.most for part in parts]
    allowed = None if None in most else sum(m for m in most if m is not None)
    rows: list[Row] = [
        {"part": part.part, "queries": part.queries, "at most": part.most}
        for part in [*parts, Spent("all", sum(part.queries for part in parts), allowed)]
    ]
    return Table(rows, "Queries", "Images asked about; at most: what the plan allowed.")


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def _between(part: int, whole: int) -> str | None:
    low, high = wilson(part, whole)
    return None if low is None else f"{_shown(low)} to {_shown(high)}"


def _shown(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.4f}"

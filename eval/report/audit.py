"""What an audit shows: whether to believe it, how much stood, what made it fall, and what it cost."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from eval.attacks.results import MOST_ERRORS
from eval.checks.flag import Flag
from eval.metrics.intervals import wilson
from eval.metrics.sample_size import width_advice
from eval.report.audit_curves import curve_points, query_curve, security_curve
from eval.report.audit_examples import galleries
from eval.report.audit_tables import (
    attack_tables,
    class_tables,
    curve_table,
    slice_tables,
    spent_table,
)
from eval.report.audited import Audited, Spent
from eval.report.document import Headline, Section, Table
from eval.report.goal import in_words, stands
from eval.report.standing import Standing, standing_of

__all__ = ["audit_figures", "audit_section", "cost_section", "trust_section"]

NARROW = 0.05  # half an interval that needs no advice
SORTED = 0.5  # of the classes that so many samples are expected to have


def trust_section(flags: Sequence[Flag], results: Sequence[Audited], tables: Sequence[Table] = ()) -> Section:
    """Whether to believe the rest; the first section of an audit.

    Args:
        results: all of the audit; each attack must have got answers for the numbers to mean anything.
        tables: evidence, such as the agreement of a twin.
    """
    raised = sum(flag.raised is True for flag in flags)
    unknown = sum(flag.raised is None for flag in flags)
    text = f"{raised} of {len(flags)} reasons for doubt {'was' if raised == 1 else 'were'} found"
    text += f", {unknown} could not be measured. " if unknown else ". "
    text += "A raised flag says in which way the numbers below may be wrong, mostly too high."
    lost = [
        f"NOT VALID: {r.attack} ({r.goal}) got no answer for {int(r.errors.sum())} of {len(r)} samples, "
        f"more than {MOST_ERRORS:g} of them; what failed neither stood nor fell."
        for told in results
        for r in told.results
        if not r.valid
    ]
    return Section("Can this be believed?", text, flags=flags, tables=tables, advice=lost)


def audit_section(
    told: Audited,
    extra: Sequence[Headline] = (),
    tables: Sequence[Table] = (),
    advice: Sequence[str] = (),
) -> Section:
    """All attacks of one goal: robust beside clean, by attack, epsilon, class and slice, with examples.

    Args:
        extra: headlines that say more of the task, clean and under attack: mAP, mIoU.
        tables: shown after those of the attacks.
        advice: what else is to be known of the numbers.
    """
    standing = standing_of(told.results, told.samples, told.budget, told.goal)
    curves = [security_curve(told, standing), query_curve(told, standing)]
    points = curve_table(curve_points(told, standing))
    return Section(
        told.title,
        _text(told, standing),
        headlines=[*extra, *_headlines(told, standing)],
        advice=[*advice, *_advice(told, standing)],
        plots=[curve for curve in curves if curve is not None],
        galleries=galleries(told),
        tables=[
            *attack_tables(told, standing),
            *tables,
            *([points] if points.rows else []),
            *class_tables(told, standing),
            *slice_tables(told, standing),
        ],
        standing=standing,
    )


def cost_section(
    title: str, parts: Sequence[Spent], facts: Mapping[str, str | int | float | None]
) -> Section:
    """Queries by part, and the limits they kept to.

    Args:
        facts: suite, seed, budget, pace ...
    """
    rows = [{"limit": name, "value": value} for name, value in facts.items()]
    return Section(title, tables=[spent_table(parts), Table(rows, "Plan")])


def audit_figures(prefix: str, told: Audited) -> dict[str, float | None]:
    """Flat numbers for machines; the same as in the section."""
    standing = standing_of(told.results, told.samples, told.budget, told.goal)
    counts, (claimed, fooled) = standing.counts(), _claims(told)
    figures: dict[str, float | None] = {
        f"{prefix}.clean_accuracy": _ratio(counts.right, counts.answered),
        f"{prefix}.robust_accuracy": _ratio(counts.stood, counts.answered),
        f"{prefix}.attack_success_rate": _ratio(counts.fell, counts.right),
        f"{prefix}.without_answer": counts.silent,
        f"{prefix}.queries": sum(int(result.queries.sum()) for result in told.results),
        f"{prefix}.claimed": claimed,
        f"{prefix}.fooled": fooled,
        f"{prefix}.reverify_rate": _ratio(fooled, claimed),
    }
    for result in told.results:
        own = standing.counts(result.attack)
        figures[f"{prefix}.{result.attack}.robust_accuracy"] = _ratio(own.stood, own.answered)
        figures[f"{prefix}.{result.attack}.median_perturbation"] = result.median_perturbation
    return figures


def _headlines(told: Audited, standing: Standing) -> list[Headline]:
    counts, (claimed, fooled) = standing.counts(), _claims(told)
    n, worst = counts.answered, f"worst case of {_attacks(told)}"
    again = _share("successes asked again", fooled, claimed, "reached again on the same bytes")
    if told.task == "classification":
        made = [
            _share(stands(told.task, standing.goal), counts.stood, n, worst),
            _share("clean accuracy", counts.right, n, "as sent, unchanged"),
            _share("lost under attack", counts.fell, n, "clean minus robust, paired"),
            _share("attack success rate", counts.fell, counts.right, "of those right when clean"),
            again,
        ]
    else:
        made = [
            _share(stands(told.task, standing.goal), counts.stood, n, f"of all pictures; {worst}"),
            _share("worth attacking", counts.right, n, "the goal is not reached when clean"),
            _share("attack success rate", counts.fell, counts.right, "of those worth attacking"),
            again,
        ]
    if counts.silent:
        every = len(standing.samples)
        made.append(_share("without answer", counts.silent, every, "in none of the other shares"))
    return made


def _share(title: str, part: int, whole: int, note: str = "") -> Headline:
    low, high = wilson(part, whole)
    return Headline(title, _ratio(part, whole), whole, low, high, note)


def _text(told: Audited, standing: Standing) -> str:
    text = (
        f"Goal: {in_words(standing.goal)}. Threat: {told.threat}, on whole 8-bit levels of the picture that "
        f"is sent, at its own size; at most {told.budget:,} queries for each picture and attack. "
    )
    if told.task == "classification":
        text += "A picture stands if it is right when clean and no attack reached the goal. "
    else:
        text += (
            "A picture stands if the goal is reached neither when clean nor by any attack; its answer may "
            "be worse all the same, and the score under attack says by how much. "
        )
    text += "What stands is an upper bound: a stronger attack can only lower it."
    if not all(result.valid for result in told.results):
        text += " NOT VALID: too many samples got no answer."
    return text


def _advice(told: Audited, standing: Standing) -> list[str]:
    counts = standing.counts()
    low, high = wilson(counts.stood, counts.answered)
    lines = []
    if low is None or high is None or (high - low) / 2 > NARROW:
        name = stands(told.task, standing.goal)
        lines.append(f"{name}: {width_advice(low, high, counts.answered, NARROW)}")
    if told.task == "classification":
        lines += _classes(told)
    ended = {r.attack: int((r.exhausted & r.standing).sum()) for r in told.results}
    stopped = [name for name, count in ended.items() if count]
    if counts.stood and stopped:
        strongest = min(stopped, key=lambda name: standing.counts(name).stood)
        lines.append(
            f"{strongest} had more to try on {ended[strongest]} pictures when their budget of "
            f"{told.budget:,} queries was spent: more queries can only lower what stands"
        )
    return lines


def _classes(told: Audited) -> list[str]:
    """Said where the samples are of far fewer classes than as many drawn at random would be: data that is
    sorted by class begins with one."""
    found, every = np.unique(told.results[0].labels).tolist(), len(told.labels)
    if len(found) > SORTED * every * (1 - (1 - 1 / every) ** len(told.samples)):
        return []
    names = ", ".join(told.labels[label] for label in found[:3]) + (" ..." if len(found) > 3 else "")
    return [
        f"the {len(told.samples)} pictures are of {len(found)} of the {every} classes ({names}), as the "
        "first of data that is sorted by class are: no number here is of the others; give the data mixed, "
        "such as by csv:FILE, or all of it"
    ]


def _claims(told: Audited) -> tuple[int, int]:
    claimed = sum(int(result.claimed.sum()) for result in told.results)
    return claimed, sum(int(result.fooled.sum()) for result in told.results)


def _attacks(told: Audited) -> str:
    return f"{len(told.results)} attack{'' if len(told.results) == 1 else 's'}"


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None

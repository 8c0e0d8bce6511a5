"""What an audit found, as a report: equal bytes for equal answers, but for the clock."""

from __future__ import annotations

import platform
from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from eval.attacks.base import Attack
from eval.attacks.tables import ATTACKS
from eval.auditing.measure import FLAG_IMAGES, Found, Measuring
from eval.auditing.plan import Plan
from eval.checks.attacks import attack_flags, decisions_of
from eval.checks.endpoint import endpoint_queries
from eval.checks.flag import Flag
from eval.checks.scores import decision_only
from eval.report.audit import audit_figures, audit_section, cost_section, trust_section
from eval.report.audited import Audited, Spent
from eval.report.corruption import corruption_figures, corruption_section, examples_of
from eval.report.document import Cell, Report, Table
from eval.report.graded import graded_figures, graded_headlines, graded_tables
from eval.report.stability import stability_figures, stability_section
from eval.runs import clock, command_of, manifest
from eval.target import name_of

__all__ = ["report_of"]


def report_of(run: Measuring, found: Found) -> Report:
    """The report of a whole audit, to believe or not first."""
    target, plan = run.request.target, run.plan
    named = name_of(target)
    prefix = f"audit.{named.replace('/', '.')}"
    parts = {goal: _audited(run, found, goal) for goal in plan.suite.goals}
    flags = _flags(found)
    sections = [trust_section(flags, list(parts.values()), _proof(found))]
    figures: dict[str, float | None] = {f"{prefix}.flags_raised": sum(flag.raised is True for flag in flags)}
    for goal, told in parts.items():
        of = prefix if len(parts) == 1 else f"{prefix}.{goal.replace(':', '_')}"
        graded = found.graded.get(goal)
        sections.append(
            audit_section(told, graded_headlines(graded), graded_tables(graded), _advice(found, goal, flags))
        )
        figures |= {**audit_figures(of, told), **graded_figures(of, graded)}
    if found.worn is not None:
        title, examples = f"Corruptions of {named}", examples_of(run.data, found.worn)
        sections.append(corruption_section(title, found.worn, found.reference, examples))
        more = corruption_figures(found.worn, found.reference)
        figures |= {f"{prefix}.{name}": value for name, value in more.items()}
    if found.stable is not None:
        sections.append(stability_section(named, [found.stable]))
        figures |= stability_figures(prefix, [found.stable])
    spent = list(_spent(run, found))
    figures[f"{prefix}.queries"] = sum(part.queries for part in spent)
    sections.append(cost_section("What it cost", spent, _facts(plan)))
    started, finished = run.record.marked("started"), run.record.marked("finished")
    results = [result for told in parts.values() for result in told.results]
    valid = all(result.valid for result in [*results, *found.curve])
    valid = (
        valid and (found.worn is None or found.worn.valid) and (found.stable is None or found.stable.valid)
    )
    return Report(
        f"Audit of {named} at {_limit(plan)}",
        manifest(
            target, run.data, data_digest=run.record.told["data_digest"], norm=plan.asked.norm,
            epsilon_levels=plan.levels, suite=plan.suite.name,
            goals=", ".join(plan.suite.goals), attacks=", ".join(plan.suite.attacks),
            budget=plan.suite.budget, seed=plan.asked.seed, run=run.run,
            python=platform.python_version(), numpy=np.__version__, command=_command(run),
        ),
        sections, figures, valid, clock(started or 0.0, finished),
    )  # fmt: skip


def _audited(run: Measuring, found: Found, goal: str) -> Audited:
    subject, plan = found.subjects[goal], run.plan
    named = name_of(run.request.target)
    first = goal == plan.suite.goals[0]
    return Audited(
        f"{named} under attack at {_limit(plan)}" + ("" if len(plan.suite.goals) == 1 else f": {goal}"),
        run.data.task,
        found.results[goal],
        [_attack(found, goal, result.attack) for result in found.results[goal]],
        subject.ids,
        plan.suite.budget,
        subject.images,
        run.data.labels,
        subject.truths,
        tags=[run.data[place].tags for place in subject.places],
        clean=found.clean.get(goal, ()),
        goal=goal,
        curve=found.curve if first else (),
    )


def _limit(plan: Plan) -> str:
    if plan.levels is None:
        return f"{plan.asked.degrees:g} degrees and {plan.asked.pixels:g} pixels"
    return f"epsilon {plan.levels:g}" + (" (L2)" if plan.asked.norm == "l2" else "")


def _advice(found: Found, goal: str, flags: Sequence[Flag]) -> list[str]:
    lines = [decision_only(flags, decisions_of(found.results[goal]))]
    if left := found.subjects[goal].left_out:
        every = left + len(found.subjects[goal])
        lines.append(f"{left} of {every} pictures can never come to this goal and are left out")
    return [line for line in lines if line]


def _attack(found: Found, goal: str, name: str) -> Attack:
    return ATTACKS[name] if name in ATTACKS else found.made[goal, name].attack


def _flags(found: Found) -> list[Flag]:
    results = [result for of_goal in found.results.values() for result in of_goal]
    proof = None if found.twin is None else found.twin.proof
    return [*found.flags, *attack_flags(results, curve=found.curve, proof=proof)]


def _proof(found: Found) -> list[Table]:
    if found.twin is None:
        return []
    told = str(found.twin.proof)
    rows: list[Mapping[str, Cell]] = []
    for goal, results in found.results.items():
        for result in results:
            if (made := found.made.get((goal, result.attack))) is not None:
                same, asked = made.borne_out(result)
                rows.append({"attack": result.attack, "goal": goal, "as the twin said": same, "of": asked})
    return [Table(rows, "The twin", f"{told[0].upper()}{told[1:]}.")]


def _spent(run: Measuring, found: Found) -> Iterator[Spent]:
    """Queries by part; of flags what the record says."""
    plan, suite = run.plan, run.plan.suite
    flags = endpoint_queries(min(len(found.subjects[suite.goals[0]]), FLAG_IMAGES))
    yield Spent("flags", flags, flags)
    for goal, results in found.results.items():
        for result in results:
            attack, count = _attack(found, goal, result.attack), len(result)
            part = result.attack if len(suite.goals) == 1 else f"{result.attack}, {goal}"
            yield Spent(part, int(result.queries.sum()), count * attack.most(suite.budget))
        if found.clean.get(goal):
            yield Spent(
                "clean answers" if len(suite.goals) == 1 else f"clean answers, {goal}", len(results[0])
            )
    if found.curve and suite.curve is not None:
        most = sum(len(r) * ATTACKS[r.attack].most(suite.curve.budget) for r in found.curve)
        yield Spent("security curve", sum(int(r.queries.sum()) for r in found.curve), most)
    if found.worn is not None:
        cells = len(found.worn.standings) * (1 if plan.version is None else 2)
        yield Spent("corruptions", cells * found.worn.images, cells * found.worn.images)
    if found.stable is not None:
        yield Spent("stability under noise", found.stable.queries, found.stable.queries)


def _facts(plan: Plan) -> dict[str, str | int | float | None]:
    suite, asked = plan.suite, plan.asked
    return {
        "suite": suite.name,
        "images": suite.samples,
        "queries of each image and attack": suite.budget,
        "queries in all, at most": asked.max_queries,
        "seed": asked.seed,
    }


def _command(run: Measuring) -> str:
    """The line that gives the same numbers."""
    asked = run.plan.asked
    flags: Mapping[str, bool | None] = {"curve": asked.curve, "stability": asked.stability}
    options: dict[str, Cell | Sequence[str]] = {
        "suite": asked.suite,
        "epsilon": None if asked.norm == "spatial" else f"{asked.epsilon:g}",
        "norm": None if asked.norm == "linf" else asked.norm,
        "attacks": asked.attacks,
        "goal": asked.goals,
        "corruptions": asked.corruptions,
        "severities": asked.severities,
        "samples": asked.samples,
        "budget": run.plan.suite.budget if asked.max_queries is not None else asked.budget,
        **{("" if on else "no-") + name: True for name, on in flags.items() if on is not None},
        "twin": None if asked.twin is None else str(asked.twin),
        "surrogate": asked.surrogate or None,
        "mce": asked.mce,
        "seed": asked.seed or None,
    }
    if asked.norm == "spatial":
        options |= {"degrees": f"{asked.degrees:g}", "pixels": f"{asked.pixels:g}"}
    return command_of("audit", run.request.target, run.request.data, **options)

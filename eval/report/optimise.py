"""What an optimisation shows: the choice, speed against score, every candidate with its verdict."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence

from eval.metrics.paired import SCORES
from eval.optimise.evidence import ATTACKED_WITH, Evidence
from eval.optimise.gate import Verdict
from eval.optimise.plan import Plan
from eval.optimise.run import Optimised
from eval.report.document import Cell, Headline, Plot, Report, Section, Table
from models.card import ModelCard

__all__ = ["optimise_report"]


def optimise_report(card: ModelCard, plan: Plan, done: Optimised) -> Report:
    """The whole page of one version's candidates."""
    where, base = f"{card.name}/{card.version}", done.evidence[0]
    score = SCORES[card.task]
    chosen = done.kept.name if done.kept else "nothing: no candidate passed"
    section = Section(
        f"Optimising {where}",
        f"Chosen: {chosen}. Every candidate was served beside fp32 and asked over HTTP about the same "
        f"pictures. It may be kept if the lower bound of the paired 95 % interval of its {score} minus "
        f"fp32's is above {-plan.margin:g}, its throughput is at least {plan.faster:g} x, and it is not "
        "shown to be less robust.",
        headlines=_headlines(score, done.kept, base),
        plots=[_pareto(score, done.evidence)],
        tables=[_candidates(score, plan, done), _reasons(done), *_made(done.evidence), *_threads(done)],
    )
    calibration = next((e.facts for e in done.evidence if "calibration_sha256" in e.facts), {})
    manifest: dict[str, Cell] = {
        "model": where,
        "sha256": card.sha256,
        "data": plan.data,
        "images": base.score.support if card.task == "classification" else _images(done.evidence),
        "calibration": plan.calibration,
        "calibration_images": plan.calibration_images,
        "calibration_sha256": calibration.get("calibration_sha256"),
        "margin": plan.margin,
        "rounds": plan.rounds,
        "round_seconds": plan.seconds,
        "batch": plan.batch,
        "connections": plan.connections,
        "sent": done.sent,
        "epsilon_levels": plan.epsilon,
        "attacks": ", ".join(ATTACKED_WITH),
        "budget": plan.budget,
        "audited_images": plan.samples,
        "seed": plan.seed,
        "started": time.strftime("%Y-%m-%dT%H:%M:%S+00:00", time.gmtime(done.started)),
        "seconds": round(time.time() - done.started, 1),
    }
    return Report(section.title, manifest, [section], _figures(card, done))


def _images(evidence: Sequence[Evidence]) -> int | None:
    return next((e.difference.support for e in evidence if e.difference), None)


def _headlines(score: str, kept: Evidence | None, base: Evidence) -> list[Headline]:
    if kept is None or kept.difference is None:
        return [
            Headline(f"fp32 {score}", base.score.value, base.score.support, base.score.low, base.score.high)
        ]
    times, gap = kept.speed.times(base.speed), kept.difference
    told = [
        Headline(
            "speed over fp32", statistics.median(times), len(times), min(times), max(times), "rounds, range"
        ),
        Headline(f"{score} minus fp32's", gap.value, gap.support, gap.low, gap.high),
        Headline(
            "size of fp32's", kept.size_bytes / base.size_bytes, 1, note=f"{kept.size_bytes / 1e6:.2f} MB"
        ),
    ]
    if kept.robust is not None and base.robust is not None:
        apart = kept.robust.against(base.robust)
        told.append(
            Headline("robust accuracy minus fp32's", apart.value, apart.support, apart.low, apart.high)
        )
    return told


def _pareto(score: str, evidence: Sequence[Evidence]) -> Plot:
    base = evidence[0]
    series = {e.name: [(e.speed.ratio(base.speed), e.score.value)] for e in evidence}
    return Plot("pareto", f"Speed against {score}", series, "throughput, fp32 = 1", score)


def _candidates(score: str, plan: Plan, done: Optimised) -> Table:
    base = done.evidence[0]
    rows = [_row(score, e, v, base, done.kept) for e, v in zip(done.evidence, done.verdicts, strict=True)]
    attacked = f"{', '.join(ATTACKED_WITH)} at {plan.epsilon:g} levels, {plan.budget} queries a picture"
    return Table(
        rows,
        "Candidates",
        f"Speed is the median over {plan.rounds} rounds in turn of throughput over fp32's of the same round "
        f"({plan.batch} pictures a request, {plan.connections} requests at once, sent as {done.sent}); "
        f"latency the median of single pictures. Robust accuracy: {attacked}; corrupted: mean over "
        f"corruptions and severities; both on {plan.samples} pictures, for candidates that were not refused "
        "before. It may rise with coarser numbers only because the search sees less of its way. Load is the "
        "time to make a session.",
    )


def _row(
    score: str, one: Evidence, verdict: Verdict, base: Evidence, kept: Evidence | None
) -> Mapping[str, Cell]:
    gap, times = one.difference, one.speed.times(base.speed)
    state = "kept" if one is kept else "passed" if verdict.passed else "base" if one is base else "refused"
    return {
        "candidate": one.name,
        "speed": statistics.median(times),
        "slowest to fastest round": f"{min(times):.2f} to {max(times):.2f}",
        "images/s": round(statistics.median(one.speed.images_per_s)),
        "latency ms": one.speed.latency_ms,
        score: one.score.value,
        f"{score} interval": None
        if one.score.low is None
        else f"{one.score.low:.4f} to {one.score.high:.4f}",
        "minus fp32": gap.value if gap else None,
        "95 % interval": None if gap is None or gap.low is None else f"{gap.low:+.4f} to {gap.high:+.4f}",
        "ECE": one.ece,
        "robust accuracy": one.robust.accuracy if one.robust else None,
        "corrupted accuracy": one.robust.corrupted if one.robust else None,
        "load ms": one.load_ms,
        "MB": one.size_bytes / 1e6,
        "verdict": state,
    }


def _reasons(done: Optimised) -> Table:
    """Why each is kept or not, those that were never served among them."""
    rows: list[Mapping[str, Cell]] = [
        {"candidate": e.name, "passed": "yes" if v.passed else "no", "reason": v.reason}
        for e, v in zip(done.evidence, done.verdicts, strict=True)
    ]
    rows += [{"candidate": name, "passed": "no", "reason": reason} for name, reason in done.refused.items()]
    return Table(rows, "Verdicts")


def _made(evidence: Sequence[Evidence]) -> list[Table]:
    """How each was made."""
    columns = ("method", "types", "ranges")
    rows: list[Mapping[str, Cell]] = [
        {"candidate": e.name, **{c: e.facts.get(c, "") for c in columns}} for e in evidence
    ]
    return [Table(rows, "How they were made")]


def _threads(done: Optimised) -> list[Table]:
    if not done.threads:
        return []
    first = next(iter(done.threads.values()))
    rows: list[Mapping[str, Cell]] = [
        {
            "version and setting": name,
            "speed": speed.ratio(first),
            "images/s": round(statistics.median(speed.images_per_s)),
            "latency ms": speed.latency_ms,
        }
        for name, speed in done.threads.items()
    ]
    note = "ASSAY_RUNS and ASSAY_THREADS: many runs for throughput, many threads for a lone picture."
    return [Table(rows, "Thread settings of the service", note)]


def _figures(card: ModelCard, done: Optimised) -> dict[str, float | None]:
    base = done.evidence[0]
    told: dict[str, float | None] = {}
    for one, verdict in zip(done.evidence, done.verdicts, strict=True):
        prefix = f"optimise.{card.name}.{card.version}.{one.name}"
        told[f"{prefix}.speedup"] = one.speed.ratio(base.speed)
        told[f"{prefix}.{one.score.name}"] = one.score.value
        told[f"{prefix}.difference"] = one.difference.value if one.difference else None
        told[f"{prefix}.difference_low"] = one.difference.low if one.difference else None
        told[f"{prefix}.ece_error"] = one.ece
        told[f"{prefix}.robust_accuracy"] = one.robust.accuracy if one.robust else None
        told[f"{prefix}.megabytes"] = one.size_bytes / 1e6
        told[f"{prefix}.passed"] = float(verdict.passed)
    return told

"""What a gate does to live models itself: it attacks both alike, and times them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.auditing.plan import Audit as Plan
from eval.auditing.run import audit
from eval.compare import Progress
from eval.console import save
from eval.errors import EvalError
from eval.gate.asks import Attacks, Timing
from eval.gate.audited import AUDIT, Audit
from eval.gate.measured import require_usable
from eval.gate.rules import Rules
from eval.gate.timing import Timed, timed, timing_check
from eval.pool import Pace
from eval.recorded import Request
from eval.remote.access import target_of
from eval.subject import Asking, Subject
from eval.target import authorise

__all__ = ["Live", "attacked", "audited_live", "require_live", "timed_live"]

BATCH = 64  # images in one request of an attack, as `assay audit` sends them


@dataclass(frozen=True, slots=True)
class Live:
    """How live sides are attacked.

    Attributes:
        out: folder below which audits are recorded; None to forget them.
        authorised: hosts beside this machine and this cluster whose owners agreed to be attacked.
    """

    asking: Asking
    out: Path | None = None
    authorised: Sequence[str] = ()
    tell: Progress | None = None


async def audited_live(attacks: Attacks, side: Subject, whose: str, live: Live) -> Audit:
    """The audit of a live side, recorded in `audit-WHOSE` below `out`.

    Raises:
        EvalError: as `audit`; it is not valid, or there is no data to ask about.
    """
    asking = live.asking
    if asking.data is None:
        raise EvalError(f"say with --data what {side.url} is to be attacked on")
    folder = None if live.out is None else live.out / f"audit-{whose}"
    report = await audit(
        asking.access(side.url), asking.data, _plan(attacks, live.authorised), model=side.model,
        number=side.number, pace=Pace(BATCH, asking.concurrency), out=folder, resume=asking.resume,
        **({} if live.tell is None else {"tell": live.tell}),
    )  # fmt: skip
    where = folder or Path(f"audit-{whose}")
    if folder is not None:
        save(report, folder)
    require_usable(report, where)
    return Audit(where, report)


def _plan(attacks: Attacks, authorised: Sequence[str]) -> Plan:
    told = attacks.model_dump(exclude={"goal", "attacks", "corruptions", "severities"})
    return Plan(
        **told,
        attacks=_words(attacks.attacks),
        goals=_words(attacks.goal),
        corruptions=_words(attacks.corruptions),
        severities=_words(attacks.severities),
        authorised=tuple(authorised),
    )


def _words(told: Sequence[object] | None) -> str | None:
    return None if told is None else ",".join(map(str, told))


async def timed_live(rules: Rules, subject: Subject, baseline: Subject, live: Live) -> Timed:
    """Both sides, timed side by side.

    Raises:
        EvalError: one of them is gone, or answers too little; there is no data to ask about.
    """
    asking, timing = live.asking, rules.latency or Timing()
    if asking.data is None:
        raise EvalError(f"say with --data what {subject.url} is to be timed on")
    one, other = [
        await target_of(asking.access(side.url), side.model, side.number) for side in (subject, baseline)
    ]
    data = Request(one, asking.data, asking.limit).dataset()

    def enough(found: Timed) -> bool:
        told = (timing_check(name, rules.against[name], found, rules.confidence) for name in rules.timed)
        return all(check.verdict != "inconclusive" for check in told)

    tell = None if live.tell is None else live.tell("time")
    return await timed(one, other, data, timing.pairs, enough, tell)


def attacked(side: Subject, reports: Sequence[Path]) -> bool:
    """Whether a side is attacked here: it is live, and no audits were named."""
    return side.live and not reports


def require_live(rules: Rules, subject: Subject, baseline: Subject | None, live: Live) -> None:
    """See, before anything is asked, that both sides can be measured as the rules say.

    Raises:
        EvalError: what can only be measured live is asked of the folder of a run.
        NotAuthorised: a host that is not ours to attack.
    """
    for side, names in ((subject, [*rules.require, *rules.against]), (baseline, list(rules.against))):
        if side is None:
            continue
        if rules.timed and not side.live:
            raise EvalError(
                f"against.{rules.timed[0]} with at_most_times is timed side by side: both sides must "
                f"be live, got {side.folder}; name it as URL#MODEL/VERSION"
            )
        if rules.audit is not None and side.live and any(name.startswith(AUDIT) for name in names):
            authorise(side.url, live.authorised)

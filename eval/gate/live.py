"""What a gate does to live models itself: it attacks both alike, and times them side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from eval.auditing.plan import Audit as Plan
from eval.auditing.run import audit
from eval.compare import Progress
from eval.console import save
from eval.errors import EndpointError, EvalError
from eval.gate.asks import Attacks, Timing
from eval.gate.audited import AUDIT, Audit
from eval.gate.measured import require_usable
from eval.gate.rules import Rules
from eval.gate.timing import Timed, timed, timing_check
from eval.pool import Pace
from eval.recorded import Request
from eval.remote.access import target_of
from eval.subject import Asking, Subject
from eval.target import Target, authorise, name_of

__all__ = ["Live", "attacked", "audited_live", "require_live", "timed_live"]

BATCH = 64  # images in one request of an attack, as `assay audit` sends them


@dataclass(frozen=True, slots=True)
class Live:
    """How live sides are attacked.

    Attributes:
        out: folder below which audits are recorded; None to forget them.
        authorised: hosts beside this machine and this cluster whose owners agreed to be attacked.
        known: live sides that were pinned, as their services described them then.
    """

    asking: Asking
    out: Path | None = None
    authorised: Sequence[str] = ()
    tell: Progress | None = None
    known: dict[Subject, Target] = field(default_factory=dict)

    @property
    def data(self) -> str:
        """What live sides are asked about. Raises EvalError: nothing is named."""
        if self.asking.data is None:
            raise EvalError("say with --data what live models are to be asked about")
        return self.asking.data

    async def pinned(self, side: Subject) -> Subject:
        """The side with the version it has now: one that comes later is not what this gate is about.

        Raises:
            EvalError: it is not there, is the very model that was pinned before, or there is no data to ask
                about.
        """
        if not side.live or not self.data:
            return side
        target = await self._told(side)
        found = replace(side, url=side.url.rstrip("/"), model=target.model, number=target.version)
        if found in self.known:
            raise EvalError(
                f"subject and baseline are both {name_of(target)} of {found.url}: a model is as good as "
                "itself; name two services, or two versions as URL#MODEL/VERSION"
            )
        self.known[found] = target
        return found

    async def target(self, side: Subject) -> Target:
        """What is asked of a side that was pinned. Raises EvalError: it is gone, or another model."""
        target = await self._told(side)
        self.same(side, target.sha256)
        return target

    def same(self, side: Subject, sha256: str) -> None:
        """See that what answered is what was pinned: one address may lead to several revisions.

        Raises:
            EndpointError: it is another model.
        """
        was = self.known[side]
        if was.sha256 and sha256 and sha256 != was.sha256:
            raise EndpointError(
                f"{name_of(was)} of {side.url} is now one model, now another: sha256 {was.sha256[:12]} when "
                f"the gate began, then {sha256[:12]}; see that the address leads to one revision"
            )

    async def _told(self, side: Subject) -> Target:
        return await target_of(self.asking.access(side.url), side.model, side.number)


async def audited_live(attacks: Attacks, side: Subject, whose: str, live: Live) -> Audit:
    """The audit of a live side, recorded in `audit-WHOSE` below `out`.

    Raises:
        EvalError: as `audit`; it is not valid.
    """
    asking = live.asking
    folder = None if live.out is None else live.out / f"audit-{whose}"
    report = await audit(
        asking.access(side.url), live.data, _plan(attacks, live.authorised), model=side.model,
        number=side.number, pace=Pace(BATCH, asking.concurrency), out=folder, resume=asking.resume,
        **({} if live.tell is None else {"tell": live.tell}),
    )  # fmt: skip
    where = folder or Path(f"audit-{whose}")
    if folder is not None:
        save(report, folder)
    live.same(side, str(report.manifest.get("sha256") or ""))
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
        EvalError: one of them is gone, became another, or answers too little.
    """
    asking, timing = live.asking, rules.latency or Timing()
    one, other = [await live.target(side) for side in (subject, baseline)]
    data = Request(one, live.data, asking.limit).dataset()

    def enough(found: Timed) -> bool:
        told = (timing_check(name, rules.against[name], found, rules.confidence) for name in rules.timed)
        return all(check.verdict != "inconclusive" for check in told)

    tell = None if live.tell is None else live.tell("time")
    found = await timed(one, other, data, timing.pairs, enough, tell)
    for side in (subject, baseline):
        await live.target(side)
    return found


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

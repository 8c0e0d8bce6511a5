"""The parts of an audit, one after the other; each goes on from the record where it stopped."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

from eval.attacks.base import Attack, Threat
from eval.attacks.results import AttackResult
from eval.attacks.tables import ATTACKS
from eval.auditing.beside import Beside, Tell
from eval.auditing.cells import Corrupted
from eval.auditing.graded import Graded, graded
from eval.auditing.on_twin import Made, OnTwin, proven_on
from eval.auditing.plan import Plan
from eval.auditing.record import AttackBook, AuditRecord
from eval.auditing.spread import Work, attacked
from eval.auditing.stability import Stability
from eval.auditing.subject import Subject, subject_of
from eval.checks.endpoint import endpoint_flags
from eval.checks.flag import Flag
from eval.data.dataset import Dataset
from eval.endpoint import Endpoint
from eval.errors import EvalError
from eval.metrics.corruption import Reference
from eval.pool import Askers, Pace
from eval.recorded import Request
from models.results import Result

__all__ = ["Found", "Measuring", "Tell"]

FLAG_IMAGES = 8  # asked several times each, before the attacks
TWIN = "twin"  # folder beside the record, of pictures that were made


@dataclass(slots=True, eq=False)
class Found:
    """All that was measured, before anything is said of it.

    Attributes:
        subjects, results: by goal; results of the same samples in the same order.
        curve: (attack and threat) of growing epsilon, with what came of the first goal's first samples.
        clean, graded: by goal, of detectors and segmenters.
    """

    subjects: dict[str, Subject] = field(default_factory=dict)
    results: dict[str, list[AttackResult]] = field(default_factory=dict)
    curve: list[AttackResult] = field(default_factory=list)
    clean: dict[str, Sequence[Result | None]] = field(default_factory=dict)
    graded: dict[str, Graded] = field(default_factory=dict)
    flags: list[Flag] = field(default_factory=list)
    worn: Corrupted | None = None
    reference: Reference | None = None
    stable: Stability | None = None
    twin: OnTwin | None = None
    made: dict[tuple[str, str], Made] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Measuring:
    """One audit under way.

    Attributes:
        request: the model and the data.
        folder: of the record.
        run: of the audit, that its owner can tell its requests.
        others: who attack in the place of this process.
    """

    plan: Plan
    request: Request
    data: Dataset
    endpoint: Endpoint[Any]
    record: AuditRecord
    folder: Path
    run: str
    pace: Pace
    tell: Tell
    others: Askers | None = None

    async def all(self) -> Found:
        """Everything that the plan says."""
        found, suite = Found(), self.plan.suite
        found.subjects = {goal: subject_of(self.data, goal, self.plan.asked.seed) for goal in suite.goals}
        for goal, subject in found.subjects.items():
            if not len(subject):
                raise EvalError(
                    f"no sample can come to the goal {goal}; take another --goal or more --samples"
                )
        first = found.subjects[suite.goals[0]]
        found.flags = await self._flags(first.first(FLAG_IMAGES))
        for goal, subject in found.subjects.items():
            found.results[goal] = [await self._attacked(name, goal, subject, found) for name in suite.attacks]
            if any(one.graded for one in subject.goals):
                clean = await self._beside.clean(goal, subject)
                found.clean[goal] = clean
                found.graded[goal] = graded(
                    self.data.task, self.data.labels, subject.truths, clean, found.results[goal]
                )
        await self._curve(first, found)
        found.worn, found.reference = await self._beside.worn()
        found.stable = await self._beside.stable(first)
        return found

    @property
    def _beside(self) -> Beside:
        return Beside(
            self.plan, self.request, self.data, self.endpoint, self.record, self.run, self.pace, self.tell
        )

    async def _flags(self, few: Subject) -> list[Flag]:
        kept = self.record.found("flags")
        if kept is None:
            flags = await endpoint_flags(
                self.endpoint, list(few.images), few.goals, self.plan.threat, self.plan.asked.seed
            )
            kept = [asdict(flag) for flag in flags]
            self.record.keep("flags", kept)
        return [Flag(**flag) for flag in kept]

    async def _attacked(self, name: str, goal: str, subject: Subject, found: Found) -> AttackResult:
        attack = ATTACKS[name] if name in ATTACKS else await self._made(name, goal, subject, found)
        return await self._asked(name, attack, goal, subject, self.plan.threat, self.plan.suite.budget)

    async def _asked(
        self,
        name: str,
        attack: Attack,
        goal: str,
        subject: Subject,
        threat: Threat,
        budget: int,
        of: str = "",
    ) -> AttackResult:
        book = AttackBook(self.record, f"{of}{goal}/{name}", subject.images)
        digest, seed = self.record.told["data_digest"], self.plan.asked.seed
        work = Work(self.request, digest, name, goal, threat, budget, seed, self.run)
        told = self.tell(f"{of}{name}" if len(self.plan.suite.goals) == 1 else f"{of}{name}, {goal}")
        return await attacked(work, attack, subject, self.endpoint, book, self.pace, self.others, told)

    async def _made(self, name: str, goal: str, subject: Subject, found: Found) -> Attack:
        """The attack whose pictures a twin makes now, in a thread."""
        if found.twin is None:
            found.twin = await self._proven(subject, found)
        told = self.tell(f"{name}, on the twin")
        stop = Event()
        make = partial(
            found.twin.make, name, subject.images, subject.goals, self.plan.threat, self.plan.asked.seed,
            subject.ids, kept=self.folder / TWIN, progress=lambda done: told(done, len(subject)), stop=stop,
        )  # fmt: skip
        try:
            made = await asyncio.to_thread(make)
        finally:
            stop.set()  # the thread outlives an interrupt, and the process the thread
        found.made[goal, made.attack.name] = made
        return made.attack

    async def _proven(self, subject: Subject, found: Found) -> OnTwin:
        asked = self.plan.asked
        if asked.twin is None:
            raise EvalError("attacks on a twin need --twin")
        prove = partial(proven_on, asked.twin, self.request.target, subject.images, surrogate=asked.surrogate)
        twin = await asyncio.to_thread(prove)
        if (before := self.record.found("twin")) not in (None, twin.proof.sha256):
            raise EvalError(f"{asked.twin} holds another graph than when the audit began, {before[:12]}")
        self.record.keep("twin", twin.proof.sha256)
        for other in found.subjects.values():
            twin.require(self.plan.on_a_twin, asked.norm, other.goals)
        return twin

    async def _curve(self, subject: Subject, found: Found) -> None:
        plan, curve = self.plan, self.plan.suite.curve
        if curve is None:
            return
        goal, few = plan.suite.goals[0], subject.first(curve.samples)
        for name, threat in curve.steps(plan.asked.norm, plan.asked.epsilon):
            of = f"curve, {threat.norm} {threat.epsilon:g}: "
            found.curve.append(await self._asked(name, ATTACKS[name], goal, few, threat, curve.budget, of))

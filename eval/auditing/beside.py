"""What an audit measures beside attacks: clean answers, corruption, stability under noise."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, TypeAlias

import numpy as np

from eval.attacks.goals.classification import Untargeted
from eval.auditing.cells import Corrupted
from eval.auditing.corrupted import corrupted
from eval.auditing.plan import Plan
from eval.auditing.record import AuditRecord, CellBook, undamaged
from eval.auditing.stability import Smoothing, Stability, join, stability
from eval.auditing.subject import Subject
from eval.collect import misfit
from eval.data.dataset import Dataset
from eval.endpoint import Endpoint
from eval.metrics.corruption import Reference
from eval.packed import pack, unpack
from eval.pool import Pace
from eval.recorded import Request
from eval.remote.access import endpoint_of, target_of
from eval.silence import Silence, answered
from eval.target import name_of
from models.results import Result

__all__ = ["Beside", "Tell"]

STABLE = 20  # images whose stability is recorded together
Tell: TypeAlias = Callable[[str], Callable[..., None]]


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """These parts of one audit; each goes on from the record where it stopped."""

    plan: Plan
    request: Request
    data: Dataset
    endpoint: Endpoint[Any]
    record: AuditRecord
    run: str
    pace: Pace
    tell: Tell

    async def clean(self, goal: str, subject: Subject) -> Sequence[Result | None]:
        """The answers to the pictures as they are; None where there was none."""
        cells, cell = CellBook(self.record), f"{goal}/clean"
        kept = dict(cells.kept(cell))
        missing = [place for place in range(len(subject)) if place not in kept]
        silence = Silence()
        for start in range(0, len(missing), self.pace.batch):
            places = missing[start : start + self.pace.batch]
            rows = [(place, pack(one)) for place, one in await self._each(subject, places, silence)]
            cells.keep(cell, rows)
            kept.update(rows)
            silence.end()
        with undamaged(self.record.path):
            return [unpack(kept[place]) if place in kept else None for place in range(len(subject))]

    async def _each(
        self, subject: Subject, places: Sequence[int], silence: Silence
    ) -> list[tuple[int, Result]]:
        """Those with an answer that can be scored."""
        answers = await answered(self.endpoint.predict, [subject.images[place] for place in places], silence)
        classes, rows = len(self.data.labels), zip(places, answers, strict=True)
        return [
            (place, one)
            for place, one in rows
            if one is not None and not misfit(one, subject.truths[place], classes)
        ]

    async def worn(self) -> tuple[Corrupted | None, Reference | None]:
        """The model under corruption, and by whose errors mCE divides."""
        suite, plan, target = self.plan.suite, self.plan, self.request.target
        if not suite.corruptions:
            return None, None
        told: Mapping[str, Any] = {
            "seed": plan.asked.seed, "batch": self.pace.batch, "in_flight": self.pace.concurrency,
        }  # fmt: skip

        def ask(endpoint: Endpoint[Any], **more: Any) -> Awaitable[Corrupted]:
            return corrupted(endpoint, self.data, suite.corruptions, suite.severities, **told, **more)

        progress = self.tell("corruptions")
        own = await ask(
            self.endpoint, model=name_of(target), calibrated=not target.partial,
            cells=CellBook(self.record), progress=progress,
        )  # fmt: skip
        if plan.asked.mce is None:
            return own, None
        other = None
        if plan.version is not None:
            beside = await target_of(target.access, target.model, plan.version)
            async with endpoint_of(beside, self.run) as endpoint:
                other = await ask(
                    endpoint, model=name_of(beside), calibrated=False,
                    cells=CellBook(self.record, f"{name_of(beside)} "), progress=progress,
                )  # fmt: skip
        return own, own.reference(plan.asked.mce, other)

    async def stable(self, subject: Subject) -> Stability | None:
        """The first samples of a subject under noise; None of goals that no noise has."""
        suite = self.plan.suite
        few = subject.first(suite.noise_samples)
        if suite.noise is None or not len(few) or not all(isinstance(goal, Untargeted) for goal in few.goals):
            return None
        starts = range(0, len(few), STABLE)
        return join([await self._part(few, suite.noise, start) for start in starts])

    async def _part(self, few: Subject, how: Smoothing, start: int) -> Stability:
        """Of some images, from the record where they are in it."""
        name, part = f"stability/{start}", slice(start, start + STABLE)
        kept = self.record.found(name)
        if kept is None:
            result = await stability(
                self.endpoint, few.images[part], [goal.truth for goal in few.goals[part]], few.ids[part],
                how=how, seed=self.plan.asked.seed, batch=self.pace.batch, in_flight=self.pace.concurrency,
                progress=self.tell("stability under noise"),
            )  # fmt: skip
            kept = {one.name: getattr(result, one.name).tolist() for one in fields(Stability)[1:]}
            self.record.keep(name, kept)
        return Stability(how, **{column: np.array(values) for column, values in kept.items()})

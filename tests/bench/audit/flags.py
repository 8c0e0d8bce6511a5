"""A live model behind masks that hide how weak it is: what is told, and whether its number is too high."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from eval.attacks.base import Threat
from eval.attacks.goals.classification import untargeted
from eval.attacks.results import worst_case
from eval.attacks.tables import ATTACKS
from eval.attacks.wave import Limits, attack_all
from eval.auditing.suites import suite_of
from eval.checks.attacks import attack_flags
from eval.checks.endpoint import endpoint_flags
from eval.metrics.intervals import wilson
from eval.remote.access import endpoint_of
from eval.served import served
from tests.bench.audit.material import Subject, subject_of
from tests.eval.checks.masked import CONTROLS

__all__ = ["measure"]

IMAGES, FLAG_IMAGES, BUDGET, THREAT = 60, 8, 300, Threat("linf", 48)


@dataclass(frozen=True, slots=True)
class Audited:
    """What an audit says."""

    raised: frozenset[str]
    standing: int


async def _audited(subject: Subject, name: str) -> Audited:
    """Through a mask; none for an empty name."""
    goals = untargeted(subject.labels)
    async with endpoint_of(subject.target) as live:
        endpoint: Any = CONTROLS[name][0](live) if name else live
        few = (list(subject.images[:FLAG_IMAGES]), goals[:FLAG_IMAGES])
        flags = await endpoint_flags(endpoint, *few, THREAT)
        results = [
            await attack_all(
                ATTACKS[attack], endpoint, subject.images, goals, threat=THREAT, limits=Limits(BUDGET), seed=0
            )
            for attack in suite_of("quick", "classification", "linf").attacks
        ]
    raised = frozenset(flag.name for flag in [*flags, *attack_flags(results)] if flag.raised)
    return Audited(raised, int(worst_case(results).sum()))


def measure() -> dict[str, float | int | None]:
    """`flags.expected`, `flags.raised`: of masks around digits/1, and how many of them its number survives.

    `flags.overstated` counts masks behind which surely more seem to stand than without one, by the upper end
    of the 95 % interval; `flags.false_alarms`, what is raised without a mask.
    """
    expected = raised = overstated = 0
    with served() as url:
        subject = subject_of(url, "digits", 1, "digits:test", IMAGES)
        plain = asyncio.run(_audited(subject, ""))
        _, most = wilson(plain.standing, IMAGES)
        print(
            f"without a mask {plain.standing} of {IMAGES} stand; raised: {', '.join(plain.raised) or 'none'}"
        )
        for name, (_, wanted) in CONTROLS.items():
            found = asyncio.run(_audited(subject, name))
            expected, raised = expected + len(wanted), raised + len(wanted & found.raised)
            overstated += most is not None and found.standing / IMAGES > most
            print(f"{name:16} {found.standing} stand; raised: {', '.join(sorted(found.raised)) or 'none'}")
    return {
        "flags.expected": expected,
        "flags.raised": raised,
        "flags.overstated": overstated,
        "flags.false_alarms": len(plain.raised),
    }

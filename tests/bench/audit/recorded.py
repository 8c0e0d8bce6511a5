"""What the server of an attacked model saw: nothing outside epsilon, and every success asked about twice."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

import numpy as np

from eval.attacks.base import Threat
from eval.attacks.goals.classification import untargeted
from eval.attacks.results import AttackResult
from eval.attacks.tables import ATTACKS
from eval.attacks.wave import Limits, attack_all
from eval.remote.access import endpoint_of, target_of
from eval.served import served
from models.results import Array
from tests.bench.audit.material import Subject, subject_of
from tests.bench.audit.recorder import Recorder, Sent, pictures_in

__all__ = ["measure"]

IMAGES, BUDGET = 60, 200
THREATS = (Threat("linf", 32), Threat("linf", 7.5), Threat("l2", 900))


def _outside(arrived: Sequence[Array], originals: Sequence[Array], threat: Threat) -> tuple[int, float]:
    """Pictures that lie within the threat of none of the originals, and the farthest of all, in epsilons.

    Digits lie further apart than any threat here, so the nearest is the one that was attacked.
    """
    outside, farthest = 0, 0.0
    base = np.stack(originals).astype(np.float64)
    for picture in arrived:
        change = base - picture.astype(np.float64)
        if threat.norm == "linf":
            least = float(np.abs(change).max(axis=(1, 2, 3)).min())
        else:
            least = float(np.sqrt((change**2).sum(axis=(1, 2, 3)).min()))
        outside += least > threat.epsilon
        farthest = max(farthest, least / threat.epsilon)
    return outside, farthest


def _twice(result: AttackResult, arrived: Sequence[Array]) -> int:
    """Successes whose very bytes the server was asked about at least twice."""
    seen = Counter(picture.tobytes() for picture in arrived)
    return sum(seen[result.images[i].tobytes()] >= 2 for i in np.flatnonzero(result.fooled).tolist())


async def _audited(subject: Subject, url: str, name: str, threat: Threat) -> tuple[AttackResult, list[Sent]]:
    recorder = Recorder(url)
    async with (
        recorder.listening() as through,
        endpoint_of(await target_of(through, "digits", 1)) as endpoint,
    ):
        result = await attack_all(
            ATTACKS[name],
            endpoint,
            subject.images,
            untargeted(subject.labels),
            threat=threat,
            limits=Limits(BUDGET),
            seed=0,
        )
    return result, recorder.sent


def measure() -> dict[str, float | int | None]:
    """`outside_epsilon`, `reverify_rate` and `asked_twice`, all counted from what a proxy saw arrive.

    Attacks that minimise are left out: they ask beyond epsilon on purpose, and count only what is inside.
    """
    pictures = claimed = fooled = outside = twice = 0
    with served() as url:
        subject = subject_of(url, "digits", 1, "digits:test", IMAGES)
        for threat in THREATS:
            for name, attack in ATTACKS.items():
                if attack.minimises or threat.norm not in attack.norms:
                    continue
                result, sent = asyncio.run(_audited(subject, url, name, threat))
                arrived = [picture for request in sent for picture in pictures_in(request)]
                beyond, farthest = _outside(arrived, subject.images, threat)
                if len(arrived) != int(result.queries.sum()):
                    raise RuntimeError(
                        f"{name} told of {result.queries.sum()} queries, {len(arrived)} arrived"
                    )
                pictures, outside = pictures + len(arrived), outside + beyond
                claimed, fooled = claimed + int(result.claimed.sum()), fooled + int(result.fooled.sum())
                twice += _twice(result, arrived)
                print(
                    f"{name:14} {threat.norm:5} {threat.epsilon:5g}: {len(arrived):6} arrived, {beyond} "
                    f"outside, farthest {farthest:.4f} epsilon; {int(result.fooled.sum())} fooled"
                )
    return {
        "outside_epsilon": outside,
        "pictures_checked": pictures,
        "reverify_rate": fooled / claimed if claimed else None,
        "asked_twice": twice / fooled if fooled else None,
    }

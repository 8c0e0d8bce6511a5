"""What is known of one version: its answers over HTTP, and the numbers read from them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from eval.attacks.base import Threat
from eval.attacks.goals.classification import untargeted
from eval.attacks.results import worst_case
from eval.attacks.tables import ATTACKS
from eval.attacks.wave import Limits, attack_all
from eval.auditing.corrupted import corrupted
from eval.collect import ask_all
from eval.corruptions.tables import QUICK
from eval.data.dataset import Dataset
from eval.errors import EndpointError
from eval.metrics.base import Score
from eval.metrics.paired import SCORES, Difference, tango
from eval.metrics.tables import metric_for
from eval.optimise.plan import Plan
from eval.optimise.speed import Speed
from eval.remote.access import endpoint_of
from eval.target import Target, authorise
from models.decoding import decode
from models.results import Array, Result

__all__ = ["ATTACKED_WITH", "Evidence", "Robust", "answers_of", "read_scores", "robustness"]

ATTACKED_WITH = ("uniform_noise", "square")


@dataclass(frozen=True, slots=True, eq=False)
class Robust:
    """One classifier under attack and corruption.

    Attributes:
        standing: bool `(N,)`: right when clean and after every attack.
        corrupted: share right over corruptions and severities (mPC).
    """

    standing: Array
    corrupted: float

    @property
    def accuracy(self) -> float:
        return float(self.standing.mean())

    def against(self, base: Robust) -> Difference:
        """Robust accuracy, this minus base, on the same samples."""
        gained, lost = (self.standing & ~base.standing).sum(), (base.standing & ~self.standing).sum()
        n = len(self.standing)
        return Difference(float(gained - lost) / n, *tango(int(gained), int(lost), n), n)


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """One candidate as it was served.

    Attributes:
        number: its version in the repository that was served.
        facts: how it was made.
        score: of the task (`eval.metrics.paired.SCORES`), with its own interval.
        ece: expected calibration error; None but for classifiers.
        difference: of the score, this minus fp32; None for fp32 itself.
        robust: None where it was not audited.
    """

    name: str
    number: int
    facts: Mapping[str, str | int | float]
    size_bytes: int
    load_ms: float
    score: Score
    ece: float | None
    speed: Speed
    difference: Difference | None = None
    robust: Robust | None = None


async def answers_of(target: Target, data: Dataset, *, batch: int = 16, concurrency: int = 4) -> list[Result]:
    """The answer to every sample, in order.

    Raises:
        EndpointError: one was not answered: versions are compared on the same pictures or not at all.
    """
    answers = []
    async with endpoint_of(target) as endpoint:
        async for asked in ask_all(endpoint, data, batch=batch, concurrency=concurrency):
            if asked.answer is None:
                raise EndpointError(f"{asked.sample.id} was not answered: {asked.error}")
            answers.append(asked.answer)
    return answers


def read_scores(
    target: Target, answers: Sequence[Result], expected: Sequence[Any]
) -> tuple[Score, float | None]:
    """The task's score, and the expected calibration error where there is one."""
    metrics = metric_for(target.task, target.labels)
    for metric in metrics:
        metric.update(answers, expected)
    scores = {score.name: score for metric in metrics for score in metric.compute()}
    ece = scores.get("ece_error")
    return scores[SCORES[target.task]], ece.value if ece else None


async def robustness(target: Target, data: Dataset, plan: Plan) -> Robust:
    """Noise and Square within `plan.epsilon`, and the quick corruptions at every severity, over HTTP.

    Raises:
        EndpointError: too little was answered to say anything.
    """
    authorise(target.url)
    samples = list(data)
    images, truth = [decode(sample.file) for sample in samples], [int(str(s.expected)) for s in samples]
    async with endpoint_of(target, f"optimise-{target.model}-{target.version}") as endpoint:
        limits = Limits(plan.budget)
        ask = partial(
            attack_all, endpoint=endpoint, images=images, goals=untargeted(truth), samples=data.ids,
            threat=Threat("linf", plan.epsilon), limits=limits, seed=plan.seed,
        )  # fmt: skip
        results = [await ask(ATTACKS[name]) for name in ATTACKED_WITH]
        if not all(result.valid for result in results):
            raise EndpointError("over 1 % of the attacked pictures got no answer")
        worn = await corrupted(
            endpoint, data, QUICK, seed=plan.seed, batch=plan.batch, in_flight=limits.in_flight
        )
    if not worn.valid:
        raise EndpointError("over 1 % of the corrupted pictures got no answer")
    shares = [one.score.value for row in worn.worn.values() for one in row if one.score.value is not None]
    return Robust(worst_case(results), float(np.mean(shares)))

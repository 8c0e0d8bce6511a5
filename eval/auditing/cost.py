"""What an audit will ask and how long that takes, before it starts: at most, exactly; usually, as a guess."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

import numpy as np

from eval.attacks.tables import ATTACKS
from eval.attacks.transfer import ON_A_TWIN, Transfer
from eval.auditing.suites import Curve, Norm, Suite
from eval.endpoint import Endpoint
from eval.errors import BudgetExceeded, EvalError
from eval.report.document import Cell, Table
from models.results import Array

__all__ = [
    "STANDING",
    "Cost",
    "Part",
    "Rate",
    "cost_of",
    "measured_rate",
    "most_of",
    "shared_budget",
    "survival",
]

LEAST = 3  # the clean picture, one try, its check

# Share of pictures still standing after so many queries of one image, the clean one included, by attack and
# norm: our own measurement of an undefended model, cifar10/1, on 51 pictures that it gets right, with a
# budget of 1,000; epsilon is 8 in L-infinity and 128 in L2. A slow test takes two of them again. Larger
# pictures and radii fall sooner: of Square's authors' three ImageNet models at 12.75 the slowest leaves 0.28
# after 100 queries (arXiv 1912.00049, recomputed from their arrays), where this one leaves 0.51. Robust
# models hardly fall at all.
STANDING: Mapping[tuple[str, Norm], Mapping[int, float]] = {
    ("uniform_noise", "linf"): {2: 1.0, 10: 0.90},
    ("simba", "linf"): {2: 1.0, 24: 0.98, 100: 0.94, 300: 0.82, 1000: 0.47},
    ("simba_dct", "linf"): {2: 1.0, 10: 0.94, 24: 0.82, 50: 0.76, 100: 0.71, 300: 0.59, 1000: 0.41},
    ("square", "linf"): {2: 1.0, 10: 0.75, 24: 0.73, 50: 0.67, 100: 0.51, 300: 0.25, 1000: 0.08},
    ("square_l2", "l2"): {2: 1.0, 24: 0.96, 50: 0.94, 100: 0.86, 300: 0.71, 1000: 0.57},
}
MEASURED_SAID = "guess: as undefended cifar10/1, epsilon 8 (L2: 128)"
ALL_SAID = "guess: nothing is fooled early"


@dataclass(frozen=True, slots=True)
class Part:
    """One part of an audit.

    Attributes:
        images: that it is about; 0 where the table is to say nothing.
        usual: queries, a guess.
        most: queries that its limits allow; no answer can make it more.
        basis: what the guess rests on.
    """

    name: str
    images: int
    usual: int
    most: int
    basis: str


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast an endpoint answered. `queries` were spent to find out."""

    per_second: float
    queries: int


@dataclass(frozen=True, slots=True)
class Cost:
    """All parts of an audit, in order.

    Attributes:
        rate: queries a second; None where it was not measured.
    """

    parts: Sequence[Part]
    rate: float | None = None

    @property
    def usual(self) -> int:
        """Queries in all, a guess."""
        return sum(part.usual for part in self.parts)

    @property
    def most(self) -> int:
        """Queries in all, at most."""
        return sum(part.most for part in self.parts)

    def table(self) -> Table:
        """One row a part, and their sum."""
        images = max((part.images for part in self.parts), default=0)
        at = f"at {self.rate:,.0f} queries a second" if self.rate else "unknown without a probe"
        return Table(
            [self._row(part) for part in (*self.parts, Part("in all", images, self.usual, self.most, ""))],
            "What this audit will ask",
            "The most is what the limits allow; only what is asked again after failed requests comes on top. "
            "The usual is a guess about a model without defence that is right about every picture; one that "
            "resists takes up to the most. Small pictures take less, as repeats are answered from memory. "
            f"Times are {at}; the last pictures of a search fill no request and go slower.",
        )

    def _row(self, part: Part) -> Mapping[str, Cell]:
        return {
            "part": part.name,
            "images": part.images or None,
            "usual queries": part.usual,
            "most queries": part.most,
            "usual time": self._time(part.usual),
            "most time": self._time(part.most),
            "the usual": part.basis,
        }

    def _time(self, queries: int) -> str | None:
        return _words(queries / self.rate) if self.rate else None


def cost_of(
    suite: Suite,
    *,
    epsilon: float,
    samples: int,
    flags: int,
    rate: float | None = None,
    versions: int = 1,
) -> Cost:
    """What a suite costs.

    Args:
        epsilon: levels; the points of the curve hang on it.
        samples: images there are; more than the suite's change nothing.
        flags: queries of the flags that are raised before the attacks.
        rate: queries a second, the lower of the endpoint's and what the audit is allowed.
        versions: whose corruptions are measured.

    Raises:
        EvalError: an attack has no known name.
    """
    count = min(samples, suite.samples)
    parts = [Part("flags", 0, flags, flags, "fixed"), *_attacks(suite, count)]
    if suite.task != "classification":  # whose goals are graded
        parts.append(_fixed("clean answers", count, len(suite.goals)))
    if worn := len(suite.corruptions) * len(suite.severities):
        parts.append(_fixed(f"corruptions, {worn} kinds and severities", count, (1 + worn) * versions))
    if suite.curve is not None:
        parts.append(_curve(suite, suite.curve, epsilon, count))
    if suite.noise is not None:
        parts.append(_fixed("stability under noise", min(count, suite.noise_samples), suite.noise.queries))
    return Cost([part for part in parts if part.most], rate)


def _fixed(name: str, images: int, each: int) -> Part:
    return Part(name, images, images * each, images * each, "fixed")


def _attacks(suite: Suite, images: int) -> Iterator[Part]:
    for goal in suite.goals:
        known = suite.task == "classification" and goal == "untargeted"
        for attack in suite.attacks:
            most = most_of(attack, suite.budget)
            usual, basis = _usual(attack, suite.norm, suite.budget) if known else (most, ALL_SAID)
            name = attack if len(suite.goals) == 1 else f"{attack}, {goal}"
            yield Part(name, images, math.ceil(images * usual), images * most, basis)


def _curve(suite: Suite, curve: Curve, epsilon: float, images: int) -> Part:
    count, steps = min(images, curve.samples), curve.steps(suite.norm, epsilon)
    usual = 0
    for attack, threat in steps:
        near = threat.norm == suite.norm and threat.epsilon < epsilon
        known = suite.task == "classification" and not near
        each = _usual(attack, threat.norm, curve.budget)[0] if known else most_of(attack, curve.budget)
        usual += math.ceil(count * each)
    most = count * sum(most_of(attack, curve.budget) for attack, _ in steps)
    return Part(
        f"security curve, {len(steps)} points",
        count,
        usual,
        most,
        "guess: as the attack, nothing below epsilon",
    )


def most_of(attack: str, budget: int) -> int:
    """Queries of one image, at most.

    Raises:
        EvalError: no attack of this name.
    """
    if attack in ON_A_TWIN:
        return Transfer(attack, {}).most(budget)
    if attack not in ATTACKS:
        raise EvalError(f"attack must be one of {', '.join((*ATTACKS, *ON_A_TWIN))}, got {attack!r}")
    return ATTACKS[attack].most(budget)


def _usual(attack: str, norm: Norm, budget: int) -> tuple[float, str]:
    """Queries of one image that is right when clean, on average, and what says so."""
    most = most_of(attack, budget)
    if (attack, norm) in STANDING:
        return float(survival(attack, norm, np.arange(most)).sum()), MEASURED_SAID
    goes_on = attack in ATTACKS and ATTACKS[attack].minimises
    return most, "goes on when it has fooled" if goes_on else ALL_SAID


def survival(attack: str, norm: Norm, queries: Array) -> Array:
    """Share of pictures that so many queries leave standing, by `STANDING`.

    Args:
        queries: int `(N,)`. Between the points the share falls as a power of the queries; beyond the last it
            stays.
    """
    points = STANDING[attack, norm]
    at, standing = (np.log(np.array(list(one), np.float64)) for one in (points.keys(), points.values()))
    shares: Array = np.exp(np.interp(np.log(np.maximum(queries, 1)), at, standing))
    return shares


def shared_budget(
    attacks: Sequence[str],
    samples: int,
    budget: int,
    max_queries: int | None,
    *,
    goals: int = 1,
    other: int = 0,
) -> int:
    """The largest budget of an image, up to `budget`, with which all attacks together keep to a limit.

    One number for all, so that neither order nor what is answered decides; attacks that need less
    (`Attack.most`) leave the rest to the others.

    Args:
        goals: each attack runs so many times.
        other: queries of everything else: flags, corruptions, curve, noise.

    Raises:
        BudgetExceeded: that leaves an attack under 3 queries an image.
        EvalError: an attack has no known name.
    """

    def spent(each: int) -> int:
        return other + samples * goals * sum(most_of(attack, each) for attack in attacks)

    if max_queries is None or spent(budget) <= max_queries:
        return budget
    if spent(LEAST) > max_queries:
        raise BudgetExceeded(
            f"queries must be at least {spent(LEAST)} for {len(attacks) * goals} attacks on {samples} images "
            f"and {other} beside them, got {max_queries}; allow more, or take fewer images or attacks"
        )
    low, high = LEAST, budget  # low fits, high does not
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if spent(middle) <= max_queries else (low, middle)
    return low


async def measured_rate(
    endpoint: Endpoint[Any],
    images: Sequence[Array],
    *,
    batch: int = 64,
    in_flight: int = 4,
    seconds: float = 2.0,
    clock: Callable[[], float] = time.perf_counter,
) -> Rate:
    """Queries a second with requests like the audit's, on clean pictures, over and over.

    A first request, not timed, opens the connection and wakes the model. An endpoint that remembers its
    answers looks faster than it is.

    Args:
        images: uint8 RGB `(H, W, 3)`, at least one.
        seconds: no request starts later.

    Raises:
        ValueError: there is no image.
        EndpointError: it does not answer.
    """
    if not len(images):
        raise ValueError("images must be at least one, got none")
    following = (images[place] for place in cycle(range(len(images))))
    await endpoint.predict(list(islice(following, batch)))
    began, answered = clock(), 0

    async def work() -> None:
        nonlocal answered
        while clock() - began < seconds:
            answers = await endpoint.predict(list(islice(following, batch)))
            answered += len(answers)  # not before: others add to it meanwhile

    workers = [asyncio.create_task(work()) for _ in range(in_flight)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
    passed = max(clock() - began, 1e-9)
    return Rate(answered / passed, batch + answered)


def _words(seconds: float) -> str:
    if seconds < 90:
        return f"{math.ceil(seconds)} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"

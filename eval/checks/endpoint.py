"""What an endpoint gives away before it is attacked: a few images, asked in many ways."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from eval.attacks.base import Goal, Threat, is_grey
from eval.attacks.lattice import inside_ball
from eval.checks.flag import FLAGS, Flag, flag
from eval.checks.scores import whole
from eval.checks.steady import cached, deterministic, stateful
from eval.endpoint import Endpoint
from eval.errors import EndpointError
from eval.under_load.caching import ROUNDS, Pair, fresh
from models.results import Array, Result

__all__ = ["endpoint_flags", "endpoint_queries"]

ALONE, COMPANY = 3, 2  # asks of each image: 5, as AutoAttack has them
DIRECTIONS = 12
RADIUS, FURTHER = 1, 8  # levels
ROUGH = 0.1  # relative change of the loss; Pintor et al. 2021
STEADY = 0.5  # of the change within 8 levels; a smooth loss changes by an eighth of it
FURTHER_DIRECTIONS = 4
NAMES = tuple(FLAGS)[: tuple(FLAGS).index("noise_as_good")]


def endpoint_queries(images: int) -> int:
    """Pictures that `endpoint_flags` asks about, at most."""
    company = max(images, 2) if images else 0
    return images * (ALONE + 2 * ROUNDS + 1 + 1 + DIRECTIONS + FURTHER_DIRECTIONS + 1) + COMPANY * company


async def endpoint_flags(
    endpoint: Endpoint[Any],
    images: Sequence[Array],
    goals: Sequence[Goal],
    threat: Threat | None = None,
    seed: int = 0,
    *,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Flag]:
    """Ask a few images in many ways: all flags of the endpoint, those not measurable among them.

    Evidence holds no figure of a clock; whether *cached* is raised may rest on one.

    Args:
        images: a few, uint8 RGB `(H, W, 3)`.
        goals: what is wanted of each.
        threat: bounds the random directions, but for a few of 8 levels to compare with.
        clock: seconds.

    Raises:
        EndpointError: one got no answer.
        ValueError: images and goals are not equally many.
    """
    if len(images) != len(goals):
        raise ValueError(f"images and goals must be equally many, got {len(images)} and {len(goals)}")
    if not images:
        return [flag(name, None, "no image was asked about") for name in NAMES]
    asking = _Asking(endpoint, images, np.random.Generator(np.random.Philox(key=seed)), clock)
    alone = [await asking.alone() for _ in range(ALONE)]
    company = [await asking.company() for _ in range(COMPANY)]
    unsteady, batch = deterministic(alone, company)
    pairs = await asking.pairs()
    near = await asking.changed(_neighbour)
    mixed = await asking.changed(asking.mixed)
    around = await asking.directions(_near(threat), DIRECTIONS)
    further = await asking.directions(Threat("linf", FURTHER), FURTHER_DIRECTIONS)
    hiding = whole([*alone[0], *near, *mixed, *(answer for row in around for answer in row)])
    later = await asking.alone()
    telling = not unsteady.raised and hiding[0].raised is False and not any(f.raised for f in hiding)
    return [
        unsteady,
        batch,
        stateful(alone[0], later, DIRECTIONS + FURTHER_DIRECTIONS + ROUNDS + 2, not unsteady.raised),
        cached(pairs, alone[0], near, telling, seed),
        *hiding,
        _unstable(goals, alone[0], around, further),
    ]


class _Asking:
    """Ways to ask about the same images."""

    def __init__(
        self,
        endpoint: Endpoint[Any],
        images: Sequence[Array],
        rng: np.random.Generator,
        clock: Callable[[], float],
    ) -> None:
        self._endpoint, self._images, self._clock = endpoint, images, clock
        self._rng = rng

    async def alone(self) -> list[Result]:
        return [(await self._told([image]))[0] for image in self._images]

    async def company(self) -> list[Result]:
        """One that is alone gets its mirror image for company."""
        images = list(self._images)
        extra = [np.ascontiguousarray(images[0][:, ::-1])] if len(images) == 1 else []
        return (await self._told(images + extra))[: len(images)]

    async def directions(self, threat: Threat, count: int) -> list[list[Result]]:
        return [await self.changed(lambda image: _direction(image, threat, self._rng)) for _ in range(count)]

    async def changed(self, change: Callable[[Array], Array]) -> list[Result]:
        return await self._told([change(image) for image in self._images])

    async def _told(self, images: Sequence[Array]) -> list[Result]:
        answers = list(await self._endpoint.predict(images))
        if len(answers) != len(images):
            raise EndpointError(f"there must be {len(images)} answers, one an image, got {len(answers)}")
        return answers

    def mixed(self, image: Array) -> Array:
        """Half of it, half of another, or of its mirror image: something to be unsure of."""
        others = [o for o in self._images if o.shape == image.shape and o is not image]
        other = others[int(self._rng.integers(len(others)))] if others else image[:, ::-1]
        return ((image.astype(np.uint16) + other) // 2).astype(np.uint8)

    async def pairs(self) -> list[Pair]:
        """Repeated and fresh bytes of every image, in an order that is drawn."""
        found = []
        for _ in range(ROUNDS):
            for image in self._images:
                halves = {"repeated": image, "fresh": fresh(image, self._rng)}
                order = sorted(halves, reverse=self._rng.random() < 0.5)
                took = {half: await self._seconds(halves[half]) for half in order}
                found.append(Pair(took["repeated"], took["fresh"], {}, {}, {}, True))
        return found

    async def _seconds(self, image: Array) -> float:
        began = self._clock()
        await self._endpoint.predict([image])
        return max(self._clock() - began, 1e-9)


def _neighbour(image: Array) -> Array:
    """A level away everywhere, the same way where levels are alike: no averaging hides it."""
    return np.where(image < 128, image + 1, image - 1).astype(np.uint8)


def _near(threat: Threat | None) -> Threat:
    """A level in L-infinity, or the ball in L2."""
    if threat is None or threat.norm != "l2":
        return Threat("linf", min(RADIUS, threat.epsilon) if threat else RADIUS)
    return threat


def _direction(image: Array, threat: Threat, rng: np.random.Generator) -> Array:
    """A drawn picture inside the threat; of an L2 ball, one with values a level away."""
    shape = (*image.shape[:2], 1 if is_grey(image) else 3)
    if threat.norm == "linf":
        reach = int(threat.epsilon)
        moved = image + rng.integers(-reach, reach, shape, endpoint=True)
        return np.clip(moved, 0, 255).astype(np.uint8)
    noise, copies = rng.normal(0, 1, shape), 3 // shape[2]
    length = RADIUS * image.size**0.5
    return inside_ball(image, noise * (length / np.sqrt(copies * (noise**2).sum())), threat.epsilon)


def _unstable(
    goals: Sequence[Goal],
    clean: Sequence[Result],
    around: Sequence[Sequence[Result]],
    further: Sequence[Sequence[Result]],
) -> Flag:
    """After Pintor et al. 2021, arXiv 2106.09947, indicator 5.

    **Differences.** Directions are a level long, not 8, and 8 levels must not change the loss twice as much:
    that of a smooth model would change 8 times as much, however near its boundary the images are. The mean
    change is held against the mean loss, not each against its own, which may be near 0.
    """
    name = "unstable_predictions"
    starts = [goal.judge(answer) for goal, answer in zip(goals, clean, strict=True)]
    rows = [i for i, start in enumerate(starts) if start.right]
    size = float(np.mean([abs(starts[i].loss) for i in rows])) if rows else 0.0
    if not size:
        return flag(name, None, "no image is right when clean, with a loss that is not 0")
    near, far = (
        float(np.mean([abs(goals[i].judge(told[i]).loss - starts[i].loss) for told in asked for i in rows]))
        for asked in (around, further)
    )
    told = (
        f"in {len(around)} directions of {len(rows)} images the loss changes by {near / size:.1%} on average"
    )
    told += f" within {RADIUS} level, by {far / size:.1%} within {FURTHER}"
    return flag(name, near > ROUGH * size and near > STEADY * far, told)

"""How far a picture can be from another before noise stops hiding it: randomised smoothing, by queries."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from functools import lru_cache
from itertools import islice
from statistics import NormalDist

import numpy as np

from eval.attacks.base import draws
from eval.attacks.results import MOST_ERRORS
from eval.endpoint import Endpoint
from eval.metrics.intervals import clopper_pearson
from eval.silence import Silence, answered
from models.results import Array, Classification

__all__ = ["ABSTAINS", "Smoothing", "Stability", "join", "lower_bound", "radius_of", "stability"]

ABSTAINS = -1
UNANSWERED = -1
NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Smoothing:
    """What noise is added, how often, and how sure the count must be.

    Attributes:
        sigma: spread of the noise of each value, in 8-bit levels; 63.75 is the paper's 0.25.
        select: draws that choose the class of an image.
        estimate: further draws that count how often it is answered.
        alpha: chance, for each image, that the bound is above the truth.
        lattice: noisy pictures are rounded and cut to uint8, as an endpoint of pictures needs. False only
            for an endpoint that takes float64 values, beyond 0 and 255 too.

    Raises:
        ValueError: one of them is out of range.
    """

    sigma: float
    select: int = 100
    estimate: int = 1000
    alpha: float = 0.001
    lattice: bool = True

    def __post_init__(self) -> None:
        if not 0 < self.sigma < float("inf"):
            raise ValueError(f"sigma must be above 0 levels, got {self.sigma}")
        if self.select < 1 or self.estimate < 1:
            raise ValueError(f"draws must be at least 1 and 1, got {self.select} and {self.estimate}")
        if not 0 < self.alpha < 0.5:
            raise ValueError(f"alpha must be in (0, 1/2), got {self.alpha}")

    @property
    def queries(self) -> int:
        """Of one image."""
        return self.select + self.estimate

    @property
    def farthest(self) -> float:
        """The radius of an image that is answered alike every time: so many draws can tell no larger one."""
        return radius_of(self.sigma, lower_bound(self.estimate, self.estimate, self.alpha))


@dataclass(frozen=True, slots=True, eq=False)
class Stability:
    """One row an image; all columns have the same length.

    Attributes:
        how: the noise and the draws.
        labels: int64, the true class.
        predicted: int64, the class of the smoothed classifier; -1 where it abstains.
        hits: int64, of the `estimate` draws, those that were answered with the chosen class.
        errors: int64, draws without an answer. They count against the class, so they lower the bound.
        lower: float64, a lower bound of the chance that the chosen class is answered.
        radius: float64, levels in L2 over all values of a picture; 0 where it abstains.
    """

    how: Smoothing
    labels: Array
    predicted: Array
    hits: Array
    errors: Array
    lower: Array
    radius: Array

    def __len__(self) -> int:
        return len(self.labels)

    @property
    def right(self) -> Array:
        """bool: does not abstain, and is the true class."""
        found: Array = self.predicted == self.labels
        return found

    @property
    def queries(self) -> int:
        """Draws, answered or not."""
        return len(self) * self.how.queries

    @property
    def valid(self) -> bool:
        """False when so many draws got no answer that the numbers say nothing."""
        return int(self.errors.sum()) <= MOST_ERRORS * self.queries

    def within(self, radius: float) -> int:
        """Images whose smoothed class is right, and stays so up to this distance."""
        return int((self.right & (self.radius >= radius)).sum())

    def curve(self) -> list[tuple[float, float]]:
        """Steps of (radius, share of all images right beyond it), from 0 on; empty without images."""
        if not len(self):
            return []
        steps = np.unique(self.radius[self.right])
        beyond = [(float(r), int((self.radius[self.right] > r).sum()) / len(self)) for r in steps]
        return [(0.0, self.within(0.0) / len(self)), *beyond]


async def stability(
    endpoint: Endpoint[Classification],
    images: Sequence[Array],
    labels: Sequence[int],
    samples: Sequence[str],
    *,
    how: Smoothing,
    seed: int,
    batch: int = 64,
    in_flight: int = 4,
    progress: Callable[[int, int], None] | None = None,
) -> Stability:
    """How stable the majority answer is when Gaussian noise is added to each picture.

    Cohen, Rosenfeld and Kolter 2019, "Certified adversarial robustness via randomized smoothing", arXiv
    1902.02918, theorem 1 and procedure CERTIFY: with probability 1 - alpha over the draws, the class that
    is answered most to `x + noise` is the same for every x within the radius, in L2.

    What that says: it holds for any classifier h of real vectors, also where h rounds and cuts what it is
    given and then asks the endpoint. So with `lattice` it holds for the majority answer of *round, cut, ask*,
    and for nothing else: not for the endpoint, whose single answers may be wrong at any distance, and not
    for a model that is smoothed on unrounded pictures. We call that an estimate. Without `lattice` h is the
    endpoint itself, as in the paper, and what is found is the paper's certificate, still of the
    majority; a prediction of it takes as many queries as are drawn here. Either way answers to the draws
    must not depend on each other, and the floating-point numbers of a generator stand for real normal
    ones (Voracek and Hein 2022, arXiv 2207.07209, abuse that where nothing rounds).

    **Differences**

    * Abstains at a bound of exactly 1/2 too, as in the paper; the authors' code gives radius 0 there.
    * A draw without an answer counts as another class.

    Args:
        images: uint8 RGB `(H, W, 3)`, any sizes; read one at a time, in threads.
        labels: the true classes.
        samples: an id for each image. Noise is drawn by (seed, id, "stability", draw) and multiplied by
            sigma, so batches, order and company change nothing.
        progress: told draws done and draws in all, after each request.

    Raises:
        EndpointError: nobody answers any more.
        ValueError: images, labels and samples are not equally many.
    """
    if not len(images) == len(labels) == len(samples):
        told = f"{len(images)}, {len(labels)} and {len(samples)}"
        raise ValueError(f"images, labels and samples must be equally many, got {told}")
    asking = _Asking(endpoint, images, samples, how, seed, batch, in_flight, progress)
    chosen = await asking.counts(range(how.select))
    counted = await asking.counts(range(how.select, how.queries))
    classes = [_most_frequent(counts) for counts in chosen]
    hits = [counts[c] if c != UNANSWERED else 0 for counts, c in zip(counted, classes, strict=True)]
    lower = np.array([lower_bound(k, how.estimate, how.alpha) for k in hits], np.float64)
    silent = [a[UNANSWERED] + b[UNANSWERED] for a, b in zip(chosen, counted, strict=True)]
    return Stability(
        how,
        labels=np.array(labels, np.int64),
        predicted=np.where(lower > 0.5, np.array(classes, np.int64), ABSTAINS),
        hits=np.array(hits, np.int64),
        errors=np.array(silent, np.int64),
        lower=lower,
        radius=np.array([radius_of(how.sigma, bound) for bound in lower.tolist()], np.float64),
    )


@lru_cache(maxsize=4096)
def lower_bound(hits: int, draws: int, alpha: float) -> float:
    """One-sided Clopper-Pearson: above the true chance with probability at most alpha.

    Raises:
        ValueError: hits is not in [0, draws], or alpha not in (0, 1/2).
    """
    low, _ = clopper_pearson(hits, draws, 1 - 2 * alpha)
    return 0.0 if low is None else low


def radius_of(sigma: float, lower: float) -> float:
    """sigma times the normal quantile of the bound; 0 where that is no majority. Units are sigma's."""
    return sigma * NORMAL.inv_cdf(lower) if 0.5 < lower < 1 else 0.0


def join(parts: Sequence[Stability]) -> Stability:
    """What was found of several sets of images, as if they had been one.

    Raises:
        ValueError: there is none, or they were not drawn alike.
    """
    if len({part.how for part in parts}) != 1:
        raise ValueError("parts must be at least one, all drawn alike")
    columns = [one.name for one in fields(Stability) if one.name != "how"]
    return Stability(parts[0].how, *(np.concatenate([getattr(p, name) for p in parts]) for name in columns))


def _most_frequent(counts: Counter[int]) -> int:
    """Ties go to the lower class; `UNANSWERED` if there was no answer at all."""
    known = [label for label in counts if label != UNANSWERED]
    return min(known, key=lambda label: (-counts[label], label), default=UNANSWERED)


def _on_lattice(noisy: Array) -> Array:
    """As `eval.attacks.base.on_lattice`, but what is given is spent."""
    np.rint(noisy, out=noisy)
    np.clip(noisy, 0, 255, out=noisy)
    whole: Array = noisy.astype(np.uint8)
    return whole


@dataclass(slots=True, eq=False)
class _Asking:
    """Streams draws to the endpoint; no more pictures exist at a time than are in flight."""

    endpoint: Endpoint[Classification]
    images: Sequence[Array]
    samples: Sequence[str]
    how: Smoothing
    seed: int
    batch: int
    in_flight: int
    progress: Callable[[int, int], None] | None
    done: int = 0
    silence: Silence = field(default_factory=Silence)

    async def counts(self, steps: range) -> list[Counter[int]]:
        """For each image, how often each class was answered to these draws."""
        counts: list[Counter[int]] = [Counter() for _ in self.images]
        every = ((place, step) for place in range(len(self.images)) for step in steps)
        batches = iter(lambda: list(islice(every, self.batch)), [])

        async def work() -> None:
            for asked in batches:  # all workers take from the same
                labels = await self._labels(await asyncio.to_thread(self._noisy, asked))
                self.silence.end()
                for (place, _), label in zip(asked, labels, strict=True):
                    counts[place][label] += 1
                self._tell(len(asked))

        workers = [asyncio.create_task(work()) for _ in range(self.in_flight)]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        return counts

    async def _labels(self, pictures: Sequence[Array]) -> list[int]:
        answers = await answered(self.endpoint.predict, pictures, self.silence)
        return [UNANSWERED if answer is None else answer.label for answer in answers]

    def _noisy(self, asked: Sequence[tuple[int, int]]) -> list[Array]:
        pictures = []
        held, image = -1, np.zeros(0)
        for place, step in asked:
            if place != held:
                held, image = place, self.images[place].astype(np.float64)
            rng = draws(self.seed, self.samples[place], "stability")(step)
            noisy = rng.standard_normal(image.shape)
            noisy *= self.how.sigma  # in place: these copies would cost as much as the draws
            noisy += image
            pictures.append(_on_lattice(noisy) if self.how.lattice else noisy)
        return pictures

    def _tell(self, asked: int) -> None:
        self.done += asked
        if self.progress is not None:
            self.progress(self.done, len(self.images) * self.how.queries)

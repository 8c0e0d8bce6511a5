"""Does the server answer repeated bytes from a cache? After the idea of MLPerf's compliance test TEST04.

Repeated bytes and fresh ones (one level of one value of one pixel changed) are asked in pairs, in an order
drawn from a seed, in quiet. A cache shows as an answer to repeated bytes that is quicker, that carries an
id or a header of an earlier answer, or says that it is a hit.

**Differences.** TEST04 compares the throughput of two whole runs; pairs need far fewer requests, and what
the machine does meanwhile meets both halves of a pair alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from eval.checks.flag import Flag
from eval.endpoint import RemoteEndpoint
from eval.metrics.intervals import Interval, bootstrap_sums
from eval.parity.differences import apart
from eval.remote.recording import Recorder
from models.decoding import decode, encode_png
from models.results import Array, Result

__all__ = ["Caching", "Pair", "fresh", "judged", "look_for_cache"]

ROUNDS = 2
FLIPS = 10_000
RESAMPLES = 2_000
SURE, QUICKER = 0.01, 0.9  # p-value, and the ratio that an interval must lie below
FEWEST = 5  # answers from which a header that is always another one is an id


@dataclass(frozen=True, slots=True)
class Pair:
    """Repeated and fresh bytes of one picture, asked one after the other.

    Attributes:
        repeated_s, fresh_s: seconds.
        earlier, repeated, fresh: headers of the first answer to the bytes, of that to their repetition, and
            of that to fresh bytes.
        equal: the repetition is answered as the first time.
    """

    repeated_s: float
    fresh_s: float
    earlier: Mapping[str, str]
    repeated: Mapping[str, str]
    fresh: Mapping[str, str]
    equal: bool


@dataclass(frozen=True, slots=True)
class Caching:
    """What was found.

    Attributes:
        ratio: of the seconds of repeated bytes to those of fresh ones, geometric mean; None without pairs.
        interval: of the ratio, 95 %, bootstrap over pairs.
        p: of a ratio so far from 1 by chance: signs of the logarithms drawn, two-sided.
        told: headers that give a cache away.
        equal: pairs whose repetition was answered as the first time.
    """

    ratio: float | None
    interval: Interval
    p: float | None
    told: Sequence[str]
    equal: int
    pairs: int

    @property
    def quicker(self) -> bool:
        """Repeated bytes are answered sooner, beyond chance and by a tenth at least."""
        _, high = self.interval
        return self.p is not None and self.p <= SURE and high is not None and high < QUICKER

    def flag(self) -> Flag:
        """Raised where either gives a cache away. Holds no figure of a clock."""
        if self.ratio is None:
            return Flag("cached", None, "no pair was answered", MEANS, DO)
        reasons = [
            *self.told,
            *(["repeated bytes are answered sooner than fresh ones"] if self.quicker else []),
        ]
        evidence = "; ".join(reasons) or f"nothing in {self.pairs} pairs of repeated and fresh bytes"
        return Flag("cached", bool(reasons), evidence, MEANS, DO)


MEANS = (
    "Answers to repeated bytes need not come from the model: equal answers and short latencies prove little."
)
DO = "Switch the cache off for the test, or load with pictures that are never the same."


def fresh(image: Array, rng: np.random.Generator) -> Array:
    """The picture with one value of one pixel a level higher or lower; a grey one stays grey."""
    changed = image.copy()
    row, column, channel = (int(rng.integers(0, side)) for side in image.shape)
    grey = bool((image == image[..., :1]).all())
    level = int(image[row, column, channel])
    changed[row, column, slice(None) if grey else channel] = level + 1 if level < 128 else level - 1
    return changed


async def look_for_cache(
    endpoint: RemoteEndpoint, recorder: Recorder, files: Sequence[bytes], *, seed: int = 0
) -> Caching:
    """Ask about each picture, then about it again and about a fresh one, in an order that is drawn.

    Raises:
        EndpointError: one got no answer.
    """
    rng = np.random.Generator(np.random.Philox(key=seed))

    async def ask(file: bytes) -> tuple[Result, Mapping[str, str], float]:
        recorder.heard.clear()
        (answer,) = await endpoint.predict_files([file])
        heard = recorder.heard[-1]
        return answer, heard.headers, heard.seconds

    pairs, images = [], [decode(file) for file in files]
    first = [await ask(encode_png(image)) for image in images]
    for _ in range(ROUNDS):
        for image, (answer, headers, _) in zip(images, first, strict=True):
            halves = {"repeated": image, "fresh": fresh(image, rng)}
            order = sorted(halves, reverse=rng.random() < 0.5)
            told = {half: await ask(encode_png(halves[half])) for half in order}
            (again, again_headers, again_s), (_, fresh_headers, fresh_s) = told["repeated"], told["fresh"]
            same = apart(again, answer).amount == 0
            pairs.append(Pair(again_s, fresh_s, headers, again_headers, fresh_headers, same))
    return judged(pairs, seed=seed)


def judged(pairs: Sequence[Pair], *, seed: int = 0) -> Caching:
    """What the pairs say."""
    logs = np.log([[p.repeated_s / p.fresh_s] for p in pairs]) if pairs else np.zeros((0, 1))
    equal = sum(p.equal for p in pairs)
    if not len(logs):
        return Caching(None, (None, None), None, [], 0, 0)
    rows = np.concatenate([logs, np.ones_like(logs)], axis=1)
    ((low, high),) = bootstrap_sums(
        rows, lambda s: np.exp(s[:, :1] / s[:, 1:]), resamples=RESAMPLES, seed=seed
    )
    return Caching(
        float(np.exp(logs.mean())), (low, high), _by_chance(logs[:, 0], seed), _told(pairs), equal, len(pairs)
    )


def _by_chance(logs: Array, seed: int) -> float:
    """How often signs drawn at random give a mean so far from 0; never below 1 / (draws + 1)."""
    rng = np.random.Generator(np.random.Philox(key=seed + 1))
    signs = rng.integers(0, 2, (FLIPS, len(logs))) * 2 - 1
    as_far = np.abs(signs @ logs) >= abs(float(logs.sum())) * (1 - 1e-12)
    return float((as_far.sum() + 1) / (FLIPS + 1))


def _told(pairs: Sequence[Pair]) -> list[str]:
    """Headers of answers to repeated bytes that only a cache would send."""
    found = []
    for name in sorted({name for p in pairs for name in p.repeated}):
        values = [p.repeated[name] for p in pairs if name in p.repeated]
        if ("cache" in name and any("hit" in value.lower() for value in values)) or (
            name == "age" and any(value.isdecimal() and int(value) > 0 for value in values)
        ):
            found.append(f"{name}: {values[-1][:40]}")
    others = [p.fresh for p in pairs]
    for name in sorted(set.intersection(*(set(headers) for headers in others)) - {"date"}):
        if len(others) >= FEWEST and len({headers[name] for headers in others}) == len(others):
            again = sum(p.earlier.get(name) == p.repeated.get(name) for p in pairs)
            if again:
                found.append(
                    f"{name} is another one for all fresh bytes, but came again for {again} repeated"
                )
    return found

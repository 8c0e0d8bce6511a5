"""What an optimisation is measured with, and the pictures it is measured on."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from eval.data.dataset import Dataset
from eval.data.tables import open_data
from eval.errors import EvalError
from models.card import ModelCard

__all__ = ["Plan", "drawn", "pictures"]

BOUNDS: Sequence[tuple[str, float, float]] = (
    ("calibration_images", 1, 100_000),
    ("limit", 1, 10_000_000),
    ("margin", 0.0001, 0.5),
    ("rounds", 5, 1000),  # a median of fewer says little on a noisy machine
    ("seconds", 0.01, 600),
    ("batch", 1, 128),
    ("connections", 1, 64),
    ("epsilon", 1, 255),
    ("budget", 3, 1_000_000),
    ("samples", 0, 1_000_000),
    ("faster", 1, 100),
)


@dataclass(frozen=True, slots=True)
class Plan:
    """Every number a reader needs to repeat the run.

    Attributes:
        calibration, data: data arguments; no picture may be in both.
        calibration_images, limit, samples: pictures drawn for the ranges, the scores and the audit;
            a limit of None takes all.
        margin: the most the score may fall, with 95 % confidence.
        rounds, seconds: of the throughput, for each version.
        batch, connections: pictures in a request, requests at once.
        epsilon, budget: of the audit: 8-bit levels, and queries for each picture and attack.
        faster: the least ratio of throughput that counts as faster.
        only: names of the candidates to try beside fp32; empty for all.

    Raises:
        EvalError: a number is out of its bounds.
    """

    calibration: str
    data: str
    calibration_images: int = 128
    limit: int | None = None
    margin: float = 0.01
    rounds: int = 7
    seconds: float = 1.0
    batch: int = 32
    connections: int = 4
    epsilon: float = 8.0
    budget: int = 100
    samples: int = 100
    faster: float = 1.05
    seed: int = 0
    only: Sequence[str] = ()

    def __post_init__(self) -> None:
        for name, least, most in BOUNDS:
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise EvalError(f"{name} must be {least:g} to {most:g}, got {value:g}")


def drawn(data: Dataset, count: int | None, seed: int) -> Dataset:
    """`count` samples drawn without replacement, all of them for None; data on disk is sorted by class."""
    if count is None or count >= len(data):
        return data
    rng = np.random.Generator(np.random.Philox(key=seed))
    order = [int(i) for i in rng.permutation(len(data))[:count]]
    return replace(data, ids=[data.ids[i] for i in order], load=lambda index: data.load(order[index]))


def pictures(card: ModelCard, plan: Plan) -> tuple[Dataset, Dataset]:
    """The calibration set and the measured one, drawn, in the model's classes.

    Raises:
        EvalError: the data is not there, does not fit the model, or a picture is in both.
    """
    ranges = drawn(open_data(plan.calibration, card.task), plan.calibration_images, plan.seed)
    measured = drawn(open_data(plan.data, card.task).in_classes_of(card.labels), plan.limit, plan.seed)
    seen = {hashlib.sha256(sample.file).digest() for sample in ranges}
    twice = sum(hashlib.sha256(sample.file).digest() in seen for sample in measured)
    if twice:
        raise EvalError(
            f"calibration and measured pictures must differ, but {twice} of {len(measured)} are in both "
            f"{ranges.name} and {measured.name}: calibrate on training data"
        )
    if not len(measured):
        raise EvalError(f"{measured.name} has no pictures to measure on")
    return ranges, measured

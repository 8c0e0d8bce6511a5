"""A model that goes by brightness, small data for it, and somewhere to keep answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from eval.auditing.cells import UNKEPT, Cells, Corrupted
from eval.auditing.corrupted import corrupted
from eval.data.dataset import Dataset, Sample
from eval.endpoint import Endpoint
from models.decoding import encode_png
from models.results import Array, Classification

LABELS = ("dark", "grey", "light")
NAMES = ("gaussian_noise", "brightness")
SEVERITIES = (2, 5)
CELLS = 1 + len(NAMES) * len(SEVERITIES)
SIDE = 6


def image(place: int) -> Array:
    rng = np.random.default_rng(place)
    return (rng.random((SIDE, SIDE, 3)) * 60 + place * 37 % 190).astype(np.uint8)


def load(place: int) -> Sample:
    return Sample(f"s{place}", encode_png(image(place)), int(image(place).mean() // 85))


def data(images: int = 24) -> Dataset:
    return Dataset("d", "classification", LABELS, [f"s{p}" for p in range(images)], load)


def answer(picture: Array) -> Classification:
    near = np.exp(-np.abs(picture.mean() - np.array([42.0, 127.0, 212.0])) / 30)
    return Classification((near / near.sum()).astype(np.float32))


@dataclass
class Model:
    """Answers late requests first; `trouble` sees every request before it is answered."""

    trouble: Callable[[Sequence[Array]], None] = lambda pictures: None
    requests: list[list[bytes]] = field(default_factory=list)
    answered: int = 0

    async def predict(self, images: Sequence[Array]) -> list[Classification]:
        self.requests.append([picture.tobytes() for picture in images])
        for _ in range(1 + -len(self.requests) % 5):
            await asyncio.sleep(0)
        self.trouble(images)
        self.answered += len(images)
        return [answer(picture) for picture in images]

    @property
    def asked(self) -> list[bytes]:
        return [picture for request in self.requests for picture in request]


@dataclass
class Memory:
    """Keeps what it is given, as bytes in a file would be."""

    rows: dict[str, dict[int, bytes]] = field(default_factory=dict)

    def kept(self, cell: str) -> Iterator[tuple[int, bytes]]:
        return iter(sorted(self.rows.get(cell, {}).items()))

    def keep(self, cell: str, rows: Iterable[tuple[int, bytes]]) -> None:
        for place, kept in rows:
            assert place not in self.rows.setdefault(cell, {})
            self.rows[cell][place] = kept

    @property
    def count(self) -> int:
        return sum(map(len, self.rows.values()))


def run(
    model: Endpoint[Classification],
    images: int = 24,
    *,
    batch: int = 5,
    in_flight: int = 3,
    cells: Cells = UNKEPT,
    own: Dataset | None = None,
    seed: int = 0,
    severities: Sequence[int] = SEVERITIES,
    progress: Callable[[int, int], None] | None = None,
) -> Corrupted:
    told = own or data(images)
    return asyncio.run(
        corrupted(
            model, told, NAMES, severities,
            seed=seed, batch=batch, in_flight=in_flight, model="m/1", cells=cells, progress=progress,
        )
    )  # fmt: skip

"""Fakes shared by the tests. Small enough to read at a glance."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import numpy as np

from eval.errors import EndpointError
from models.results import Array, Classification


class LinearEndpoint:
    """Softmax of a fixed random linear map of the levels; smooth, so a search can win."""

    def __init__(
        self, shape: tuple[int, int, int], classes: int = 3, *, gain: float = 0.02, seed: int = 0
    ) -> None:
        rng = np.random.default_rng(seed)
        self.weight = rng.normal(0, gain, (classes, int(np.prod(shape))))
        self.requests = 0
        self.asked: list[bytes] = []

    def answer(self, image: Array) -> Classification:
        logits = self.weight @ image.ravel().astype(np.float64)
        odds = np.exp(logits - logits.max())
        return Classification((odds / odds.sum()).astype(np.float32))

    async def predict(self, images: Sequence[Array]) -> list[Classification]:
        self.requests += 1
        self.asked += [image.tobytes() for image in images]
        return [self.answer(image) for image in images]


class ScrambledEndpoint(LinearEndpoint):
    """The same answers, but requests come back in another order than they were sent."""

    def __init__(self, shape: tuple[int, int, int], *, order_seed: int) -> None:
        super().__init__(shape)
        self.rng = np.random.default_rng(order_seed)

    async def predict(self, images: Sequence[Array]) -> list[Classification]:
        for _ in range(int(self.rng.integers(0, 9))):
            await asyncio.sleep(0)
        return await super().predict(images)


class StubbornEndpoint:
    """Always gives one class, whatever is asked."""

    def __init__(self, label: int, classes: int = 3) -> None:
        self.scores = np.eye(classes, dtype=np.float32)[label] * 0.7 + 0.1
        self.asked: list[bytes] = []

    async def predict(self, images: Sequence[Array]) -> list[Classification]:
        self.asked += [image.tobytes() for image in images]
        return [Classification(self.scores) for _ in images]


class MoodyEndpoint(StubbornEndpoint):
    """Right the first time it sees the clean picture, wrong once about another, right again after."""

    def __init__(self) -> None:
        super().__init__(0)
        self.lied = False

    async def predict(self, images: Sequence[Array]) -> list[Classification]:
        clean = not self.asked
        answers = await super().predict(images)
        if not clean and not self.lied:
            self.lied = True
            answers[0] = Classification(np.array([0.1, 0.8, 0.1], np.float32))
        return answers


class FailingEndpoint(StubbornEndpoint):
    """Fails for every picture that begins with a level of 200 or more."""

    async def predict(self, images: Sequence[Array]) -> list[Classification]:
        if any(image[0, 0, 0] >= 200 for image in images):
            raise EndpointError("no answer")
        return await super().predict(images)

"""A task prepares an image and interprets what the graph said; a predictor does both around a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

import numpy as np

from models.results import Array, Result, Shape

__all__ = ["Predictor", "Runner", "Task"]

Answer = TypeVar("Answer", bound=Result, covariant=True)


class Task(Protocol[Answer]):
    """One way of asking one model about an image. Made from the model's card."""

    def prepare(self, image: Array, *, shape: Shape | None = None, scale: float = 1.0) -> Array:
        """uint8 RGB `(H, W, 3)` -> the graph's input for one image, e.g. float32 `(3, S, S)`.

        `shape` and `scale` tell of a picture that was decoded with less detail; see `fit`.
        """

    def interpret(self, outputs: Sequence[Array], shape: Shape) -> Answer:
        """Raw graph outputs of one image -> a result in pixels of `shape` (H, W).

        Raises:
            ValueError: NaN or infinity, or not what the card says.
        """


class Runner(Protocol):
    """Anything that runs a graph: onnxruntime in service, a fake in tests. Safe to share."""

    def run(self, batch: Array) -> list[Array]:
        """`(N, ...)` -> graph outputs in the card's order, each `(N, ...)`."""


@dataclass(frozen=True, slots=True)
class Predictor(Generic[Answer]):
    """A task and a graph, ready to answer. Safe to share between threads.

    `predict` is the one verb of the project: a Predictor, a live endpoint and a test double
    all have it, so metrics and attacks never ask which they hold.

    Attributes:
        max_batch: most images in one run of the graph.
    """

    task: Task[Answer]
    runner: Runner
    max_batch: int = 32

    def predict(self, images: Sequence[Array]) -> list[Answer]:
        """uint8 RGB `(H, W, 3)` images, any sizes -> one result each, same order.

        Raises:
            ValueError: the graph gave NaN or infinity, or not what the card says.
        """
        return [
            answer
            for start in range(0, len(images), self.max_batch)
            for answer in self._batch(images[start : start + self.max_batch])
        ]

    def _batch(self, images: Sequence[Array]) -> list[Answer]:
        outputs = self.runner.run(np.stack([self.task.prepare(image) for image in images]))
        return [
            self.task.interpret([output[i] for output in outputs], image.shape[:2])
            for i, image in enumerate(images)
        ]

"""A version that answers when it is told to; shared by the tests of engine, slot and registry."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from models.repository import look, read_version
from models.results import Array, Classification, Result, Shape
from models.tasks import Predictor
from service.batcher import Batcher, Rows
from service.engine import Piece
from service.registry import Live

__all__ = ["HeldRunner", "Level", "held", "piece"]


@dataclass
class HeldRunner:
    """Runs only when it is let go; notes what it ran; breaks on negative rows."""

    go: threading.Event = field(default_factory=threading.Event)
    began: threading.Event = field(default_factory=threading.Event)
    batches: list[list[float]] = field(default_factory=list)

    def run(self, batch: Array) -> list[Array]:
        self.batches.append([float(value) for value in batch[:, 0]])
        self.began.set()
        assert self.go.wait(10)
        if (batch < 0).any():
            raise RuntimeError("a row broke the run")
        return [batch]


class Level:
    """Answers with the row itself."""

    def prepare(self, image: Array, *, shape: Shape | None = None, scale: float = 1.0) -> Array:
        return image[:1, 0, 0].astype(np.float32)

    def interpret(self, outputs: Sequence[Array], shape: Shape) -> Result:
        return Classification(outputs[0])


def held(
    repository: Path, *, max_batch: int = 4, max_waiting: int = 8, **rules: float
) -> tuple[Live, HeldRunner]:
    """`lamp/1` of a repository, with a runner that is held."""
    seen = next(s for s in look(repository) if s.name == "lamp")
    runner = HeldRunner()
    queue = Batcher(max_batch, max_waiting, batch_s=60.0)
    predictor: Predictor[Result] = Predictor(Level(), runner, max_batch)
    return Live(seen, read_version(seen.folder), "ready", predictor, queue=queue), runner


def piece(value: float, count: int = 1, *, light: bool = False) -> Piece:
    """A piece whose rows all hold one value."""
    rows = Rows(np.full((count, 1), value, np.float32), [(1, 1)] * count)
    return Piece(lambda: rows, count, light)

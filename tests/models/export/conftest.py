"""Small trainings that every test of the room can run."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from models.export.settings import Settings
from models.export.train import train

Weights = dict[str, Tensor]
PLAIN = Settings(
    seed=5, epochs=4, batch=8, rate=1e-2, decay=0.0, clip=0.0, average=0.0, schedule="constant", warmup=0.0
)


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """Sums do not depend on how many cores the machine has free."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def fitted(tmp_path: Path) -> Callable[..., Weights]:
    """Trains a net on 64 points of two classes: `fitted("folder", make=..., rate=...)` gives its weights."""
    x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    y = (x.sum(dim=1) > 0).long()

    def run(
        folder: str, make: Callable[[], nn.Module] = lambda: nn.Linear(3, 2), **changed: object
    ) -> Weights:
        settings = replace(PLAIN, **changed)  # type: ignore[arg-type]  # what a test writes

        def batches(epoch: int) -> Iterator[tuple[Tensor, ...]]:
            order = torch.randperm(64, generator=torch.Generator().manual_seed(epoch))
            return ((x[rows], y[rows]) for rows in order.view(-1, settings.batch))

        def loss(net: nn.Module, batch: tuple[Tensor, ...], _: float) -> Tensor:
            return nn.functional.cross_entropy(net(batch[0]), batch[1])

        steps = 64 // settings.batch
        net = train(make, batches, loss, settings, folder=tmp_path / folder, steps=steps)
        assert not net.training
        return {name: value.clone() for name, value in net.state_dict().items()}

    return run

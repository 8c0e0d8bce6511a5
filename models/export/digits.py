"""The two digits models: one trained as usual, one against an adversary."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from models.card import InputSpec
from models.digits import Split, digits
from models.export.adversary import pgd
from models.export.nets.digits import DigitsNet
from models.export.train import Loss, Settings, train

__all__ = ["EPSILON", "FRAGILE", "INPUT", "ROBUST", "digit_tensors", "train_fragile", "train_robust"]

INPUT = InputSpec(height=28, width=28, channels="L", mean=(0.0,), std=(255.0,))
EPSILON = 76 / 255  # the radius of the audit, 0.3 of the range in whole levels
STEPS = 7  # of the adversary in training
FRAGILE = Settings(seed=1, epochs=25, batch=64, rate=1e-3, bfloat16=True)
ROBUST = Settings(seed=2, epochs=60, batch=64, rate=1e-3, warmup=0.1, average=0.995, bfloat16=True)


def digit_tensors(split: Split) -> tuple[Tensor, Tensor]:
    """float32 `(N, 1, 28, 28)` in [0, 1] and int64 `(N,)`."""
    images, labels = digits(split)
    return torch.from_numpy(images[..., 0].copy())[:, None].float() / 255, torch.from_numpy(labels)


def train_fragile(settings: Settings, folder: Path) -> nn.Module:
    """Cross entropy on clean pictures, shifted a little: right, and easily fooled."""

    def loss(net: nn.Module, batch: tuple[Tensor, ...], _: float) -> Tensor:
        images, labels, _start = batch
        return functional.cross_entropy(net(images), labels)

    return _trained(loss, settings, folder)


def train_robust(settings: Settings, folder: Path) -> nn.Module:
    """Cross entropy on the adversary's pictures only (Madry et al. 2017, arXiv 1706.06083).

    **Differences**: the radius grows over the first third of the training; at full radius from
    the start a small net on few pictures stays at chance.
    """

    def loss(net: nn.Module, batch: tuple[Tensor, ...], done: float) -> Tensor:
        images, labels, start = batch
        epsilon = EPSILON * min(1.0, 3 * done)
        moved = pgd(net, images, labels, epsilon=epsilon, steps=STEPS, start=start)
        return functional.cross_entropy(net(moved), labels)

    return _trained(loss, settings, folder)


def _trained(loss: Loss, settings: Settings, folder: Path) -> nn.Module:
    images, labels = digit_tensors("train")

    def batches(epoch: int) -> Iterator[tuple[Tensor, ...]]:
        generator = torch.Generator().manual_seed(settings.seed * 1000 + epoch)
        order = torch.randperm(len(images), generator=generator)
        for first in range(0, len(order) - settings.batch + 1, settings.batch):
            rows = order[first : first + settings.batch]
            down, across = torch.randint(-2, 3, (2,), generator=generator).tolist()
            shifted = images[rows].roll((down, across), dims=(2, 3))  # the margin is empty: nothing wraps
            yield shifted, labels[rows], torch.rand(shifted.shape, generator=generator) * 2 - 1

    steps = len(images) // settings.batch
    return train(DigitsNet, batches, loss, settings, folder=folder, steps=steps)

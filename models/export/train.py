"""One trainer for every task: seeded, with warm-up and cosine, averaged weights, resumable."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

__all__ = ["Batches", "Loss", "Settings", "train"]

Batch: TypeAlias = tuple[Tensor, ...]
Batches: TypeAlias = Callable[[int], Iterator[Batch]]
Loss: TypeAlias = Callable[[nn.Module, Batch, float], Tensor]
log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settings:
    """What a training is repeated from.

    Attributes:
        seed: of the starting weights; the batches bring their own.
        epochs, batch: passes over the data, images a step.
        rate: peak learning rate of AdamW (Loshchilov and Hutter 2017, arXiv 1711.05101).
        warmup: share of the steps in which the rate rises; then it falls as a cosine to 1 %.
        decay: weight decay of matrices and kernels; biases and norms have none.
        clip: largest norm of the gradient.
        average: of the weights' running mean, the share that stays at each step; 0 for none.
        bfloat16: forward passes in bfloat16, channels last; about twice as fast on a CPU that has it.
    """

    seed: int
    epochs: int
    batch: int
    rate: float
    warmup: float = 0.05
    decay: float = 1e-2
    clip: float = 5.0
    average: float = 0.998
    bfloat16: bool = False


def train(
    make: Callable[[], nn.Module],
    batches: Batches,
    loss: Loss,
    settings: Settings,
    *,
    folder: Path,
    steps: int,
) -> nn.Module:
    """The trained net, in evaluation mode. A folder with a checkpoint is gone on from.

    Args:
        make: gives the untrained net; called after seeding.
        batches: gives the batches of an epoch, the same each time it is asked for that epoch.
        loss: of the net, a batch and the share of the training that is done; a float32 scalar.
        folder: gets `checkpoint.pt` after each epoch and `curve.json`, loss and rate by epoch.
        steps: batches in an epoch.
    """
    torch.manual_seed(settings.seed)
    net = _laid(make(), channels_last=settings.bfloat16)
    mean = AveragedModel(net, multi_avg_fn=_average(settings.average), use_buffers=True)
    optimiser = torch.optim.AdamW(_groups(net, settings.decay), lr=settings.rate)
    total = settings.epochs * steps
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: _rate(step, total, settings.warmup))
    state: dict[str, Any] = {"net": net, "mean": mean, "optimiser": optimiser, "schedule": schedule}
    curve = _resumed(folder, settings, state)
    for epoch in range(len(curve), settings.epochs):
        started, losses = time.perf_counter(), []
        net.train()
        for step, batch in enumerate(batches(epoch), start=epoch * steps):
            with torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16):
                value = loss(net, batch, step / total)
            optimiser.zero_grad()
            value.backward()  # type: ignore[no-untyped-call]
            nn.utils.clip_grad_norm_(net.parameters(), settings.clip)
            optimiser.step()
            schedule.step()
            mean.update_parameters(net)
            losses.append(float(value.detach()))
        curve.append({"loss": sum(losses) / len(losses), "seconds": time.perf_counter() - started})
        log.info("%s epoch %d/%d: %s", folder.name, epoch + 1, settings.epochs, curve[-1])
        _save(folder, settings, state, curve)
    best: nn.Module = mean.module if settings.average else net
    return _laid(best, channels_last=False).eval()


def _average(stays: float) -> Callable[..., None]:
    average: Callable[..., None] = get_ema_multi_avg_fn(stays)  # type: ignore[no-untyped-call]
    return average


def _laid(net: nn.Module, *, channels_last: bool) -> nn.Module:
    layout = torch.channels_last if channels_last else torch.contiguous_format
    placed: nn.Module = net.to(memory_format=layout)  # type: ignore[call-overload]
    return placed


def _groups(net: nn.Module, decay: float) -> list[dict[str, Any]]:
    wide = [p for p in net.parameters() if p.ndim > 1]
    thin = [p for p in net.parameters() if p.ndim <= 1]
    return [{"params": wide, "weight_decay": decay}, {"params": thin, "weight_decay": 0.0}]


def _rate(step: int, total: int, warmup: float) -> float:
    rising = max(1, round(total * warmup))
    if step < rising:
        return (step + 1) / rising
    return 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * (step - rising) / max(1, total - rising)))


def _resumed(folder: Path, settings: Settings, state: dict[str, Any]) -> list[dict[str, float]]:
    path = folder / "checkpoint.pt"
    if not path.is_file():
        return []
    saved = torch.load(path, weights_only=True)
    if saved["settings"] != asdict(settings):
        raise ValueError(f"{path} is of another training; remove {folder} to start again")
    for name, part in state.items():
        part.load_state_dict(saved[name])
    curve: list[dict[str, float]] = saved["curve"]
    return curve


def _save(folder: Path, settings: Settings, state: dict[str, Any], curve: list[dict[str, float]]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    parts = {name: part.state_dict() for name, part in state.items()}
    torch.save({**parts, "settings": asdict(settings), "curve": curve}, folder / "checkpoint.part")
    (folder / "checkpoint.part").replace(folder / "checkpoint.pt")  # a kill leaves the one before
    (folder / "curve.json").write_text(json.dumps(curve, indent=1) + "\n")

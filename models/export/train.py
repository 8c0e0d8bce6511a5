"""One trainer for every task: seeded, scheduled, with averaged weights, a learning curve, resumable."""

from __future__ import annotations

import json
import logging
import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from models.export.settings import Settings

__all__ = ["Batches", "Check", "Loss", "optimiser_of", "rate_at", "train"]

Batch: TypeAlias = tuple[Tensor, ...]
Batches: TypeAlias = Callable[[int], Iterator[Batch]]
Loss: TypeAlias = Callable[[nn.Module, Batch, float], Tensor]
Check: TypeAlias = Callable[[nn.Module], Mapping[str, float]]
log = logging.getLogger(__name__)
BACKBONE = "backbone"  # the part that `frozen` holds still
FLOOR = 0.01  # of the peak rate, where a schedule ends


def train(
    make: Callable[[], nn.Module],
    batches: Batches,
    loss: Loss,
    settings: Settings,
    *,
    folder: Path,
    steps: int,
    check: Check | None = None,
) -> nn.Module:
    """The trained net, in evaluation mode. A folder with a checkpoint is gone on from.

    Args:
        make: gives the untrained net; called after seeding.
        batches: gives the batches of an epoch, the same each time it is asked for that epoch.
        loss: of the net, a batch and the share of the training that is done; a float32 scalar.
        folder: gets `checkpoint.pt` after each epoch and `curve.json`, what each epoch came to.
        steps: batches in an epoch.
        check: figures of the averaged net on pictures it does not learn from, for the curve.
    """
    torch.manual_seed(settings.seed)
    net = _laid(make(), channels_last=settings.bfloat16)
    mean = AveragedModel(net, multi_avg_fn=_average(settings.average), use_buffers=True)
    optimiser = optimiser_of(net, settings)
    total = settings.epochs * steps
    updates = settings.epochs * math.ceil(steps / settings.accumulate)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda done: rate_at(done, updates, settings))
    state: dict[str, Any] = {"net": net, "mean": mean, "optimiser": optimiser, "schedule": schedule}
    curve = _resumed(folder, settings, state)
    best: nn.Module = mean.module if settings.average else net
    for epoch in range(len(curve), settings.epochs):
        started, losses = time.perf_counter(), []
        torch.manual_seed(settings.seed * 1_000_003 + epoch)  # of dropout: a resumed epoch draws the same
        freeze(net, epoch < settings.frozen * settings.epochs)
        for step, batch in enumerate(batches(epoch), start=epoch * steps):
            value = _backward(net, batch, step, total, loss, settings)
            if (step + 1) % settings.accumulate == 0 or step + 1 == (epoch + 1) * steps:
                _step(net, optimiser, settings.clip)
                mean.update_parameters(net)
                schedule.step()
            losses.append(value)
        row = {"loss": sum(losses) / len(losses), "rate": float(schedule.get_last_lr()[0])}
        row |= dict(check(best.eval())) if check is not None else {}
        curve.append({**row, "seconds": time.perf_counter() - started})
        log.info("%s epoch %d/%d: %s", folder.name, epoch + 1, settings.epochs, curve[-1])
        _save(folder, settings, state, curve)
    return _laid(best, channels_last=False).eval()


def _backward(net: nn.Module, batch: Batch, step: int, total: int, loss: Loss, settings: Settings) -> float:
    """Adds a batch's gradient to the net's; gives its loss."""
    if settings.penalty:
        batch = (batch[0].requires_grad_(), *batch[1:])
    with torch.autocast("cpu", torch.bfloat16, enabled=settings.bfloat16):
        value = loss(net, batch, step / total)
    whole = value
    if settings.penalty:
        (slope,) = torch.autograd.grad(value, batch[0], create_graph=True)
        # The loss is a mean over the batch, its slope by one picture that many times smaller.
        whole = value + settings.penalty * len(slope) * slope.float().square().sum()
    (whole / settings.accumulate).backward()  # type: ignore[no-untyped-call]
    return float(value.detach())


def _step(net: nn.Module, optimiser: torch.optim.Optimizer, clip: float) -> None:
    if clip:
        nn.utils.clip_grad_norm_(net.parameters(), clip)
    optimiser.step()
    optimiser.zero_grad()


def freeze(net: nn.Module, frozen: bool) -> None:
    """Training mode; a frozen backbone neither learns nor counts its batches' means."""
    net.train()
    backbone = getattr(net, BACKBONE, None)
    if isinstance(backbone, nn.Module):
        backbone.requires_grad_(not frozen).train(not frozen)
    elif frozen:
        raise ValueError(f"a net that is frozen at first must have a part called {BACKBONE}")


def _average(stays: float) -> Callable[..., None]:
    average: Callable[..., None] = get_ema_multi_avg_fn(stays)  # type: ignore[no-untyped-call]
    return average


def _laid(net: nn.Module, *, channels_last: bool) -> nn.Module:
    layout = torch.channels_last if channels_last else torch.contiguous_format
    placed: nn.Module = net.to(memory_format=layout)  # type: ignore[call-overload]
    return placed


def optimiser_of(net: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """The rule of the settings over the net's parameters; only matrices and kernels decay."""
    wide = [p for p in net.parameters() if p.ndim > 1]
    thin = [p for p in net.parameters() if p.ndim <= 1]
    groups = [{"params": wide, "weight_decay": settings.decay}, {"params": thin, "weight_decay": 0.0}]
    match settings.optimiser:
        case "sgd":
            nesterov = settings.momentum > 0
            return torch.optim.SGD(groups, settings.rate, momentum=settings.momentum, nesterov=nesterov)
        case "adam":
            return torch.optim.Adam(groups, settings.rate)
    return torch.optim.AdamW(groups, settings.rate)


def rate_at(step: int, total: int, settings: Settings) -> float:
    """The share of the peak rate at a step."""
    rising = max(1, round(total * settings.warmup))
    if step < rising:
        return (step + 1) / rising
    done = (step - rising) / max(1, total - rising)
    match settings.schedule:
        case "cosine":
            return FLOOR + (1 - FLOOR) * 0.5 * (1 + math.cos(math.pi * done))
        case "linear":
            return FLOOR + (1 - FLOOR) * (1 - done)
    return 1.0


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

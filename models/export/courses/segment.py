"""How segmenters are taught: batches of pictures and label maps, and what their loss is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import torch
from pydantic import Field
from torch import Tensor, nn

from models.card import InputSpec
from models.export.augment import Augment, Window, moved
from models.export.courses.seen import shuffled
from models.export.losses import dice_loss, pixel_loss
from models.export.sets.objects import IGNORE, Pictures
from models.export.settings import Settings

__all__ = ["Pixels", "SegmenterCourse"]


@dataclass(frozen=True, slots=True)
class Pixels:
    """The objective of a segmenter.

    Attributes:
        dice: weight of the Dice loss beside cross entropy.
        balance: classes count by (their share of the pixels) to the power of minus this; 0 counts pixels
            alike.
        stride: of the net's logits.
    """

    dice: Annotated[float, Field(ge=0)] = 1.0
    balance: Annotated[float, Field(ge=0, le=1)] = 0.0
    stride: Annotated[int, Field(ge=1)] = 2


class SegmenterCourse:
    """Batches and loss of a segmenter that gives logits `(N, C, H / stride, W / stride)`."""

    def __init__(
        self,
        learnt: Pictures,
        held: Pictures,
        classes: int,
        spec: InputSpec,
        objective: Pixels,
        augment: Augment,
        settings: Settings,
    ) -> None:
        self.learnt, self.held, self.classes, self.spec = learnt, held, classes, spec
        self.objective, self.augment, self.settings = objective, augment, settings
        self.steps = len(learnt) // settings.batch
        self.weight = _weights(learnt.semantic, classes, objective.balance)

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, ...]]:
        """Normalised images and label maps; the same for an epoch."""
        for rows, images, windows in shuffled(
            self.learnt.images, self.spec, self.augment, self.settings, epoch
        ):
            yield images, self.targets(rows, windows)

    def targets(self, rows: list[int], windows: list[Window]) -> Tensor:
        """int64 `(N, H / stride, W / stride)`: label maps of some pictures, each seen through its window."""
        stride = self.objective.stride
        maps = [
            moved(self.learnt.semantic[row][None], window, smooth=False, fill=IGNORE, stride=stride)[0]
            for row, window in zip(rows, windows, strict=True)
        ]
        return torch.stack(maps).round().long()

    def loss(self, net: nn.Module, batch: tuple[Tensor, ...], _: float) -> Tensor:
        """What the trainer makes small."""
        images, labels = batch
        return self.of_logits(net(images).float(), labels)

    def of_logits(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The loss of what a net said."""
        value = pixel_loss(logits, labels, weight=self.weight)
        return value + self.objective.dice * dice_loss(logits, labels) if self.objective.dice else value

    def check(self, net: nn.Module) -> dict[str, float]:
        """mIoU over the held-out pictures, at the logits' stride, and the loss."""
        counts = torch.zeros(self.classes, self.classes, dtype=torch.int64)
        losses = []
        still = Settings(seed=0, epochs=1, batch=1, rate=1.0, bfloat16=self.settings.bfloat16)
        half, step = self.objective.stride // 2, self.objective.stride
        with torch.no_grad():
            for rows, images, _ in shuffled(self.held.images, self.spec, Augment(), still, 0):
                with torch.autocast("cpu", torch.bfloat16, enabled=still.bfloat16):
                    logits = net(images).float()
                labels = self.held.semantic[rows][:, half::step, half::step].long()
                losses.append(float(self.of_logits(logits, labels)))
                known = labels != IGNORE
                pairs = labels[known] * self.classes + logits.argmax(dim=1)[known]
                counts += torch.bincount(pairs, minlength=self.classes**2).view_as(counts)
        union = counts.sum(0) + counts.sum(1) - counts.diagonal()
        iou = (counts.diagonal() / union)[union > 0]
        return {"held_loss": sum(losses) / len(losses), "held_miou": float(iou.mean())}


def _weights(maps: Tensor, classes: int, balance: float) -> Tensor | None:
    """float32 `(classes,)` with mean 1 over the pixels, or None where all pixels count alike."""
    if not balance:
        return None
    share = torch.bincount(maps.flatten().int(), minlength=IGNORE + 1)[:classes].double()
    share = (share / share.sum()).clamp_min(1e-6)
    weight = share**-balance
    return (weight / (weight * share).sum()).float()

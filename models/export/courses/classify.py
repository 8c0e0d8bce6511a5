"""How classifiers are taught: batches of pictures and labels, and what their loss is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from models.card import InputSpec
from models.export.adversary import pgd, trades
from models.export.augment import Augment, coloured, cut, shifted
from models.export.courses.unlabelled import Guesses, parted
from models.export.losses import CLASS_LOSSES, distillation, soft_labels
from models.export.settings import Settings
from models.imaging import fit
from models.results import Array

__all__ = ["Classes", "ClassifierCourse", "planes"]


@dataclass(frozen=True, slots=True)
class Classes:
    """The objective of a classifier.

    Attributes:
        loss: `cross_entropy`, `mean_squared_error` (of the probabilities), `generalised_cross_entropy`
            (Zhang and Sabuncu 2018, arXiv 1805.07836) or `focal` (Lin et al. 2017, arXiv 1708.02002).
        smoothing: share of a label that is spread over all classes (Szegedy et al. 2015, arXiv 1512.00567).
        mixup: of the Beta distribution that pairs of pictures are mixed by (Zhang et al. 2017,
            arXiv 1710.09412); 0 for none.
        adversary: learn from pictures moved by `pgd`, or by `trades` beside the clean ones; or `none`.
        epsilon: radius of the adversary, 8-bit levels; grows to it over the first third of the training.
        steps: of the adversary.
        beta: weight of the robust part of `trades`.
        teacher: key of a version whose answers are learnt too (Hinton et al. 2015, arXiv 1503.02531).
        temperature: that both answers are softened by, for the teacher.
        share: of the loss that is the teacher's; the labels have the rest.
        pseudo_threshold: least confidence with which a guess becomes the label of a picture without one
            (Sohn et al. 2020, arXiv 2001.07685); for `data.unlabelled`.
        pseudo_weight: of the loss over guessed labels.
        pseudo_ramp: share of the training over which that weight rises from 0 (Lee 2013, equation 16).
    """

    loss: Literal["cross_entropy", "mean_squared_error", "generalised_cross_entropy", "focal"] = (
        "cross_entropy"
    )
    smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0
    mixup: Annotated[float, Field(ge=0)] = 0.0
    adversary: Literal["none", "pgd", "trades"] = "none"
    epsilon: Annotated[float, Field(ge=0, le=255)] = 0.0
    steps: Annotated[int, Field(ge=1)] = 7
    beta: Annotated[float, Field(gt=0)] = 6.0
    teacher: str = ""
    temperature: Annotated[float, Field(gt=0)] = 4.0
    share: Annotated[float, Field(ge=0, le=1)] = 0.5
    pseudo_threshold: Annotated[float, Field(ge=0, le=1)] = 0.95
    pseudo_weight: Annotated[float, Field(ge=0)] = 1.0
    pseudo_ramp: Annotated[float, Field(ge=0, le=1)] = 0.3

    def __post_init__(self) -> None:
        if self.teacher and self.adversary != "none":
            raise ValueError(f"teacher must go without an adversary, got {self.adversary}")


def planes(images: Array, spec: InputSpec) -> Tensor:
    """Images `(N, H, W, 3)` -> uint8 `(N, C, height, width)`, laid as the server lays them."""
    plain = spec.model_copy(update={"dtype": "uint8", "layout": "NCHW"})
    return torch.from_numpy(np.stack([fit(image, plain) for image in images]))


class ClassifierCourse:
    """Batches and loss of a classifier.

    Args:
        learnt: uint8 `(N, C, H, W)` and int64 `(N,)`.
        held: the same of pictures that are not learnt from.
        unlabelled: share of the learnt pictures whose labels are forgotten before anything else is done.
        teacher: gives logits for the same input; in evaluation mode.
    """

    def __init__(
        self,
        learnt: tuple[Tensor, Tensor],
        held: tuple[Tensor, Tensor],
        classes: int,
        spec: InputSpec,
        objective: Classes,
        augment: Augment,
        settings: Settings,
        *,
        unlabelled: float = 0.0,
        teacher: nn.Module | None = None,
    ) -> None:
        kept, rest = parted(len(learnt[0]), unlabelled, settings.seed)
        self.images, self.labels = (column[kept] for column in learnt)
        self.unlabelled = learnt[0][rest]
        self.held, self.classes, self.teacher = held, classes, teacher
        self.objective, self.augment, self.settings = objective, augment, settings
        self.guesses = Guesses(objective.pseudo_threshold, objective.pseudo_weight, objective.pseudo_ramp)
        self.mean, self.std = (torch.tensor(v).view(1, -1, 1, 1) for v in (spec.mean, spec.std))
        self.steps = max(len(self.images), len(self.unlabelled)) // settings.batch

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, ...]]:
        """Normalised images, soft labels `(N, classes)` and the adversary's start; one order an epoch.

        With pictures without labels, two views of as many of those come after them; the shorter of the
        two lists begins again when it is through.
        """
        size = self.settings.batch
        generator = torch.Generator().manual_seed(self.settings.seed * 1000 + epoch)
        order = torch.randperm(len(self.images), generator=generator)
        draws = np.random.Generator(np.random.Philox(key=[self.settings.seed, epoch]))
        others = self._others(epoch)
        for first in range(0, self.steps * size, size):
            rows = order[torch.arange(first, first + size) % len(order)]
            images = self._augmented(self.images[rows].float(), generator)
            soft = soft_labels(self.labels[rows], self.classes, self.objective.smoothing)
            if self.objective.mixup:
                share = float(draws.beta(self.objective.mixup, self.objective.mixup))
                pair = torch.randperm(size, generator=generator)
                images, soft = (share * t + (1 - share) * t[pair] for t in (images, soft))
            start = torch.rand(images.shape, generator=generator) * 2 - 1
            yield self._laid(images), soft, start, *next(others, ())

    def _others(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Two views of pictures without labels: as all are augmented, and with a blanked square more."""
        if not len(self.unlabelled):
            return
        size = self.settings.batch
        generator = torch.Generator().manual_seed(self.settings.seed * 1000 + epoch + 500_000_000)
        order = torch.randperm(len(self.unlabelled), generator=generator)
        side = self.unlabelled.shape[-1] // 2
        for first in range(0, self.steps * size, size):
            levels = self.unlabelled[order[torch.arange(first, first + size) % len(order)]].float()
            weak, strong = (self._augmented(levels, generator) for _ in range(2))
            yield self._laid(weak), self._laid(cut(strong, side, generator))

    def _laid(self, images: Tensor) -> Tensor:
        layout = torch.channels_last if self.settings.bfloat16 else torch.contiguous_format
        return images.contiguous(memory_format=layout)

    def _augmented(self, levels: Tensor, generator: torch.Generator) -> Tensor:
        wanted = self.augment
        if wanted.shift:
            levels = shifted(levels, wanted.shift, generator)
        if wanted.across:
            mirrored = torch.rand(len(levels), generator=generator) < 0.5
            levels = torch.where(mirrored.view(-1, 1, 1, 1), levels.flip(-1), levels)
        if wanted.colour:
            levels = coloured(levels, wanted.colour, generator)
        images = (levels - self.mean) / self.std
        return cut(images, wanted.cutout, generator) if wanted.cutout else images

    def loss(self, net: nn.Module, batch: tuple[Tensor, ...], done: float) -> Tensor:
        """What the trainer makes small."""
        images, soft, start, *views = batch
        rule, wanted = CLASS_LOSSES[self.objective.loss], self.objective
        if views:  # one look at all of them, so that a batch norm sees one crowd
            own, weak, strong = net(torch.cat([images, *views])).float().split(len(images))
            return self._told(rule(own, soft), own, images) + self.guesses.loss(weak, strong, done)
        if wanted.adversary == "none":
            logits = net(images).float()
            return self._told(rule(logits, soft), logits, images)
        radius = wanted.epsilon * min(1.0, 3 * done) / self.std  # the net sees levels divided by std
        low, high = (0 - self.mean) / self.std, (255 - self.mean) / self.std
        limits: dict[str, Any] = {
            "radius": radius,
            "low": low,
            "high": high,
            "steps": wanted.steps,
            "start": start,
        }
        if wanted.adversary == "pgd":
            return rule(net(pgd(net, images, soft, **limits)).float(), soft)
        clean = net(images).float()
        moved = net(trades(net, images, **limits)).float()
        apart = functional.kl_div(
            moved.log_softmax(dim=1), clean.log_softmax(dim=1), log_target=True, reduction="batchmean"
        )
        return rule(clean, soft) + wanted.beta * apart

    def _told(self, value: Tensor, logits: Tensor, images: Tensor) -> Tensor:
        """The loss by the labels, or the teacher's share beside it."""
        if self.teacher is None:
            return value
        with torch.no_grad():
            wise = self.teacher(images).float()
        share, temperature = self.objective.share, self.objective.temperature
        return (1 - share) * value + share * distillation(logits, wise, temperature=temperature)

    def check(self, net: nn.Module) -> dict[str, float]:
        """Loss (plain cross entropy) and accuracy on the held-out pictures."""
        images, labels = self.held
        losses, right = 0.0, 0
        with torch.no_grad():
            for first in range(0, len(images), 256):
                some = (images[first : first + 256].float() - self.mean) / self.std
                with torch.autocast("cpu", torch.bfloat16, enabled=self.settings.bfloat16):
                    logits = net(some).float()
                wanted = labels[first : first + 256]
                losses += float(functional.cross_entropy(logits, wanted, reduction="sum"))
                right += int((logits.argmax(dim=1) == wanted).sum())
        return {"held_loss": losses / len(images), "held_accuracy": right / len(images)}

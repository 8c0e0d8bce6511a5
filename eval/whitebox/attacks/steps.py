"""Attacks of equal steps along the gradient: FGSM, PGD, MI-FGSM."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch

from eval.whitebox.attacks.base import Landscape, WhiteBox, uphill
from eval.whitebox.attacks.losses import cross_entropy

__all__ = ["Fgsm", "MiFgsm", "Pgd"]


@dataclass(frozen=True)
class Fgsm(WhiteBox):
    """One step to the edge of the ball: Goodfellow, Shlens, Szegedy 2014, arXiv 1412.6572, section 4.

    **Differences**: in L2 the step is the gradient made as long as the radius.
    """

    name: ClassVar[str] = "fgsm"
    attempts: int = 1

    def climb(self, land: Landscape, attempt: int) -> None:
        _, slope = land.look(land.origin, cross_entropy)
        land.look(land.inside(land.origin + land.radius * uphill(slope, land.norm)), cross_entropy)


@dataclass(frozen=True)
class Pgd(WhiteBox):
    """Many steps from a random point: Madry et al. 2017, arXiv 1706.06083, section 2.1.

    **Differences**: the step is 2.5 radii divided by their number, so that the edge can be reached from
    anywhere (the paper's for L2). The best point seen counts, not the last. In L2 it ends up to 2 % short
    of a linear model's optimum, however many steps: a way of 2.5 radii turns no further from a random point.

    Attributes:
        steps: 40 in the paper's attacks on MNIST.
    """

    name: ClassVar[str] = "pgd"
    steps: int = 40
    attempts: int = 1

    def climb(self, land: Landscape, attempt: int) -> None:
        point, size = land.anywhere(attempt), 2.5 * land.radius / self.steps
        for _ in range(self.steps):
            _, slope = land.look(point, cross_entropy)
            point = land.inside(point + size * uphill(slope, land.norm))
        land.look(point, cross_entropy)


@dataclass(frozen=True)
class MiFgsm(WhiteBox):
    """Steps along the sum of past gradients: Dong et al. 2017, arXiv 1710.06081, algorithm 1.

    Meant for models that are not the twin: the sum forgets what is special to one.

    Attributes:
        steps, decay: T and mu of the paper.
    """

    name: ClassVar[str] = "mi_fgsm"
    steps: int = 10
    decay: float = 1.0
    attempts: int = 1

    def climb(self, land: Landscape, attempt: int) -> None:
        point, past = land.origin, torch.zeros_like(land.origin)
        for _ in range(self.steps):
            _, slope = land.look(point, cross_entropy)
            # The sum of magnitudes may vanish where the softmax is sure; any scale will do then.
            past = self.decay * past + slope / slope.abs().sum(dim=(1, 2, 3), keepdim=True).clamp_min(1e-30)
            point = land.inside(point + land.radius / self.steps * uphill(past, land.norm))
        land.look(point, cross_entropy)

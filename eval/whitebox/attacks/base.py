"""What all white-box attacks share: the ball they stay in, and what they have seen there."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import ClassVar, Literal, TypeAlias

import numpy as np
import torch
from torch import Tensor

from eval.attacks.base import Draw
from eval.whitebox.attacks.losses import Aim, Loss

__all__ = ["Landscape", "Logits", "WhiteBox", "lengths", "uphill"]

Logits: TypeAlias = Callable[[Tensor], Tensor]  # levels (N, H, W, C) -> logits (N, K)


class Landscape:
    """Pictures of one size, the twin's logits around them, and the lowest margin seen of each.

    Attributes:
        origin: float32 `(N, H, W, C)`, the pictures in 8-bit levels; C is 1 for grey ones.
        aim: what is wanted of each.
        norm, radius: the ball, in levels; of one channel where C is 1.
        best, least: the point of the lowest margin, and that margin, float64.
        slope: at the best point, of the loss that was climbed there.
        flat: bool `(N,)`: the first slope was 0 everywhere, so there was no way to go.
    """

    def __init__(
        self,
        logits: Logits,
        origin: Tensor,
        aim: Aim,
        norm: Literal["linf", "l2"],
        radius: float,
        draws: Sequence[Draw],
    ) -> None:
        self.logits, self.origin, self.aim = logits, origin, aim
        self.norm, self.radius, self._draws = norm, radius, draws
        self.best, self.slope = origin.clone(), torch.zeros_like(origin)
        self.least = torch.full((len(origin),), torch.inf, dtype=torch.float64)
        self.flat: Tensor | None = None

    def look(self, points: Tensor, loss: Loss) -> tuple[Tensor, Tensor]:
        """The loss `(N,)` at points of the ball, float64, and its slope there; the best is remembered."""
        points = points.detach().requires_grad_()
        logits = self.logits(points).double()  # a sure softmax would vanish in float32
        values = loss(logits, self.aim)
        (slope,) = torch.autograd.grad(values.sum(), points)
        if self.flat is None:
            self.flat = (slope == 0).flatten(1).all(dim=1)
        reached = self.aim.margins(logits.detach())
        lower = reached < self.least
        self.least = torch.where(lower, reached, self.least)
        self.best = torch.where(_each(lower), points.detach(), self.best)
        self.slope = torch.where(_each(lower), slope, self.slope)
        return values.detach(), slope

    def inside(self, points: Tensor) -> Tensor:
        """The points, brought into the ball and 0..255."""
        delta = points - self.origin
        if self.norm == "linf":
            delta = delta.clamp(-self.radius, self.radius)
        else:
            delta = delta * (self.radius / lengths(delta).clamp_min(self.radius))
        return (self.origin + delta).clamp(0, 255)

    def anywhere(self, step: int) -> Tensor:
        """A random point: anywhere in the cube, or on the sphere of the ball."""
        shape = tuple(self.origin.shape[1:])
        drawn = [
            draw(step).uniform(-1, 1, shape) if self.norm == "linf" else draw(step).normal(size=shape)
            for draw in self._draws
        ]
        noise = torch.from_numpy(np.stack(drawn)).to(self.origin.dtype)
        if self.norm == "l2":
            noise = noise / lengths(noise)
        return self.inside(self.origin + self.radius * noise)


def uphill(slope: Tensor, norm: str) -> Tensor:
    """The direction of length 1 in the norm that rises most."""
    if norm == "linf":
        return slope.sign()
    scaled = slope / slope.abs().amax(dim=(1, 2, 3), keepdim=True).clamp_min(1e-30)  # squares would vanish
    return scaled / lengths(scaled).clamp_min(1e-12)


def lengths(x: Tensor) -> Tensor:
    """Euclidean, `(N, 1, 1, 1)`."""
    return x.square().sum(dim=(1, 2, 3), keepdim=True).sqrt()


def _each(told: Tensor) -> Tensor:
    return told[:, None, None, None]


class WhiteBox(ABC):
    """An attack that sees the gradients of a twin. Write `climb`; what it looked at is remembered for it.

    Attributes:
        name: in tables and reports; part of the key of every draw.
        fewest: classes that it needs.
        attempts: how often it begins anew with what is not fooled yet.
    """

    name: ClassVar[str]
    fewest: ClassVar[int] = 2
    attempts: int

    @abstractmethod
    def climb(self, land: Landscape, attempt: int) -> None:
        """Look at points of the ball, each better than the last."""

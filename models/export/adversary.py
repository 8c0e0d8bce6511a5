"""Projected gradient descent: the adversary a robust net is trained against."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["pgd"]


def pgd(
    net: nn.Module, images: Tensor, labels: Tensor, *, epsilon: float, steps: int, start: Tensor
) -> Tensor:
    """The images moved, within L-infinity `epsilon`, to where the cross entropy is large.

    Madry et al. 2017, "Towards deep learning models resistant to adversarial attacks",
    arXiv 1706.06083: random start, sign steps of 2.5 epsilon / steps, projection.

    Args:
        images: float32 `(N, ...)` in [0, 1].
        epsilon: in the same unit.
        start: like images, in [-1, 1]; where in the ball to begin.
    """
    step = 2.5 * epsilon / steps
    moved = (images + epsilon * start).clamp(0, 1)
    for _ in range(steps):
        moved.requires_grad_()
        loss = functional.cross_entropy(net(moved), labels)
        (gradient,) = torch.autograd.grad(loss, moved)
        with torch.no_grad():
            moved = moved + step * gradient.sign()
            moved = images + (moved - images).clamp(-epsilon, epsilon)
            moved = moved.clamp(0, 1)
    return moved.detach()

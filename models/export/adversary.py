"""The adversaries that robust nets are trained against: projected gradient ascent within a box."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

__all__ = ["pgd", "trades"]


def pgd(
    net: nn.Module,
    images: Tensor,
    labels: Tensor,
    *,
    radius: Tensor | float,
    low: Tensor | float,
    high: Tensor | float,
    steps: int,
    start: Tensor,
) -> Tensor:
    """The images moved, within L-infinity `radius`, to where the cross entropy is large.

    Madry et al. 2017, "Towards deep learning models resistant to adversarial attacks",
    arXiv 1706.06083: random start, sign steps of 2.5 radius / steps, projection.

    Args:
        images: float32 `(N, C, H, W)`, in the net's own unit.
        labels: int64 `(N,)`, or float32 `(N, classes)`.
        radius, low, high: of the box, in the same unit; a number or one for each channel.
        start: like images, in [-1, 1]; where in the box to begin.
    """
    return _ascent(
        net, images, lambda logits: functional.cross_entropy(logits, labels), radius, low, high, steps, start
    )


def trades(
    net: nn.Module,
    images: Tensor,
    *,
    radius: Tensor | float,
    low: Tensor | float,
    high: Tensor | float,
    steps: int,
    start: Tensor,
) -> Tensor:
    """The images moved to where the net says something else than of the clean ones.

    Zhang et al. 2019, "Theoretically principled trade-off between robustness and accuracy",
    arXiv 1901.08573, algorithm 1: the divergence of the answers is what grows.
    **Differences**: the start is uniform in the box, and the steps are those of `pgd`.
    """
    with torch.no_grad():
        clean = net(images).float().log_softmax(dim=1)

    def apart(logits: Tensor) -> Tensor:
        return functional.kl_div(logits.log_softmax(dim=1), clean, log_target=True, reduction="batchmean")

    return _ascent(net, images, apart, radius, low, high, steps, start)


def _ascent(
    net: nn.Module,
    images: Tensor,
    objective: Callable[[Tensor], Tensor],
    radius: Tensor | float,
    low: Tensor | float,
    high: Tensor | float,
    steps: int,
    start: Tensor,
) -> Tensor:
    low, high = torch.as_tensor(low), torch.as_tensor(high)
    least, most = torch.maximum(images - radius, low), torch.minimum(images + radius, high)
    moved = torch.clamp(images + radius * start, least, most)
    for _ in range(steps):
        moved.requires_grad_()
        (gradient,) = torch.autograd.grad(objective(net(moved).float()), moved)
        with torch.no_grad():
            moved = torch.clamp(moved + 2.5 / steps * radius * gradient.sign(), least, most)
    return moved.detach()

"""What an attack climbs: losses of logits, one number a picture, higher is more wrong."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import torch
from torch import Tensor

from eval.whitebox.node import Unsupported

__all__ = ["Loss", "cross_entropy", "dlr", "margins", "targeted_dlr"]

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]  # logits (N, K), labels (N,) -> (N,)
LEAST = 1e-12  # of a denominator


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """The true class's logit less the best other's; below 0 is fooled."""
    own = logits.gather(1, labels[:, None])[:, 0]
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return own - others.max(dim=1).values


def cross_entropy(logits: Tensor, labels: Tensor) -> Tensor:
    """Log-odds of any other class: cross-entropy on a scale on which it never vanishes.

    Cross-entropy is softplus of this, so it rises and falls with it and its gradient has the same
    direction; but at a probability of 1 the gradient is 0 in floating point, which hides a model as if
    it were robust (Carlini and Wagner 2016, arXiv 1608.04644, section IV-A).
    """
    own = logits.gather(1, labels[:, None])[:, 0]
    return logits.scatter(1, labels[:, None], -torch.inf).logsumexp(dim=1) - own


def dlr(logits: Tensor, labels: Tensor) -> Tensor:
    """Difference of logits ratio: Croce and Hein 2020, arXiv 2003.01690, equation 6.

    The margin divided by the distance of the highest logit from the third: neither a shift nor a scale
    of the logits changes it, so a saturated softmax hides nothing.

    Raises:
        Unsupported: fewer than 3 classes.
    """
    best = _highest(logits, 3)
    return -margins(logits, labels) / (best[:, 0] - best[:, 2] + LEAST)


def targeted_dlr(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """The same toward a class of one's choice: equation 7. Raises Unsupported with fewer than 4 classes."""
    best = _highest(logits, 4)
    own, wished = (logits.gather(1, which[:, None])[:, 0] for which in (labels, targets))
    return (wished - own) / (best[:, 0] - (best[:, 2] + best[:, 3]) / 2 + LEAST)


def _highest(logits: Tensor, count: int) -> Tensor:
    if logits.shape[1] < count:
        raise Unsupported(f"this loss needs {count} classes, got {logits.shape[1]}; use apgd_ce or pgd")
    return logits.topk(count, dim=1).values

"""What an attack climbs: losses of logits, one number a picture, higher is nearer to what is wanted."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

from eval.whitebox.node import Unsupported

__all__ = ["Aim", "Loss", "cross_entropy", "dlr", "margins", "targeted_dlr"]

LEAST = 1e-12  # of a denominator


@dataclass(frozen=True, slots=True, eq=False)
class Aim:
    """What is wanted of some pictures.

    Attributes:
        labels: int64 `(N,)`, the truth.
        targets: int64 `(N,)`, the classes to be reached; None where any other than the truth will do.
    """

    labels: Tensor
    targets: Tensor | None = None

    def margins(self, logits: Tensor) -> Tensor:
        """`(N,)`, how far it is to the aim; below 0 is there."""
        if self.targets is None:
            return margins(logits, self.labels)
        return -margins(logits, self.targets)


Loss: TypeAlias = Callable[[Tensor, Aim], Tensor]  # of logits (N, K) -> (N,)


def margins(logits: Tensor, labels: Tensor) -> Tensor:
    """A class's logit less the best other's."""
    own = logits.gather(1, labels[:, None])[:, 0]
    others = logits.scatter(1, labels[:, None], -torch.inf)
    return own - others.max(dim=1).values


def cross_entropy(logits: Tensor, aim: Aim) -> Tensor:
    """Log-odds of any class but the true one, or of the target: cross-entropy where it never vanishes.

    Cross-entropy is softplus of this (targeted: of its negative), so it rises and falls with it and its
    gradient has the same direction; but at a probability of 1 the gradient is 0 in floating point, which
    hides a model as if it were robust (Carlini and Wagner 2016, arXiv 1608.04644, section IV-A).
    """
    if aim.targets is None:
        return -_log_odds(logits, aim.labels)
    return _log_odds(logits, aim.targets)


def dlr(logits: Tensor, aim: Aim) -> Tensor:
    """Difference of logits ratio: Croce and Hein 2020, arXiv 2003.01690, equation 6; with targets, 7.

    The margin divided by the distance of the highest logit from the third: neither a shift nor a scale
    of the logits changes it, so a saturated softmax hides nothing.

    Raises:
        Unsupported: fewer than 3 classes; with targets, than 4.
    """
    if aim.targets is not None:
        return targeted_dlr(logits, aim.labels, aim.targets)
    best = _highest(logits, 3)
    return -margins(logits, aim.labels) / (best[:, 0] - best[:, 2] + LEAST)


def targeted_dlr(logits: Tensor, labels: Tensor, targets: Tensor) -> Tensor:
    """Toward a class of one's choice: equation 7. Raises Unsupported with fewer than 4 classes."""
    best = _highest(logits, 4)
    own, wished = (logits.gather(1, which[:, None])[:, 0] for which in (labels, targets))
    return (wished - own) / (best[:, 0] - (best[:, 2] + best[:, 3]) / 2 + LEAST)


def _log_odds(logits: Tensor, which: Tensor) -> Tensor:
    own = logits.gather(1, which[:, None])[:, 0]
    return own - logits.scatter(1, which[:, None], -torch.inf).logsumexp(dim=1)


def _highest(logits: Tensor, count: int) -> Tensor:
    if logits.shape[1] < count:
        raise Unsupported(f"this loss needs {count} classes, got {logits.shape[1]}; use apgd_ce or pgd")
    return logits.topk(count, dim=1).values

"""Learning from pictures without labels: what the net is sure of is the label of another view."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["Guesses", "parted"]


def parted(count: int, unlabelled: float, seed: int) -> tuple[Tensor, Tensor]:
    """Rows that keep their labels, and rows that do not: a draw that does not look at them.

    Raises:
        ValueError: no row would keep its label.
    """
    order = torch.arange(count)
    if unlabelled:
        order = torch.randperm(count, generator=torch.Generator().manual_seed(seed))
    kept = count - round(count * unlabelled)
    if kept < 1:
        raise ValueError(f"unlabelled must leave at least one of {count} labels, got {unlabelled}")
    return order[:kept].sort().values, order[kept:].sort().values


@dataclass(frozen=True, slots=True)
class Guesses:
    """Pseudo-labels: the surest class of one view is the label of the other.

    Lee 2013, "Pseudo-label: the simple and efficient semi-supervised learning method for deep neural
    networks", with the threshold and the two views of FixMatch (Sohn et al. 2020, arXiv 2001.07685).
    **Differences**: the stronger view is the weaker one's augmentation and a blanked square; as many
    pictures without labels as with; the weight rises as Lee's does.

    Attributes:
        threshold: least probability of a guess that counts.
        weight: of the loss; `ramp`: share of the training over which it rises from 0.
    """

    threshold: float
    weight: float
    ramp: float

    def loss(self, weak: Tensor, strong: Tensor, done: float) -> Tensor:
        """Cross entropy of the strong views' logits against the guesses of the weak ones.

        A mean over all pictures: those nobody is sure of count as 0.

        Args:
            weak, strong: `(N, classes)`, before softmax.
            done: share of the training that is done.
        """
        chance, guess = weak.detach().softmax(dim=1).max(dim=1)
        sure = (chance >= self.threshold).float()
        apart = functional.cross_entropy(strong, guess, reduction="none")
        rising = min(1.0, done / self.ramp) if self.ramp else 1.0
        return self.weight * rising * (sure * apart).mean()

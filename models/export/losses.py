"""What the nets are trained to make small. Reductions are means, in float32."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["box_loss", "dice_loss", "heat_loss", "pixel_loss"]


def heat_loss(logits: Tensor, heat: Tensor) -> Tensor:
    """Penalty-reduced focal loss of a centre heat map.

    Zhou et al. 2019, arXiv 1904.07850, equation 1, alpha 2 and beta 4.

    Args:
        logits: `(N, C, h, w)`.
        heat: `(N, C, h, w)` in [0, 1]; exactly 1 at the cell of a centre.
    """
    score = torch.sigmoid(logits).clamp(1e-4, 1 - 1e-4)
    centre = heat >= 1
    hit = (1 - score) ** 2 * torch.log(score)
    miss = (1 - heat) ** 4 * score**2 * torch.log(1 - score)
    return -torch.where(centre, hit, miss).sum() / centre.sum().clamp(min=1)


def box_loss(reach: Tensor, expected: Tensor, weight: Tensor) -> Tensor:
    """1 - generalised IoU of two boxes that share their anchor point, averaged by weight.

    Rezatofighi et al. 2019, arXiv 1902.09630.

    Args:
        reach, expected: `(N, 4, h, w)` distances to left, top, right, bottom; pixels.
        weight: `(N, h, w)`, 0 where there is no box.
    """
    shared = torch.minimum(reach, expected).clamp(min=0)
    hull = torch.maximum(reach, expected)
    inner = (shared[:, 0] + shared[:, 2]) * (shared[:, 1] + shared[:, 3])
    outer = (hull[:, 0] + hull[:, 2]) * (hull[:, 1] + hull[:, 3])
    areas = [(b[:, 0] + b[:, 2]) * (b[:, 1] + b[:, 3]) for b in (reach, expected)]
    union = areas[0] + areas[1] - inner
    giou = inner / union.clamp(min=1e-6) - (outer - union) / outer.clamp(min=1e-6)
    return ((1 - giou) * weight).sum() / weight.sum().clamp(min=1e-6)


def pixel_loss(logits: Tensor, labels: Tensor, *, ignore: int = 255) -> Tensor:
    """Cross entropy over pixels; those labelled `ignore` do not count."""
    return functional.cross_entropy(logits, labels, ignore_index=ignore)


def dice_loss(logits: Tensor, labels: Tensor, *, ignore: int = 255) -> Tensor:
    """1 - soft Dice, mean over classes (Milletari et al. 2016, arXiv 1606.04797), per batch."""
    counted = (labels != ignore)[:, None]
    chance = torch.softmax(logits, dim=1) * counted
    truth = functional.one_hot(labels.where(counted[:, 0], 0), logits.shape[1]).movedim(-1, 1) * counted
    both, each = (chance * truth).sum((0, 2, 3)), (chance + truth).sum((0, 2, 3))
    return 1 - ((2 * both + 1) / (each + 1)).mean()

"""What the nets are trained to make small. Reductions are means, in float32."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

__all__ = [
    "CLASS_LOSSES",
    "box_loss",
    "dice_loss",
    "distillation",
    "focal_loss",
    "generalised_cross_entropy",
    "heat_loss",
    "mean_squared_error",
    "pixel_loss",
    "soft_labels",
]


def soft_labels(labels: Tensor, classes: int, smoothing: float = 0.0) -> Tensor:
    """float32 `(N, classes)`: the label's share is 1 - smoothing, and smoothing is spread over all.

    Szegedy et al. 2015, arXiv 1512.00567, section 7.
    """
    hard = functional.one_hot(labels, classes).float()
    return hard * (1 - smoothing) + smoothing / classes


def mean_squared_error(logits: Tensor, soft: Tensor) -> Tensor:
    """Squared distance of the probabilities to the labels, the sum over classes (the Brier score)."""
    return (logits.softmax(dim=1) - soft).square().sum(dim=1).mean()


def generalised_cross_entropy(logits: Tensor, soft: Tensor, *, power: float = 0.7) -> Tensor:
    """(1 - p^q) / q of the labels' probability p: between cross entropy (q to 0) and 1 - p (q = 1).

    Zhang and Sabuncu 2018, arXiv 1805.07836, equation 6; less moved by wrong labels.
    """
    chance = logits.softmax(dim=1).clamp_min(1e-7)
    return (soft * (1 - chance**power) / power).sum(dim=1).mean()


def focal_loss(logits: Tensor, soft: Tensor, *, gamma: float = 2.0) -> Tensor:
    """Cross entropy weighted by (1 - p)^gamma: the sure ones count little.

    Lin et al. 2017, arXiv 1708.02002, equation 4, over a softmax.
    """
    sure = logits.log_softmax(dim=1)
    return -(soft * (1 - sure.exp()) ** gamma * sure).sum(dim=1).mean()


def distillation(logits: Tensor, teacher: Tensor, *, temperature: float = 4.0) -> Tensor:
    """Kullback-Leibler divergence of the teacher's softened answer from the student's.

    Hinton et al. 2015, arXiv 1503.02531; times temperature squared, so that gradients keep their size.

    Args:
        logits, teacher: `(N, classes)`, before softmax.
    """
    student, wise = ((t / temperature).log_softmax(dim=1) for t in (logits, teacher))
    apart = functional.kl_div(student, wise, log_target=True, reduction="batchmean")
    return apart * temperature**2


# Of logits `(N, classes)` and soft labels `(N, classes)`.
CLASS_LOSSES: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {
    "cross_entropy": functional.cross_entropy,
    "mean_squared_error": mean_squared_error,
    "generalised_cross_entropy": partial(generalised_cross_entropy, power=0.7),
    "focal": partial(focal_loss, gamma=2.0),
}


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


def pixel_loss(logits: Tensor, labels: Tensor, *, ignore: int = 255, weight: Tensor | None = None) -> Tensor:
    """Cross entropy over pixels, by weight of their class; those labelled `ignore` do not count."""
    return functional.cross_entropy(logits, labels, weight=weight, ignore_index=ignore)


def dice_loss(logits: Tensor, labels: Tensor, *, ignore: int = 255) -> Tensor:
    """1 - soft Dice, mean over classes (Milletari et al. 2016, arXiv 1606.04797), per batch."""
    counted = (labels != ignore)[:, None]
    chance = torch.softmax(logits, dim=1) * counted
    truth = functional.one_hot(labels.where(counted[:, 0], 0), logits.shape[1]).movedim(-1, 1) * counted
    both, each = (chance * truth).sum((0, 2, 3)), (chance + truth).sum((0, 2, 3))
    return 1 - ((2 * both + 1) / (each + 1)).mean()

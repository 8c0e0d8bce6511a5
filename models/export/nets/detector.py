"""An anchor-free detector: a heat map of centres, and how far each side of the box is.

Heat map and focal loss: Zhou et al. 2019, "Objects as points", arXiv 1904.07850. Box distances
trained around the centre: Liu et al. 2019, "Training-time-friendly network", arXiv 1909.00700.
**Differences**: one level at stride 4, no dilated or deformable convolutions.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from models.export.nets.blocks import Backbone, TopDown, convolution

__all__ = ["STRIDE", "Detector", "decode"]

STRIDE = 4
TIE = 1e-4  # cells this close to the best are peaks too: the last digit must not decide, it varies by machine
RARE = 0.01  # of the cells hold an object: the heat's starting guess, so that early loss is sane


class Detector(nn.Module):
    """Normalised images `(N, 3, H, W)` -> boxes `(N, P, 4)` xyxy of the input, scores `(N, P, C)`."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.neck = TopDown(Backbone.widths[1:], 48)
        self.hidden = convolution(48, 64)
        self.heat = nn.Conv2d(64, classes, 1)
        self.reach = nn.Conv2d(64, 4, 1)
        with torch.no_grad():
            self.heat.bias.fill_(-math.log(1 / RARE - 1))  # type: ignore[union-attr]  # it has one

    def raw(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Heat logits `(N, C, h, w)` and distances to left, top, right, bottom `(N, 4, h, w)`, pixels."""
        return self.raw_of(self.backbone(x))

    def raw_of(self, features: list[Tensor]) -> tuple[Tensor, Tensor]:
        """The same, from the backbone's features."""
        hidden = self.hidden(self.neck(features[1:]))
        return self.heat(hidden), torch.exp(self.reach(hidden).clamp(-3, 4)) * STRIDE

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return decode(*self.raw(x))


def decode(heat: Tensor, reach: Tensor) -> tuple[Tensor, Tensor]:
    """Boxes and scores of every cell; a cell that is no local peak of its class scores 0."""
    rows, cols = torch.arange(reach.shape[2]), torch.arange(reach.shape[3])
    y, x = torch.meshgrid(rows, cols, indexing="ij")
    centre = (torch.stack([x, y]) * STRIDE + STRIDE / 2).to(reach)
    boxes = torch.cat([centre - reach[:, :2], centre + reach[:, 2:]], dim=1)
    scores = torch.sigmoid(heat)
    peaks = scores >= nn.functional.max_pool2d(scores, 3, stride=1, padding=1) - TIE
    scores = scores * peaks.to(scores)
    return boxes.flatten(2).transpose(1, 2), scores.flatten(2).transpose(1, 2)

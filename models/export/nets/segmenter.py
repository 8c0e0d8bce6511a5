"""A small U-Net-like segmenter: the detector's backbone, a top-down path to stride 2."""

from __future__ import annotations

from torch import Tensor, nn

from models.export.nets.blocks import Backbone, TopDown, convolution

__all__ = ["Segmenter"]


class Segmenter(nn.Module):
    """Normalised images `(N, 3, H, W)` -> class logits `(N, C, H / 2, W / 2)`."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.backbone = Backbone()
        self.neck = TopDown(Backbone.widths, 32)
        self.head = nn.Sequential(convolution(32, 32), nn.Conv2d(32, classes, 1))

    def forward(self, x: Tensor) -> Tensor:
        return self.logits_of(self.backbone(x))

    def logits_of(self, features: list[Tensor]) -> Tensor:
        """The logits, from the backbone's features."""
        logits: Tensor = self.head(self.neck(features))
        return logits

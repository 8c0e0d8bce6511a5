"""A detector and a segmenter on one backbone (Caruana 1997, "Multitask learning")."""

from __future__ import annotations

from torch import Tensor, nn

from models.export.nets.detector import Detector
from models.export.nets.segmenter import Segmenter

__all__ = ["MultiTask"]


class MultiTask(nn.Module):
    """Normalised images `(N, 3, H, W)` -> what the detector says and what the segmenter says.

    Its parts `detector` and `segmenter` are whole nets that share the backbone: each is exported
    as if it had been trained alone.

    Args:
        classes: of objects; the segmenter has one more, the background.
    """

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.detector, self.segmenter = Detector(classes), Segmenter(1 + classes)
        self.backbone = self.segmenter.backbone = self.detector.backbone

    def raw(self, x: Tensor) -> tuple[tuple[Tensor, Tensor], Tensor]:
        """(heat logits, reach) and class logits; see the two nets."""
        features = self.backbone(x)
        return self.detector.raw_of(features), self.segmenter.logits_of(features)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        boxes, scores = self.detector(x)
        return boxes, scores, self.segmenter(x)

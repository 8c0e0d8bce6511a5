"""A small residual classifier for small pictures, with the choices a training may make."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from models.export.nets.blocks import ATTENTION, POOLING, Attention, Pooling, Style, conv, initialise

__all__ = ["ResidualNet"]


class _Pair(nn.Module):
    """Two convolutions beside a short cut (He et al. 2015, arXiv 1512.03385, figure 2)."""

    def __init__(self, wide: int, style: Style, attention: Attention) -> None:
        super().__init__()
        self.first, self.second = conv(wide, wide, style), conv(wide, wide, style, active=False)
        self.attention = ATTENTION[attention](wide)
        self.active = style.active()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.active(x + self.attention(self.second(self.first(x))))
        return out


class ResidualNet(nn.Module):
    """Normalised images `(N, channels, H, W)` -> logits `(N, classes)`.

    Stage after stage: a convolution to the stage's width, 2 x 2 max pooling but in the first, and
    `blocks` residual pairs; then global pooling, dropout and one dense layer.

    Args:
        widths: channels of each stage.
        blocks: residual pairs of each stage.
        attention: inside each pair: none, `squeeze` or `heads`; see `blocks`.
        pooling: what is left of the last map, see `blocks.POOLING`.
        dropout: share of the last features that is left out (Srivastava et al. 2014).
        start: rule of the starting weights, `he` or `xavier`.
    """

    def __init__(
        self,
        classes: int,
        *,
        widths: Sequence[int],
        blocks: Sequence[int],
        channels: int = 3,
        norm: str = "batch",
        activation: str = "relu",
        attention: Attention = "none",
        pooling: Pooling = "average",
        dropout: float = 0.0,
        start: str = "he",
    ) -> None:
        super().__init__()
        style = Style(norm, activation)
        stages: list[nn.Module] = []
        for index, (wide, pairs) in enumerate(zip(widths, blocks, strict=True)):
            stages.append(conv(channels if index == 0 else widths[index - 1], wide, style))
            if index > 0:
                stages.append(nn.MaxPool2d(2))
            stages.extend(_Pair(wide, style, attention) for _ in range(pairs))
        self.backbone = nn.Sequential(*stages)
        self.pool = POOLING[pooling]()
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(widths[-1], classes))
        initialise(self, start)

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.head(self.pool(self.backbone(x)))
        return logits

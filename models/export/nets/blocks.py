"""Blocks the nets are made of: convolution, residual pair, backbone, top-down path."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Backbone", "Residual", "TopDown", "convolution"]


def convolution(wide_in: int, wide_out: int, *, size: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    return nn.Sequential(
        nn.Conv2d(wide_in, wide_out, size, stride, padding=size // 2, bias=False),
        nn.BatchNorm2d(wide_out),
        nn.ReLU(inplace=True),
    )


class Residual(nn.Module):
    """Two convolutions beside a short cut (He et al. 2015, arXiv 1512.03385, figure 2)."""

    def __init__(self, wide: int) -> None:
        super().__init__()
        self.first = convolution(wide, wide)
        self.second = nn.Sequential(nn.Conv2d(wide, wide, 3, padding=1, bias=False), nn.BatchNorm2d(wide))

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.second(self.first(x)))


class Backbone(nn.Module):
    """Features at strides 2, 4, 8 and 16."""

    widths = (16, 32, 64, 96)

    def __init__(self) -> None:
        super().__init__()
        a, b, c, d = self.widths
        self.stride2 = convolution(3, a, stride=2)
        self.stride4 = nn.Sequential(convolution(a, b, stride=2), Residual(b))
        self.stride8 = nn.Sequential(convolution(b, c, stride=2), Residual(c), Residual(c))
        self.stride16 = nn.Sequential(convolution(c, d, stride=2), Residual(d), Residual(d))

    def forward(self, x: Tensor) -> list[Tensor]:
        features = []
        for stage in (self.stride2, self.stride4, self.stride8, self.stride16):
            x = stage(x)
            features.append(x)
        return features


class TopDown(nn.Module):
    """A feature pyramid (Lin et al. 2016, arXiv 1612.03144) that returns its finest level.

    Args:
        widths: channels of the levels, finest first, each half the size of the one before.
        wide: channels of every level on the way.
    """

    def __init__(self, widths: tuple[int, ...], wide: int) -> None:
        super().__init__()
        self.lateral = nn.ModuleList(nn.Conv2d(w, wide, 1) for w in widths)
        self.smooth = nn.ModuleList(convolution(wide, wide) for _ in widths[:-1])

    def forward(self, features: list[Tensor]) -> Tensor:
        x: Tensor = self.lateral[-1](features[-1])
        for level in range(len(features) - 2, -1, -1):
            x = nn.functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = self.smooth[level](x + self.lateral[level](features[level]))
        return x

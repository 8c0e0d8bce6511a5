"""Attention inside a convolutional net: over channels, and over places with several heads."""

from __future__ import annotations

import torch
from torch import Tensor, nn

__all__ = ["Heads", "Squeeze"]


class Squeeze(nn.Module):
    """Squeeze and excitation: each channel weighted by all of them (Hu et al. 2017, arXiv 1709.01507)."""

    def __init__(self, wide: int, *, reduction: int = 8) -> None:
        super().__init__()
        narrow = max(4, wide // reduction)
        self.weigh = nn.Sequential(
            nn.AdaptiveAvgPool2d(1),
            nn.Conv2d(wide, narrow, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(narrow, wide, 1),
            nn.Sigmoid(),
        )

    def forward(self, x: Tensor) -> Tensor:
        weighted: Tensor = x * self.weigh(x)
        return weighted


class Heads(nn.Module):
    """Multi-head self-attention over the places of a map (Vaswani et al. 2017, arXiv 1706.03762).

    **Differences**: no position code, the convolutions around it see position; 1 x 1 convolutions
    for the dense layers, so that the map keeps its shape; the input is added back, as in
    Wang et al. 2017, arXiv 1711.07971.
    """

    def __init__(self, wide: int, *, heads: int = 4) -> None:
        super().__init__()
        if wide % heads:
            raise ValueError(f"channels must be a multiple of the {heads} heads, got {wide}")
        self.heads = heads
        self.ask = nn.Conv2d(wide, 3 * wide, 1)
        self.tell = nn.Conv2d(wide, wide, 1)

    def forward(self, x: Tensor) -> Tensor:
        images, wide, height, width = x.shape
        parts = self.ask(x).reshape(images, 3, self.heads, wide // self.heads, height * width)
        query, key, value = parts.unbind(dim=1)  # (N, heads, channels, places)
        likeness = query.transpose(2, 3) @ key / (wide // self.heads) ** 0.5
        mixed = value @ torch.softmax(likeness, dim=3).transpose(2, 3)
        told: Tensor = x + self.tell(mixed.reshape(images, wide, height, width))
        return told

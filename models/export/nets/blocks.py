"""Blocks the nets are made of: convolution, residual pair, backbone, top-down path, and their choices."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

import torch
from torch import Tensor, nn

from models.export.nets.attention import Heads, Squeeze

__all__ = [
    "ACTIVATIONS",
    "ATTENTION",
    "NORMS",
    "POOLING",
    "Attention",
    "Backbone",
    "Pooling",
    "Residual",
    "Style",
    "TopDown",
    "conv",
    "convolution",
    "initialise",
]

Attention: TypeAlias = Literal["none", "squeeze", "heads"]
Pooling: TypeAlias = Literal["average", "max", "both"]
NORMS: Mapping[str, Callable[[int], nn.Module]] = {
    "batch": nn.BatchNorm2d,  # Ioffe and Szegedy 2015, arXiv 1502.03167
    "instance": lambda wide: nn.InstanceNorm2d(wide, affine=True),  # Ulyanov et al. 2016, arXiv 1607.08022
    "none": lambda _: nn.Identity(),
}
ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "leaky_relu": lambda: nn.LeakyReLU(0.1, inplace=True),
    "elu": nn.ELU,
    "gelu": nn.GELU,  # Hendrycks and Gimpel 2016, arXiv 1606.08415
    "silu": nn.SiLU,
    "hardswish": nn.Hardswish,  # Howard et al. 2019, arXiv 1905.02244
    "tanh": nn.Tanh,
}
ATTENTION: Mapping[str, Callable[[int], nn.Module]] = {
    "none": lambda _: nn.Identity(),
    "squeeze": Squeeze,
    "heads": Heads,
}


class _Both(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=(2, 3)) + x.amax(dim=(2, 3))


POOLING: Mapping[str, Callable[[], nn.Module]] = {
    "average": lambda: nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten()),
    "max": lambda: nn.Sequential(nn.AdaptiveMaxPool2d(1), nn.Flatten()),
    "both": _Both,
}


@dataclass(frozen=True, slots=True)
class Style:
    """Names of a net's norm and activation."""

    norm: str = "batch"
    activation: str = "relu"

    def active(self) -> nn.Module:
        return ACTIVATIONS[self.activation]()


def conv(
    wide_in: int, wide_out: int, style: Style, *, size: int = 3, stride: int = 1, active: bool = True
) -> nn.Sequential:
    """Convolution, norm and, unless told otherwise, activation; a bias only where there is no norm."""
    bias = style.norm == "none"
    layers = [
        nn.Conv2d(wide_in, wide_out, size, stride, padding=size // 2, bias=bias),
        NORMS[style.norm](wide_out),
    ]
    return nn.Sequential(*layers, style.active()) if active else nn.Sequential(*layers)


def convolution(wide_in: int, wide_out: int, *, size: int = 3, stride: int = 1) -> nn.Sequential:
    """Convolution, batch norm, ReLU."""
    return conv(wide_in, wide_out, Style(), size=size, stride=stride)


def initialise(net: nn.Module, rule: str) -> None:
    """Kernels and matrices drawn anew by a rule, biases zero.

    `he`: He et al. 2015, arXiv 1502.01852, for ReLU, by fan out; `xavier`: Glorot and Bengio 2010.
    """
    rules: Mapping[str, Callable[[Tensor], Tensor]] = {
        "he": lambda w: nn.init.kaiming_normal_(w, mode="fan_out", nonlinearity="relu"),
        "xavier": nn.init.xavier_uniform_,
    }
    if rule not in rules:
        raise ValueError(f"start must be one of {', '.join(rules)}, got {rule!r}")
    for part in net.modules():
        if isinstance(part, nn.Conv2d | nn.Linear):
            rules[rule](part.weight)
            if part.bias is not None:
                nn.init.zeros_(part.bias)


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

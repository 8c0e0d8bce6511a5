"""Quantised values as floats that hold whole numbers, so that gradients pass through.

The straight-through estimator (Bengio et al. 2013, arXiv 1308.3432): rounding has the gradient 1, as if
it were not there; beyond the range of the type it is 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from eval.whitebox.node import Node, Op, require_plain

__all__ = ["OPS"]


class _Round(torch.autograd.Function):
    """Whole numbers, half to even; the gradient goes through as it is."""

    @staticmethod
    def forward(_: Any, x: Tensor) -> Tensor:
        return x.round()

    @staticmethod
    def backward(_: Any, slope: Tensor) -> Tensor:
        return slope


def _fit(node: Node, told: Tensor, x: Tensor) -> Tensor:
    """A scale or a zero point for each channel, shaped to go with `x`."""
    require_plain(node, block_size=0)
    if told.numel() == 1:
        return told.reshape(())
    shape = [1] * x.ndim
    shape[node.get("axis", 1)] = -1
    return told.reshape(shape)


def _quantize(node: Node, x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    kind = torch.iinfo(torch.uint8 if zero is None else zero.dtype)
    levels: Tensor = _Round.apply(x / _fit(node, scale, x))  # type: ignore[no-untyped-call]  # torch's
    if zero is not None:
        levels = levels + _fit(node, zero.to(levels.dtype), x)
    return levels.clamp(kind.min, kind.max)


def _dequantize(node: Node, x: Tensor, scale: Tensor, zero: Tensor | None = None) -> Tensor:
    levels = x.to(scale.dtype)
    if zero is not None:
        levels = levels - _fit(node, zero.to(scale.dtype), x)
    return levels * _fit(node, scale, x)


OPS: Mapping[str, Op] = {"QuantizeLinear": _quantize, "DequantizeLinear": _dequantize}

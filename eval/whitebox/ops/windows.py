"""Operators that slide a window, normalise, or pool over all of a plane."""

from __future__ import annotations

from collections.abc import Mapping

import torch
import torch.nn.functional as f
from torch import Tensor

from eval.whitebox.node import Node, Op, Unsupported, require_plain

__all__ = ["OPS"]

CONVOLVE = {1: f.conv1d, 2: f.conv2d, 3: f.conv3d}
TRANSPOSED = {1: f.conv_transpose1d, 2: f.conv_transpose2d, 3: f.conv_transpose3d}
MAX = {1: f.max_pool1d, 2: f.max_pool2d, 3: f.max_pool3d}


def _window(node: Node, kernel: list[int]) -> tuple[list[int], list[int]]:
    """Strides and dilations."""
    ones = [1] * len(kernel)
    return list(node.get("strides", ones)), list(node.get("dilations", ones))


def _padding(node: Node, sizes: list[int], kernel: list[int]) -> list[tuple[int, int]]:
    """(before, after) of each side, and what `ceil_mode` needs after it."""
    strides, dilations = _window(node, kernel)
    told = list(node.get("pads", [0] * 2 * len(kernel)))
    auto, pads = node.get("auto_pad", "NOTSET"), []
    for i, (size, stride) in enumerate(zip(sizes, strides, strict=True)):
        reach = (kernel[i] - 1) * dilations[i] + 1
        if auto.startswith("SAME"):
            need = max(0, (-(-size // stride) - 1) * stride + reach - size)
            less, more = need // 2, need - need // 2
            pads.append((less, more) if auto == "SAME_UPPER" else (more, less))
            continue
        before, after = (0, 0) if auto == "VALID" else (told[i], told[i + len(kernel)])
        if node.get("ceil_mode", 0):
            steps = -(-(size + before + after - reach) // stride)
            if steps * stride >= size + before:  # a window must begin in the picture or before it
                steps -= 1
            after += max(0, steps * stride + reach - (size + before + after))
        pads.append((before, after))
    return pads


def _padded(x: Tensor, pads: list[tuple[int, int]], value: float = 0.0) -> Tensor:
    if not any(sum(pad) for pad in pads):
        return x
    return f.pad(x, [size for pad in reversed(pads) for size in pad], value=value)


def _conv(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    kernel = list(weight.shape[2:])
    strides, dilations = _window(node, kernel)
    x = _padded(x, _padding(node, list(x.shape[2:]), kernel))
    return CONVOLVE[len(kernel)](x, weight, bias, strides, 0, dilations, node.get("group", 1))


def _conv_transpose(node: Node, x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    kernel = list(weight.shape[2:])
    strides, dilations = _window(node, kernel)
    require_plain(node, auto_pad="NOTSET")
    if "output_shape" in node.attributes:
        raise Unsupported("ConvTranspose with output_shape has no twin; export it with pads")
    extra = list(node.get("output_padding", [0] * len(kernel)))
    told = list(node.get("pads", [0] * 2 * len(kernel)))
    group = node.get("group", 1)
    y = TRANSPOSED[len(kernel)](x, weight, bias, strides, 0, 0, group, dilations)
    cuts = [(-told[i], extra[i] - told[i + len(kernel)]) for i in range(len(kernel))]
    grown = _padded(y, [(0, max(0, after)) for _, after in cuts])
    if bias is not None and any(after > 0 for _, after in cuts):
        raise Unsupported("ConvTranspose with a bias and output_padding beyond its pads has no twin")
    return _padded(grown, [(before, min(0, after)) for before, after in cuts])


def _max_pool(node: Node, x: Tensor) -> Tensor:
    kernel = list(node.get("kernel_shape"))
    strides, dilations = _window(node, kernel)
    if len([name for name in node.outputs if name]) > 1:
        raise Unsupported("MaxPool that also gives indices has no twin")
    low = -torch.inf if x.is_floating_point() else torch.iinfo(x.dtype).min
    x = _padded(x, _padding(node, list(x.shape[2:]), kernel), low)
    return MAX[len(kernel)](x, kernel, strides, 0, dilations)


def _average_pool(node: Node, x: Tensor) -> Tensor:
    """Sums of windows, divided by what counts in each: the picture, and the padding where it is told."""
    kernel = list(node.get("kernel_shape"))
    strides, dilations = _window(node, kernel)
    sizes = list(x.shape[2:])
    pads = _padding(node, sizes, kernel)
    counted = torch.ones((1, 1, *sizes), dtype=x.dtype)
    if node.get("count_include_pad", 0):
        own = list(node.get("pads", [0] * 2 * len(kernel)))
        whole = [(own[i], own[i + len(kernel)]) for i in range(len(kernel))]
        if node.get("auto_pad", "NOTSET") != "NOTSET":
            whole = pads
        counted = _padded(counted, whole, 1.0)
        rest = [(a - c, b - d) for (a, b), (c, d) in zip(pads, whole, strict=True)]
        counted = _padded(counted, rest)
    else:
        counted = _padded(counted, pads)
    ones = torch.ones((1, 1, *kernel), dtype=x.dtype)
    wide = _padded(x, pads)
    channels = wide.shape[1]
    rows = CONVOLVE[len(kernel)](
        wide, ones.expand(channels, 1, *kernel), None, strides, 0, dilations, channels
    )
    return rows / CONVOLVE[len(kernel)](counted, ones, None, strides, 0, dilations)


def _planes(x: Tensor) -> list[int]:
    return list(range(2, x.ndim))


def _batch_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor, mean: Tensor, variance: Tensor) -> Tensor:
    require_plain(node, training_mode=0, spatial=1)
    # torch's own has no gradient for the mean and the variance, which are parameters here.
    slope: Tensor = scale / (variance + node.get("epsilon", 1e-5)).sqrt()
    shape = [1, -1] + [1] * (x.ndim - 2)
    laid: Tensor = x * slope.reshape(shape) + (bias - mean * slope).reshape(shape)
    return laid


def _instance_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    return f.instance_norm(x, weight=scale, bias=bias, eps=node.get("epsilon", 1e-5))


def _layer_norm(node: Node, x: Tensor, scale: Tensor, bias: Tensor | None = None) -> Tensor:
    if len([name for name in node.outputs if name]) > 1:
        raise Unsupported("LayerNormalization that also gives its mean has no twin")
    axis = node.get("axis", -1) % x.ndim
    normal = f.layer_norm(x, list(x.shape[axis:]), eps=node.get("epsilon", 1e-5)) * scale
    return normal if bias is None else normal + bias


def _lrn(node: Node, x: Tensor) -> Tensor:
    size = node.get("size")
    around = x.square().movedim(1, -1).reshape(-1, 1, x.shape[1])
    sums = f.avg_pool1d(f.pad(around, [(size - 1) // 2, size // 2]), size, 1)
    mean: Tensor = sums.reshape(x.shape[0], *x.shape[2:], x.shape[1]).movedim(-1, 1)
    scale: Tensor = (node.get("bias", 1.0) + node.get("alpha", 1e-4) * mean) ** node.get("beta", 0.75)
    return x / scale


OPS: Mapping[str, Op] = {
    "Conv": _conv,
    "ConvTranspose": _conv_transpose,
    "MaxPool": _max_pool,
    "AveragePool": _average_pool,
    "GlobalAveragePool": lambda _, x: x.mean(_planes(x), keepdim=True),
    "GlobalMaxPool": lambda _, x: x.amax(_planes(x), keepdim=True),
    "BatchNormalization": _batch_norm,
    "InstanceNormalization": _instance_norm,
    "LayerNormalization": _layer_norm,
    "LRN": _lrn,
}

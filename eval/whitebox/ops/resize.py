"""Resize and Upsample: each axis by its own weights, so every mode is one rule."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from eval.whitebox.node import Node, Op, Unsupported, require_plain

__all__ = ["OPS"]


def _resize(
    node: Node,
    x: Tensor,
    roi: Tensor | None = None,
    scales: Tensor | None = None,
    sizes: Tensor | None = None,
) -> Tensor:
    if node.opset < 11:  # there was no region, and the scales came second
        roi, scales = None, roi
    require_plain(node, antialias=0, exclude_outside=0, keep_aspect_ratio_policy="stretch")
    axes = [int(axis) for axis in node.get("axes", range(x.ndim))]
    factors = [] if scales is None else [float(scale) for scale in scales.reshape(-1).tolist()]
    wanted = [] if sizes is None else [int(size) for size in sizes.reshape(-1).tolist()]
    for i, axis in enumerate(axes):
        size = x.shape[axis]
        out = wanted[i] if wanted else math.floor(size * factors[i])
        scale = out / size if wanted else factors[i]
        if out != size or scale != 1:
            x = _along(node, x, axis, out, scale)
    return x


def _upsample(node: Node, x: Tensor, scales: Tensor | None = None) -> Tensor:
    told = torch.tensor(node.get("scales")) if scales is None else scales
    older = Node(node.op, node.inputs, node.outputs, node.attributes, 10)
    return _resize(older, x, told)


def _along(node: Node, x: Tensor, axis: int, out: int, scale: float) -> Tensor:
    size, mode = x.shape[axis], node.get("mode", "nearest")
    at = _sources(node, size, out, scale)
    if mode == "nearest":
        return x.index_select(axis, _nearest(node, at, out < size).clamp(0, size - 1))
    if mode not in ("linear", "cubic"):
        raise Unsupported(f"{node.op} with mode {mode!r} has no twin")
    # onnxruntime works in float32 here, and so does this: a pixel more or less depends on it.
    taps = _linear(at.clamp(0, size - 1)) if mode == "linear" else _cubic(node, at)
    weights = torch.zeros((out, size), dtype=x.dtype)
    for place, weight in taps:
        weights.scatter_add_(1, place.clamp(0, size - 1)[:, None], weight[:, None].to(x.dtype))
    return (x.movedim(axis, -1) @ weights.T).movedim(-1, axis)


def _sources(node: Node, size: int, out: int, scale: float) -> Tensor:
    """float32 `(out,)`: where each value comes from."""
    mode = node.get("coordinate_transformation_mode", "half_pixel")
    if node.opset < 11:
        mode = "asymmetric"
    at = torch.arange(out, dtype=torch.float32)
    if mode == "asymmetric":
        return at / scale
    if mode == "align_corners":
        return at * ((size - 1) / (out - 1)) if out > 1 else at
    if mode == "pytorch_half_pixel" and out == 1:
        return torch.zeros(1)
    if mode == "tf_half_pixel_for_nn":
        return (at + 0.5) / scale
    if mode == "half_pixel_symmetric":
        offset = size / 2 * (1 - out / (scale * size))
        return offset + (at + 0.5) / scale - 0.5
    if mode not in ("half_pixel", "pytorch_half_pixel"):
        raise Unsupported(f"{node.op} with coordinates {mode!r} has no twin")
    return (at + 0.5) / scale - 0.5


def _nearest(node: Node, at: Tensor, shrinks: bool) -> Tensor:
    mode = node.get("nearest_mode", "round_prefer_floor")
    if node.opset < 11:  # what onnxruntime did before there were modes
        mode = "ceil" if shrinks else "floor"
    rounded = {
        "floor": at.floor(),
        "ceil": at.ceil(),
        "round_prefer_floor": (at - 0.5).ceil(),
        "round_prefer_ceil": (at + 0.5).floor(),
    }
    return rounded[mode].long()


def _linear(at: Tensor) -> list[tuple[Tensor, Tensor]]:
    low = at.floor()
    return [(low.long(), 1 - (at - low)), (low.long() + 1, at - low)]


def _cubic(node: Node, at: Tensor) -> list[tuple[Tensor, Tensor]]:
    """Keys 1981, four taps."""
    a, low = node.get("cubic_coeff_a", -0.75), at.floor()
    part, taps = at - low, []
    for offset in (-1, 0, 1, 2):
        d = (part - offset).abs()
        near = ((a + 2) * d - (a + 3)) * d * d + 1
        far = ((a * d - 5 * a) * d + 8 * a) * d - 4 * a
        taps.append((low.long() + offset, torch.where(d <= 1, near, far)))
    return taps


OPS: Mapping[str, Op] = {"Resize": _resize, "Upsample": _upsample}

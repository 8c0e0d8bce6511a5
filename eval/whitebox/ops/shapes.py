"""Operators that move values without changing them, and those that make shapes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import torch.nn.functional as f
from torch import Tensor

from eval.whitebox.node import Node, Op, Unsupported, axes_of, require_plain

__all__ = ["OPS"]


def _whole(x: Tensor) -> list[int]:
    return [int(value) for value in x.reshape(-1).tolist()]


def _constant(node: Node) -> Tensor:
    if isinstance(value := node.get("value"), Tensor):
        return value
    for name, dtype in (("value_float", torch.float32), ("value_int", torch.int64)):
        for told in (node.get(name), node.get(f"{name}s")):
            if told is not None:
                return torch.tensor(told, dtype=dtype)
    raise Unsupported("Constant must be a tensor or numbers; text and sparse ones have no twin")


def _constant_of_shape(node: Node, shape: Tensor) -> Tensor:
    value = node.get("value")
    value = torch.zeros(1) if value is None else value
    return value.reshape(()).expand(_whole(shape)).clone()


def _reshape(node: Node, x: Tensor, shape: Tensor) -> Tensor:
    sizes = _whole(shape)
    if not node.get("allowzero", 0):
        sizes = [x.shape[i] if size == 0 else size for i, size in enumerate(sizes)]
    return x.reshape(sizes)


def _flatten(node: Node, x: Tensor) -> Tensor:
    axis = node.get("axis", 1)
    rows = int(np.prod(x.shape[: axis if axis >= 0 else axis + x.ndim], dtype=np.int64))
    return x.reshape(rows, -1)


def _transpose(node: Node, x: Tensor) -> Tensor:
    return x.permute(*node.get("perm", tuple(reversed(range(x.ndim)))))


def _squeeze(node: Node, x: Tensor, given: Tensor | None = None) -> Tensor:
    axes = axes_of(node, given)
    return x.squeeze() if axes is None else x.squeeze(tuple(axes))


def _unsqueeze(node: Node, x: Tensor, given: Tensor | None = None) -> Tensor:
    axes = axes_of(node, given) or []
    total = x.ndim + len(axes)
    for axis in sorted(axis % total for axis in axes):
        x = x.unsqueeze(axis)
    return x


def _slice(
    node: Node,
    x: Tensor,
    starts: Tensor | None = None,
    ends: Tensor | None = None,
    axes: Tensor | None = None,
    steps: Tensor | None = None,
) -> Tensor:
    first = node.get("starts") if starts is None else _whole(starts)
    last = node.get("ends") if ends is None else _whole(ends)
    along = axes_of(node, axes) or list(range(len(first)))
    by = [1] * len(first) if steps is None else _whole(steps)
    for axis, start, end, step in zip(along, first, last, by, strict=True):
        size = x.shape[axis]
        picked = range(*slice(start, end, step).indices(size))
        if step > 0:
            x = x.movedim(axis, 0)[picked.start : max(picked.start, picked.stop) : step].movedim(0, axis)
        else:
            x = x.index_select(axis, torch.tensor(picked, dtype=torch.int64))
    return x


def _split(node: Node, x: Tensor, sizes: Tensor | None = None) -> tuple[Tensor, ...]:
    told = node.get("split") if sizes is None else _whole(sizes)
    if told is None:
        each = -(-x.shape[node.axis] // len(node.outputs))
        return torch.split(x, each, node.axis)
    return torch.split(x, list(told), node.axis)


def _gather(node: Node, x: Tensor, indices: Tensor) -> Tensor:
    axis = node.axis % x.ndim
    flat = indices.reshape(-1).long() % x.shape[axis]  # below 0 counts from the end
    return x.index_select(axis, flat).reshape(*x.shape[:axis], *indices.shape, *x.shape[axis + 1 :])


def _gather_elements(node: Node, x: Tensor, indices: Tensor) -> Tensor:
    return x.gather(node.axis, indices.long() % x.shape[node.axis])


def _gather_nd(node: Node, x: Tensor, indices: Tensor) -> Tensor:
    require_plain(node, batch_dims=0)
    return x[tuple(indices.long().movedim(-1, 0))]


def _expand(_: Node, x: Tensor, shape: Tensor) -> Tensor:
    sizes = _whole(shape)
    return x.expand(np.broadcast_shapes(tuple(x.shape), tuple(sizes)))


def _shape(node: Node, x: Tensor) -> Tensor:
    return torch.tensor(list(x.shape)[node.get("start", 0) : node.get("end", x.ndim)], dtype=torch.int64)


def _range(_: Node, start: Tensor, limit: Tensor, delta: Tensor) -> Tensor:
    return torch.arange(start.item(), limit.item(), delta.item(), dtype=start.dtype)


def _pad(
    node: Node,
    x: Tensor,
    pads: Tensor | None = None,
    value: Tensor | None = None,
    axes: Tensor | None = None,
) -> Tensor:
    told = list(node.get("pads", ())) if pads is None else _whole(pads)
    along = [axis % x.ndim for axis in axes_of(node, axes) or range(x.ndim)]
    mode = node.get("mode", "constant")
    each = {axis: (told[i], told[i + len(along)]) for i, axis in enumerate(along)}
    if mode == "constant":
        fill = node.get("value", 0.0) if value is None else value.item()
        every = [size for axis in reversed(range(x.ndim)) for size in each.get(axis, (0, 0))]
        return f.pad(x, every, value=fill)
    for axis, (before, after) in each.items():
        if before or after:
            if before < 0 or after < 0 or mode not in ("reflect", "edge", "wrap"):
                raise Unsupported(f"Pad with mode {mode!r} by ({before}, {after}) has no twin")
            index = np.pad(np.arange(x.shape[axis]), (before, after), mode=mode)
            x = x.index_select(axis, torch.from_numpy(index))
    return x


def _depth_to_space(node: Node, x: Tensor) -> Tensor:
    block = node.get("blocksize")
    n, c, h, w = x.shape
    if node.get("mode", "DCR") == "CRD":
        return f.pixel_shuffle(x, block)
    spread = x.reshape(n, block, block, c // block**2, h, w)
    return spread.permute(0, 3, 4, 1, 5, 2).reshape(n, c // block**2, h * block, w * block)


def _space_to_depth(node: Node, x: Tensor) -> Tensor:
    require_plain(node, mode="DCR")
    block = node.get("blocksize")
    n, c, h, w = x.shape
    blocks = x.reshape(n, c, h // block, block, w // block, block)
    return blocks.permute(0, 3, 5, 1, 2, 4).reshape(n, c * block**2, h // block, w // block)


def _top_k(node: Node, x: Tensor, count: Tensor) -> tuple[Tensor, Tensor]:
    """Equal values in the order of their places, as ONNX wants."""
    most = bool(node.get("largest", 1))
    axis = node.get("axis", -1)
    order = x.detach().sort(dim=axis, descending=most, stable=True).indices
    kept = order.narrow(axis, 0, int(count.reshape(-1)[0]))
    return x.gather(axis, kept), kept


OPS: Mapping[str, Op] = {
    "Identity": lambda _, x: x,
    "Dropout": lambda _, x, *_more: x,
    "Constant": _constant,
    "ConstantOfShape": _constant_of_shape,
    "Concat": lambda node, *inputs: torch.cat(inputs, dim=node.axis),
    "Split": _split,
    "Slice": _slice,
    "Reshape": _reshape,
    "Flatten": _flatten,
    "Transpose": _transpose,
    "Squeeze": _squeeze,
    "Unsqueeze": _unsqueeze,
    "Gather": _gather,
    "GatherElements": _gather_elements,
    "GatherND": _gather_nd,
    "Expand": _expand,
    "Tile": lambda _, x, times: x.repeat(*_whole(times)),
    "Shape": _shape,
    "Size": lambda _, x: torch.tensor(x.numel()),
    "Range": _range,
    "Pad": _pad,
    "DepthToSpace": _depth_to_space,
    "SpaceToDepth": _space_to_depth,
    "TopK": _top_k,
}

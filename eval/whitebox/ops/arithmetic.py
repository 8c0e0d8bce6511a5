"""Operators that work value by value, compare, multiply and reduce."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any

import torch
import torch.nn.functional as f
from onnx import TensorProto
from torch import Tensor

from eval.whitebox.node import Node, Op, Unsupported, axes_of, require_plain

__all__ = ["OPS", "dtype_of"]

_TYPES: Mapping[int, torch.dtype] = {
    TensorProto.FLOAT: torch.float32,
    TensorProto.FLOAT16: torch.float16,
    TensorProto.DOUBLE: torch.float64,
    TensorProto.BFLOAT16: torch.bfloat16,
    TensorProto.UINT8: torch.uint8,
    TensorProto.INT8: torch.int8,
    TensorProto.INT16: torch.int16,
    TensorProto.INT32: torch.int32,
    TensorProto.INT64: torch.int64,
    TensorProto.BOOL: torch.bool,
}


def dtype_of(number: int) -> torch.dtype:
    """ONNX's number of a type as torch's. Raises Unsupported for one that torch lacks."""
    if number not in _TYPES:
        raise Unsupported(f"values of ONNX type {number} have no twin")
    return _TYPES[number]


def _plain(work: Callable[..., Tensor]) -> Op:
    """An operator without attributes."""
    return lambda _node, *inputs: work(*inputs)


def _all_of(work: Callable[[Tensor, Tensor], Tensor]) -> Op:
    """An operator of any number of inputs, two at a time."""
    return lambda _node, *inputs: reduce(work, inputs)


def _divide(_: Node, one: Tensor, other: Tensor) -> Tensor:
    if one.is_floating_point() or other.is_floating_point():
        return one / other
    return torch.div(one, other, rounding_mode="trunc")


def _mod(node: Node, one: Tensor, other: Tensor) -> Tensor:
    return torch.fmod(one, other) if node.get("fmod", 0) else torch.remainder(one, other)


def _power(_: Node, base: Tensor, exponent: Tensor) -> Tensor:
    return torch.pow(base, exponent.to(base.dtype) if base.is_floating_point() else exponent).to(base.dtype)


def _clip(node: Node, x: Tensor, low: Tensor | None = None, high: Tensor | None = None) -> Tensor:
    least = node.get("min") if low is None else low
    most = node.get("max") if high is None else high
    # Clamping in two steps lets either end be a number, a tensor, or nothing.
    x = x if least is None else x.clamp(min=least)
    return x if most is None else x.clamp(max=most)


def _softmax(work: Callable[[Tensor, int], Tensor]) -> Op:
    def op(node: Node, x: Tensor) -> Tensor:
        if node.opset >= 13:
            return work(x, node.get("axis", -1))
        axis = node.get("axis", 1) % max(1, x.ndim)  # once, all axes from this one on were one
        return work(x.flatten(axis), -1).reshape(x.shape)

    return op


def _matmul(_: Node, one: Tensor, other: Tensor) -> Tensor:
    return one @ other


def _gemm(node: Node, a: Tensor, b: Tensor, c: Tensor | None = None) -> Tensor:
    a, b = (a.T if node.get("transA", 0) else a), (b.T if node.get("transB", 0) else b)
    product: Tensor = a @ b * node.get("alpha", 1.0)
    return product if c is None else product + c * node.get("beta", 1.0)


def _cast(node: Node, x: Tensor) -> Tensor:
    return x.to(dtype_of(node.get("to")))


def _where(_: Node, condition: Tensor, one: Tensor, other: Tensor) -> Tensor:
    return torch.where(condition, one, other)


def _prelu(_: Node, x: Tensor, slope: Tensor) -> Tensor:
    return torch.where(x < 0, x * slope, x)


def _hard_sigmoid(node: Node, x: Tensor) -> Tensor:
    line: Tensor = x * node.get("alpha", 0.2) + node.get("beta", 0.5)
    return line.clamp(0, 1)


def _gelu(node: Node, x: Tensor) -> Tensor:
    return f.gelu(x, approximate=node.get("approximate", "none"))


def _reduced(work: Callable[[Tensor, list[int], bool], Tensor]) -> Op:
    def op(node: Node, x: Tensor, given: Tensor | None = None) -> Tensor:
        axes = axes_of(node, given)
        if not axes:
            if node.get("noop_with_empty_axes", 0):
                return x
            axes = list(range(x.ndim))
        return work(x, axes, bool(node.get("keepdims", 1)))

    return op


def _product(x: Tensor, axes: list[int], keep: bool) -> Tensor:
    for axis in sorted((axis % x.ndim for axis in axes), reverse=True):
        x = x.prod(dim=axis, keepdim=keep)
    return x


def _extreme(work: Callable[[Tensor, int, bool], Tensor]) -> Op:
    def op(node: Node, x: Tensor) -> Tensor:
        require_plain(node, select_last_index=0)
        # NumPy gives the first of equal values, as ONNX wants; torch any. There is no gradient to lose.
        return work(x.detach(), node.axis, bool(node.get("keepdims", 1)))

    return op


def _first(name: str) -> Callable[[Tensor, int, bool], Tensor]:
    def work(x: Tensor, axis: int, keep: bool) -> Tensor:
        found: Any = getattr(x.numpy(), name)(axis=axis, keepdims=keep)
        return torch.as_tensor(found)

    return work


OPS: Mapping[str, Op] = {
    "Add": _all_of(torch.add),
    "Sum": _all_of(torch.add),
    "Sub": _plain(torch.sub),
    "Mul": _plain(torch.mul),
    "Div": _divide,
    "Mod": _mod,
    "Pow": _power,
    "Max": _all_of(torch.maximum),
    "Min": _all_of(torch.minimum),
    "Neg": _plain(torch.neg),
    "Abs": _plain(torch.abs),
    "Sign": _plain(torch.sign),
    "Sqrt": _plain(torch.sqrt),
    "Reciprocal": _plain(torch.reciprocal),
    "Exp": _plain(torch.exp),
    "Log": _plain(torch.log),
    "Sin": _plain(torch.sin),
    "Cos": _plain(torch.cos),
    "Erf": _plain(torch.erf),
    "Floor": _plain(torch.floor),
    "Ceil": _plain(torch.ceil),
    "Round": _plain(torch.round),
    "Equal": _plain(torch.eq),
    "Greater": _plain(torch.gt),
    "GreaterOrEqual": _plain(torch.ge),
    "Less": _plain(torch.lt),
    "LessOrEqual": _plain(torch.le),
    "And": _plain(torch.logical_and),
    "Or": _plain(torch.logical_or),
    "Not": _plain(torch.logical_not),
    "Where": _where,
    "Cast": _cast,
    "CastLike": _plain(lambda x, like: x.to(like.dtype)),
    "Relu": _plain(torch.relu),
    "LeakyRelu": lambda node, x: f.leaky_relu(x, node.get("alpha", 0.01)),
    "PRelu": _prelu,
    "Elu": lambda node, x: f.elu(x, node.get("alpha", 1.0)),
    "Clip": _clip,
    "Sigmoid": _plain(torch.sigmoid),
    "HardSigmoid": _hard_sigmoid,
    "HardSwish": _plain(f.hardswish),
    "Tanh": _plain(torch.tanh),
    "Softplus": _plain(f.softplus),
    "Mish": _plain(f.mish),
    "Gelu": _gelu,
    "Softmax": _softmax(torch.softmax),
    "LogSoftmax": _softmax(torch.log_softmax),
    "MatMul": _matmul,
    "Gemm": _gemm,
    "ReduceSum": _reduced(lambda x, axes, keep: x.sum(axes, keep)),
    "ReduceMean": _reduced(lambda x, axes, keep: x.mean(axes, keep)),
    "ReduceMax": _reduced(lambda x, axes, keep: x.amax(axes, keep)),
    "ReduceMin": _reduced(lambda x, axes, keep: x.amin(axes, keep)),
    "ReduceProd": _reduced(_product),
    "ReduceL1": _reduced(lambda x, axes, keep: x.abs().sum(axes, keep)),
    "ReduceL2": _reduced(lambda x, axes, keep: x.square().sum(axes, keep).sqrt()),
    "ReduceSumSquare": _reduced(lambda x, axes, keep: x.square().sum(axes, keep)),
    "ArgMax": _extreme(_first("argmax")),
    "ArgMin": _extreme(_first("argmin")),
}

"""One node of a graph, and what every operator of the twin gets and gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import onnx
import torch
from onnx import numpy_helper
from torch import Tensor

from eval.errors import EvalError

__all__ = ["Node", "Op", "Unsupported", "axes_of", "read_node", "require_plain", "tensor_of"]

# Called as op(node, *inputs); an input that is left out is None.
Op: TypeAlias = Callable[..., Tensor | tuple[Tensor, ...]]


class Unsupported(EvalError):
    """The graph has something that the twin cannot do; says what, and what to try."""


@dataclass(frozen=True, slots=True)
class Node:
    """A node as it stands in the graph.

    Attributes:
        inputs, outputs: names; empty where one is left out.
        attributes: plain values; tensors are torch's.
        opset: of the graph; many operators changed their minds.
    """

    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    opset: int

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, or the default."""
        return self.attributes.get(name, default)

    @property
    def axis(self) -> int:
        """The attribute of that name, for operators that have no default of their own; 0."""
        return int(self.get("axis", 0))


def tensor_of(told: onnx.TensorProto) -> Tensor:
    """A tensor of the file as torch's; scalars stay scalars."""
    return torch.from_numpy(numpy_helper.to_array(told).copy())


def read_node(told: onnx.NodeProto, opset: int) -> Node:
    """A node of the file. Raises Unsupported when it holds a graph of its own."""
    attributes: dict[str, Any] = {}
    for attribute in told.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        if isinstance(value, onnx.GraphProto):
            raise Unsupported(
                f"{told.op_type} holds a graph of its own; export the model without control flow"
            )
        if isinstance(value, onnx.TensorProto):
            value = tensor_of(value)
        attributes[attribute.name] = value.decode() if isinstance(value, bytes) else value
    return Node(told.op_type, tuple(told.input), tuple(told.output), attributes, opset)


def axes_of(node: Node, given: Tensor | None) -> list[int] | None:
    """Axes as an input (newer operators) or an attribute (older ones); None where there are none."""
    if given is not None:
        return [int(axis) for axis in given.reshape(-1).tolist()]
    told = node.get("axes")
    return None if told is None else [int(axis) for axis in told]


def require_plain(node: Node, **allowed: Any) -> None:
    """Raise Unsupported when an attribute is there and not the one value the twin can do."""
    for name, value in allowed.items():
        if (got := node.get(name, value)) != value:
            raise Unsupported(f"{node.op} with {name} {got!r} has no twin, only {value!r} has")

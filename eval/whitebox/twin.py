"""An ONNX graph as a PyTorch module: the same answers, and gradients of all of them.

The graph is run node by node, as it stands in the file; nothing is folded, fused or guessed. What
onnxruntime fuses differs in the last digits, and a quantised graph by a level here and there, so a twin
must prove itself before anything is claimed with it; see `prove`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import torch
from torch import Tensor, nn

from eval.errors import EvalError
from eval.whitebox.node import Node, Unsupported, read_node, tensor_of
from eval.whitebox.ops import OPS
from eval.whitebox.ops.arithmetic import dtype_of
from models.results import Array
from models.tasks import Runner

__all__ = ["LEAST_AGREEMENT", "TOLERANCE", "Agreement", "NoTwin", "Twin", "compare", "prove"]

LEAST_AGREEMENT = 0.999
TOLERANCE = 1e-3  # of an output's span


class NoTwin(EvalError):
    """The module does not answer as the graph does; nothing may be claimed with it."""


class Twin(nn.Module):
    """A graph, differentiable. A `Runner` too, so that a `Predictor` can hold it.

    Initializers of floats are parameters, the others buffers.

    Args:
        model: the bytes of an `.onnx` file.
        input_name: the graph's image input.
        outputs: names of values of the graph to give, outputs or any others.

    Raises:
        Unsupported: the graph needs something that has no twin; all such operators are named.
    """

    def __init__(self, model: bytes, *, input_name: str, outputs: Sequence[str]) -> None:
        super().__init__()
        told = onnx.load_model_from_string(model)
        opset = next((o.version for o in told.opset_import if o.domain in ("", "ai.onnx")), 1)
        needed = _needed(told.graph, outputs)
        _require_known(needed)
        self._input, self._outputs = input_name, tuple(outputs)
        self._types = {o.name: o.type.tensor_type.elem_type for o in told.graph.output}
        self._nodes = [read_node(node, opset) for node in needed]
        self._constants: dict[str, str] = {}
        for number, tensor in enumerate(told.graph.initializer):
            if tensor.data_location == onnx.TensorProto.EXTERNAL:
                raise Unsupported(f"the graph must hold all its weights, but {tensor.name!r} lies elsewhere")
            value, key = tensor_of(tensor), f"constant_{number}"
            self._constants[tensor.name] = key
            if value.is_floating_point():
                self.register_parameter(key, nn.Parameter(value))
            else:
                self.register_buffer(key, value)
        self._check_names(outputs)

    def _check_names(self, outputs: Sequence[str]) -> None:
        known = {self._input, *self._constants, *(name for node in self._nodes for name in node.outputs)}
        wanted = [*outputs, *(name for node in self._nodes for name in node.inputs if name)]
        if missing := [name for name in wanted if name not in known]:
            raise Unsupported(f"the graph has no value {missing[0]!r}; its only input may be {self._input!r}")

    @property
    def nodes(self) -> Sequence[Node]:
        """The nodes that are run, in order."""
        return self._nodes

    def forward(self, batch: Tensor, wanted: Sequence[str] | None = None) -> list[Tensor]:
        """`(N, ...)` in the graph's layout -> the outputs, or any values of the graph that are wanted.

        A graph of whole numbers takes floats that hold them, so that there is a gradient.
        """
        names = self._outputs if wanted is None else tuple(wanted)
        values = {name: getattr(self, key) for name, key in self._constants.items()}
        values |= {"": None, self._input: batch}
        last = {name: i for i, node in enumerate(self._nodes) for name in node.inputs}
        for i, node in enumerate(self._nodes):
            try:
                found = OPS[node.op](node, *(values[name] for name in node.inputs))
            except NotImplementedError as error:  # PyTorch's word for a type it cannot compute with
                raise Unsupported(f"{node.op} on values of such a type has no twin: {error}") from error
            values |= zip(node.outputs, found if isinstance(found, tuple) else (found,), strict=False)
            for name in node.inputs:  # nobody needs it any more: an activation may take megabytes
                if last[name] == i and name and name not in names:
                    values.pop(name, None)
        return [values[name] for name in names]

    @torch.no_grad()
    def run(self, batch: Array) -> list[Array]:
        """As `models.runtime.OnnxRunner.run`: arrays in, arrays of the graph's own types out."""
        outputs = self(torch.from_numpy(np.array(batch)))
        return [
            value.to(dtype_of(self._types[name])).numpy() if name in self._types else value.numpy()
            for name, value in zip(self._outputs, outputs, strict=True)
        ]


def _needed(graph: onnx.GraphProto, outputs: Iterable[str]) -> list[onnx.NodeProto]:
    """The nodes that the outputs rest on, in the file's order, which is one of dependence."""
    wanted, kept = set(outputs), []
    for node in reversed(graph.node):
        if wanted & set(node.output):
            kept.append(node)
            wanted |= set(node.input)
    return kept[::-1]


def _require_known(nodes: Iterable[onnx.NodeProto]) -> None:
    named = {f"{n.domain}.{n.op_type}" if n.domain not in ("", "ai.onnx") else n.op_type for n in nodes}
    if unknown := sorted(named - OPS.keys()):
        raise Unsupported(
            f"the graph has operators without a twin: {', '.join(unknown)}. Export the model without them "
            "(raw outputs, no suppression inside), or explain and attack it as a black box"
        )


@dataclass(frozen=True, slots=True)
class Agreement:
    """How like its graph a twin is.

    Attributes:
        share: of all values of all outputs that agree.
        max_difference: the largest of any value, in the output's own units.
        images, values: what was compared.
    """

    share: float
    max_difference: float
    images: int
    values: int


def prove(twin: Runner, runner: Runner, images: Sequence[Array]) -> Agreement:
    """What `compare` says, when it is enough to use the twin.

    Raises:
        NoTwin: under 99.9 % of the values agree, or there is nothing to compare.
    """
    found = compare(twin, runner, images)
    if not found.values or found.share < LEAST_AGREEMENT:
        raise NoTwin(
            f"{LEAST_AGREEMENT:.1%} of the values must agree with the graph's, got {found.share:.3%} of "
            f"{found.values}; nothing can be claimed with this twin"
        )
    return found


def compare(twin: Runner, runner: Runner, images: Iterable[Array]) -> Agreement:
    """The agreement of a twin with its graph, image by image.

    Quantised graphs seldom agree to the last level: a value half way between two levels falls to either
    side by the last digit, and one such value in a hundred thousand is carried on by every later layer.
    onnxruntime's own levels of optimisation differ as much from each other.

    A float agrees within a thousandth of its output's span over the image, a quantised level within one
    level, any other whole number when it is equal.

    Args:
        images: prepared, each in the graph's layout and type without the first size; read one by one.

    Raises:
        NoTwin: the shapes differ.
    """
    agree = values = count = 0
    worst = 0.0
    for count, image in enumerate(images, 1):  # noqa: B007  # how many there were
        for got, want in zip(twin.run(image[None]), runner.run(image[None]), strict=True):
            if got.shape != want.shape:
                raise NoTwin(f"the twin's output must be {want.shape}, got {got.shape}")
            apart = np.abs(got.astype(np.float64) - want.astype(np.float64))
            agree += int((apart <= _allowed(want)).sum())
            values += apart.size
            worst = max(worst, float(apart.max(initial=0.0)))
    return Agreement(agree / values if values else 0.0, worst, count, values)


def _allowed(want: Array) -> float:
    if want.dtype.kind == "f":
        return TOLERANCE * float(np.ptp(want)) if want.size else 0.0
    return 1.0 if want.dtype in (np.uint8, np.int8) else 0.0

"""An ONNX graph in the making, out of published parameters; no PyTorch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.results import Array

__all__ = ["Graph"]

OPSET = 17


class Graph:
    """Nodes and initializers in the making; methods that add return the name of what they added.

    Attributes:
        parameters: as published, by their published names.
        channels: of each convolution's output.
    """

    def __init__(self, parameters: Mapping[str, Array]) -> None:
        self.parameters = parameters
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.channels: dict[str, int] = {}

    def parameter(self, name: str) -> Array:
        """Raises ValueError where the weights have none of that name."""
        if name not in self.parameters:
            raise ValueError(f"the weights must have a parameter {name}: they are of another network")
        return self.parameters[name]

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        """A node of one output."""
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, values: Array) -> str:
        """Numbers, float32 unless they are whole."""
        dtype = np.int64 if values.dtype.kind == "i" else np.float32
        self.initializers.append(numpy_helper.from_array(np.asarray(values, dtype, order="C"), name))
        return name

    def convolution(self, source: str, conv: str, norm: str, *, epsilon: float, **attributes: Any) -> str:
        """A convolution without bias and the batch norm behind it, folded into one in float64."""
        kernel = self.parameter(f"{conv}.weight").astype(np.float64)
        scale, shift, mean, variance = (
            self.parameter(f"{norm}.{part}").astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        gain = scale / np.sqrt(variance + epsilon)
        inputs = [
            source,
            self.constant(f"{conv}.weight", kernel * gain[:, None, None, None]),
            self.constant(f"{conv}.bias", shift - mean * gain),
        ]
        self.channels[conv] = len(kernel)
        return self.add("Conv", inputs, conv, **attributes)

    def head(self, source: str, name: str) -> None:
        """Mean over all places, then the linear layer `name`, as the output `logits`."""
        out = self.add("GlobalAveragePool", [source], "pooled")
        out = self.add("Flatten", [out], "features")
        weight = self.constant(f"{name}.weight", self.parameter(f"{name}.weight"))
        bias = self.constant(f"{name}.bias", self.parameter(f"{name}.bias"))
        self.add("Gemm", [out, weight, bias], "logits", transB=1)
        self.channels["logits"] = len(self.parameters[f"{name}.bias"])

    def model(self, name: str, size: int) -> onnx.ModelProto:
        """The checked graph: `images` float32 `(N, 3, size, size)` -> `logits` float32 `(N, C)`."""
        model = helper.make_model(
            helper.make_graph(
                self.nodes,
                name,
                [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, size, size])],
                [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", self.channels["logits"]])],
                self.initializers,
            ),
            opset_imports=[helper.make_opsetid("", OPSET)],
            ir_version=8,
            producer_name="assay",
        )
        onnx.checker.check_model(model, full_check=True)
        return model

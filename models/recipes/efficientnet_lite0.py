"""EfficientNet-Lite0, ImageNet-1k, as an ONNX graph built from published weights; no PyTorch.

Architecture: Tan and Le 2019, "EfficientNet", arXiv 1905.11946, in its Lite form (Google, 2020):
no squeeze-and-excitation, ReLU6 for swish, stem and head not scaled.

**Differences.** Batch norm (epsilon 1e-3) is folded into the convolutions in float64. Padding is
TensorFlow's SAME, as the weights were trained with it (ONNX `auto_pad=SAME_UPPER`).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from models.card import InputSpec
from models.recipes.graph import Graph
from models.results import Array

__all__ = ["INPUT", "SIZE", "build"]

SIZE = 224
EPSILON = 1e-3
STRIDES = (1, 2, 2, 2, 1, 2, 1)  # of the first block of each stage
REPEATS = (1, 2, 2, 3, 3, 4, 1)  # blocks in each stage

INPUT = InputSpec(
    height=SIZE,
    width=SIZE,
    resize="crop",
    interpolation="bicubic",
    crop_fraction=0.875,
    mean=(127.0,) * 3,
    std=(128.0,) * 3,
)


def build(parameters: Mapping[str, Array]) -> onnx.ModelProto:
    """The graph: `images` float32 `(N, 3, 224, 224)` -> `logits` float32 `(N, 1000)`."""
    graph = Graph(parameters)
    graph.constant("zero", np.array(0.0))
    graph.constant("six", np.array(6.0))
    out = _convolution(graph, "images", "_conv_stem", "_bn0", stride=2)
    strides = [s if i == 0 else 1 for s, n in zip(STRIDES, REPEATS, strict=True) for i in range(n)]
    width = graph.channels["_conv_stem"]
    for index, stride in enumerate(strides):
        out, width = _block(graph, out, f"_blocks.{index}", width, stride)
    graph.head(_convolution(graph, out, "_conv_head", "_bn1"), "_fc")
    return graph.model("efficientnet_lite0", SIZE)


def _block(graph: Graph, source: str, name: str, width: int, stride: int) -> tuple[str, int]:
    """Inverted bottleneck: expand, depthwise, project; a short cut where shapes allow."""
    out = source
    if f"{name}._expand_conv.weight" in graph.parameters:
        out = _convolution(graph, out, f"{name}._expand_conv", f"{name}._bn0")
    out = _convolution(graph, out, f"{name}._depthwise_conv", f"{name}._bn1", stride=stride)
    out = _convolution(graph, out, f"{name}._project_conv", f"{name}._bn2", active=False)
    own = graph.channels[out]
    if stride == 1 and width == own:
        out = graph.add("Add", [source, out], f"{name}.sum")
    return out, own


def _convolution(
    graph: Graph, source: str, conv: str, norm: str, *, stride: int = 1, active: bool = True
) -> str:
    """Convolution with its batch norm folded in, then ReLU6."""
    kernel = graph.parameter(f"{conv}.weight")
    out = graph.convolution(
        source,
        conv,
        norm,
        epsilon=EPSILON,
        auto_pad="SAME_UPPER",
        strides=[stride, stride],
        group=len(kernel) if kernel.shape[1] == 1 else 1,
    )
    return graph.add("Clip", [out, "zero", "six"], f"{conv}.relu6") if active else out

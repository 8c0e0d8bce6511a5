"""Residual networks as ONNX graphs built from published weights; no PyTorch.

Architecture: He, Zhang, Ren and Sun 2015, "Deep residual learning for image recognition", arXiv
1512.03385: section 4.2 for 32-pixel images (ResNet-20 ...), section 4.1 for ImageNet (ResNet-18 ...).
Depth, widths and kind of block are read from the parameters, in torchvision's names.

**Differences.** Batch norm (epsilon 1e-5) is folded into the convolutions in float64. A bottleneck
strides in its 3 x 3 convolution, as torchvision's do ("v1.5").
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import onnx

from models.recipes.graph import Graph
from models.results import Array

__all__ = ["build"]

EPSILON = 1e-5


def build(parameters: Mapping[str, Array], *, name: str, size: int) -> onnx.ModelProto:
    """The graph: `images` float32 `(N, 3, size, size)` -> `logits` float32 `(N, C)`.

    Args:
        parameters: a `state_dict`; the `module.` before every name, which data parallel training
            leaves behind, does not matter.
        size: pixels of the input's sides.

    Raises:
        ValueError: the parameters are not those of a residual network.
    """
    graph = Graph({key.removeprefix("module."): value for key, value in parameters.items()})
    wide = graph.parameter("conv1.weight").shape[-1] == 7  # a stem for large images
    out = _convolution(graph, "images", "conv1", "bn1", stride=2 if wide else 1)
    if wide:
        pool = {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1, 1, 1, 1]}
        out = graph.add("MaxPool", [out], "maxpool", **pool)
    width = graph.channels["conv1"]
    for stage in range(1, 5):
        block = 0
        while (where := f"layer{stage}.{block}") + ".conv1.weight" in graph.parameters:
            out, width = _block(graph, out, where, width, stride=2 if stage > 1 and block == 0 else 1)
            block += 1
    graph.head(out, "fc" if "fc.weight" in graph.parameters else "linear")
    return graph.model(name, size)


def _block(graph: Graph, source: str, name: str, width: int, *, stride: int) -> tuple[str, int]:
    """Convolutions beside a short cut; the sum and its channels."""
    last = 3 if f"{name}.conv3.weight" in graph.parameters else 2
    striding = last - 1  # the 3 x 3 of a bottleneck, the first of two
    out = source
    for i in range(1, last + 1):
        step = stride if i == striding else 1
        out = _convolution(graph, out, f"{name}.conv{i}", f"{name}.bn{i}", stride=step, active=i < last)
    own = graph.channels[out]
    short = source
    if f"{name}.downsample.0.weight" in graph.parameters:
        short = _convolution(
            graph, source, f"{name}.downsample.0", f"{name}.downsample.1", stride=stride, active=False
        )
    elif stride > 1 or own != width:
        short = _subsampled(graph, source, name, stride=stride, more=own - width)
    out = graph.add("Add", [out, short], f"{name}.sum")
    return graph.add("Relu", [out], f"{name}.out"), own


def _subsampled(graph: Graph, source: str, name: str, *, stride: int, more: int) -> str:
    """Short cut A of section 3.3: every other place, and channels of zeros on both sides."""
    bounds = {"starts": [0, 0], "ends": [1 << 30, 1 << 30], "axes": [2, 3], "steps": [stride, stride]}
    inputs = [graph.constant(f"{name}.{key}", np.array(values)) for key, values in bounds.items()]
    out = graph.add("Slice", [source, *inputs], f"{name}.every")
    before = more // 2
    pads = graph.constant(f"{name}.pads", np.array([0, before, 0, 0, 0, more - before, 0, 0]))
    return graph.add("Pad", [out, pads], f"{name}.padded")


def _convolution(
    graph: Graph, source: str, conv: str, norm: str, *, stride: int = 1, active: bool = True
) -> str:
    pad = graph.parameter(f"{conv}.weight").shape[-1] // 2
    out = graph.convolution(source, conv, norm, epsilon=EPSILON, strides=[stride] * 2, pads=[pad] * 4)
    return graph.add("Relu", [out], f"{conv}.relu") if active else out

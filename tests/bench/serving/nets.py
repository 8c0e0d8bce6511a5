"""Two nets with random weights from a recorded seed, built as ONNX graphs: one tiny, one that costs.

Only their shape matters here: serving is measured, not what they know.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from models.card import InputSpec
from models.results import Array

__all__ = ["RESNET18_FACTS", "SEED", "TINY_FACTS", "resnet18", "tiny"]

SEED = 20261124
OPSET = 17
_SHARED: dict[str, Any] = {
    "version": 1,
    "task": "classification",
    "family": "logits",
    "outputs": ("logits",),
    "licence": "Apache-2.0",
    "training": {"seed": SEED, "weights": "random"},
}
TINY_FACTS: dict[str, Any] = {
    **_SHARED,
    "name": "tiny",
    "input": InputSpec(height=32, width=32),
    "labels": tuple(f"class-{i}" for i in range(10)),
}
RESNET18_FACTS: dict[str, Any] = {
    **_SHARED,
    "name": "resnet18",
    "input": InputSpec(
        height=224,
        width=224,
        scaled_decode=True,  # one of the things measured; it matters to the large JPEG only
        mean=(123.675, 116.28, 103.53),
        std=(58.395, 57.12, 57.375),
    ),
    "labels": tuple(f"class-{i}" for i in range(1000)),
    "max_batch": 8,
}


class _Graph:
    """Nodes and weights in the making; every method returns the name of its output."""

    def __init__(self, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.nodes: list[Any] = []
        self.weights: list[Any] = []

    def add(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind.lower()}-{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def random(self, *shape: int, gain: float) -> str:
        """Normal weights that keep the size of activations (He et al. 2015), times `gain`."""
        spread = gain * np.sqrt(2 / np.prod(shape[1:]))
        values: Array = (self.rng.standard_normal(shape) * spread).astype(np.float32)
        self.weights.append(numpy_helper.from_array(values, f"weight-{len(self.weights)}"))
        return str(self.weights[-1].name)

    def convolution(
        self,
        source: str,
        shape: tuple[int, int, int],
        *,
        stride: int = 1,
        active: bool = True,
        gain: float = 1,
    ) -> str:
        """`shape` is (channels out, channels in, kernel size); ReLU follows unless not `active`."""
        out, into, size = shape
        weight = self.random(out, into, size, size, gain=gain)
        pads = [size // 2] * 4
        made = self.add("Conv", source, weight, pads=pads, strides=[stride, stride])
        return self.add("Relu", made) if active else made

    def pooled(self, source: str, size: int, stride: int) -> str:
        pads = [(size - 1) // 2] * 4
        return self.add("MaxPool", source, kernel_shape=[size] * 2, strides=[stride] * 2, pads=pads)

    def finished(self, source: str, channels: int, *, classes: int, size: int) -> bytes:
        """Global pooling and one linear layer close the graph."""
        flat = self.add("Flatten", self.add("GlobalAveragePool", source))
        weight = self.random(classes, channels, gain=1.0)
        self.nodes.append(helper.make_node("Gemm", [flat, weight], ["logits"], transB=1))
        graph = helper.make_graph(
            self.nodes,
            "bench",
            [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["N", 3, size, size])],
            [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", classes])],
            self.weights,
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=8)
        data: bytes = model.SerializeToString()
        return data


def tiny(seed: int = SEED) -> bytes:
    """Three convolutions on 32 x 32, ten classes: about 0.2 ms on one thread."""
    graph = _Graph(seed)
    out, channels = "images", 3
    for wider in (64, 96, 128):
        out = graph.pooled(graph.convolution(out, (wider, channels, 3)), 2, 2)
        channels = wider
    return graph.finished(out, channels, classes=10, size=32)


def resnet18(seed: int = SEED) -> bytes:
    """The shape of ResNet-18 (He et al. 2016) at 224 x 224, 1,000 classes: 17 to 35 ms on one thread.

    Batch norm is left out, as any exporter folds it into the convolutions.
    """
    graph = _Graph(seed)
    out = graph.pooled(graph.convolution("images", (64, 3, 7), stride=2), 3, 2)
    channels = 64
    for stage, wider in enumerate((64, 128, 256, 512)):
        for block in range(2):
            stride = 2 if stage and not block else 1
            inner = graph.convolution(out, (wider, channels, 3), stride=stride)
            # Small, so that sums of blocks do not grow without batch norm.
            inner = graph.convolution(inner, (wider, wider, 3), active=False, gain=0.3)
            if stride == 2:
                out = graph.convolution(out, (wider, channels, 1), stride=2, active=False)
            out = graph.add("Relu", graph.add("Add", out, inner))
            channels = wider
    return graph.finished(out, channels, classes=1000, size=224)

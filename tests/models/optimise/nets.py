"""A small net as exporters write it: batch norm as nodes, a bias that is computed, boxes made at the end."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from models.card import InputSpec, ModelCard

__all__ = ["SIZE", "card", "detector"]

SIZE = 16
CHANNELS = (3, 8, 8)


def detector(seed: int = 0) -> bytes:
    """Two convolutions with batch norm, a residual sum, a convolution, then exp and sigmoid in the head.

    Outputs `boxes` (N, 4, h, w), positive, and `scores` (N, 4, h, w), in [0, 1].
    """
    rng = np.random.default_rng(seed)
    weights: dict[str, np.ndarray] = {"zero": np.zeros(1, np.float32), "wide": np.array([8], np.int64)}
    nodes: list[Any] = [
        helper.make_node("CastLike", ["zero", "images"], ["typed"]),  # as PyTorch's exporter writes no bias
        helper.make_node("Expand", ["typed", "wide"], ["bias"]),
    ]
    out = "images"
    for i, (into, wide) in enumerate(pairwise(CHANNELS)):
        scale = np.sqrt(2 / (9 * into))
        weights[f"w{i}"] = (rng.standard_normal((wide, into, 3, 3)) * scale).astype(np.float32)
        for name, values in (
            ("gamma", rng.uniform(0.5, 1.5, wide)),
            ("beta", rng.normal(0, 0.1, wide)),
            ("mean", rng.normal(0, 0.1, wide)),
            ("var", rng.uniform(0.5, 1.5, wide)),
        ):
            weights[f"{name}{i}"] = values.astype(np.float32)
        norm = [f"{name}{i}" for name in ("gamma", "beta", "mean", "var")]
        nodes += [
            helper.make_node("Conv", [out, f"w{i}", "bias"], [f"c{i}"], pads=[1, 1, 1, 1]),
            helper.make_node("BatchNormalization", [f"c{i}", *norm], [f"n{i}"]),
            helper.make_node("Relu", [f"n{i}"], [f"r{i}"]),
        ]
        out = f"r{i}"
    weights["head"] = (rng.standard_normal((8, 8, 1, 1)) * 0.3).astype(np.float32)
    weights["halves"] = np.array([4, 4], np.int64)
    nodes += [
        helper.make_node("Add", ["r0", "r1"], ["sum"]),
        helper.make_node("Conv", ["sum", "head"], ["raw"]),
        helper.make_node("Split", ["raw", "halves"], ["logs", "odds"], axis=1),
        helper.make_node("Exp", ["logs"], ["boxes"]),
        helper.make_node("Sigmoid", ["odds"], ["scores"]),
    ]
    info = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "net",
        [info("images", TensorProto.FLOAT, ["N", 3, SIZE, SIZE])],
        [info(name, TensorProto.FLOAT, ["N", 4, SIZE, SIZE]) for name in ("boxes", "scores")],
        [numpy_helper.from_array(value, name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data: bytes = model.SerializeToString()
    return data


def card(sha256: str = "0" * 64) -> ModelCard:
    """Of `detector`; only its input counts here."""
    return ModelCard(
        name="net",
        version=1,
        task="classification",
        family="logits",
        input=InputSpec(height=SIZE, width=SIZE),
        outputs=("boxes", "scores"),
        labels=("a", "b"),
        licence="Apache-2.0",
        sha256=sha256,
    )

"""Tiny real ONNX models for tests, made here, and a repository of one for each task."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from models.card import ModelCard
from models.publish import publish

__all__ = ["dim_or_light", "repository", "typed_repository"]

SIZE = 8


def _model(
    nodes: list[Any],
    outputs: list[Any],
    constants: dict[str, np.ndarray],
    *,
    type: int = TensorProto.FLOAT,  # noqa: A002
) -> bytes:
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("images", type, ["N", 3, SIZE, SIZE])],
        outputs,
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data: bytes = model.SerializeToString()
    return data


def dim_or_light() -> bytes:
    """Logits (dim, light) from the mean level in [0, 1]."""
    return _model(
        [
            helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=0),
            helper.make_node("Unsqueeze", ["mean", "one"], ["column"]),
            helper.make_node("Gemm", ["column", "weight", "bias"], ["logits"], transB=1),
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 2])],
        {
            "one": np.array([1]),
            "weight": np.array([[-8.0], [8.0]], np.float32),
            "bias": np.array([4.0, -4.0], np.float32),
        },
    )


def whole_picture() -> bytes:
    """One box, the whole input, its score the mean level."""
    return _model(
        [
            helper.make_node("ReduceMean", ["images"], ["mean"], axes=[1, 2, 3], keepdims=0),
            helper.make_node("Unsqueeze", ["mean", "axes"], ["scores"]),
            helper.make_node("Mul", ["scores", "zeros"], ["nothing"]),
            helper.make_node("Add", ["nothing", "box"], ["boxes"]),
        ],
        [
            helper.make_tensor_value_info("boxes", TensorProto.FLOAT, ["N", 1, 4]),
            helper.make_tensor_value_info("scores", TensorProto.FLOAT, ["N", 1, 1]),
        ],
        {
            "axes": np.array([1, 2]),
            "zeros": np.zeros((1, 1, 4), np.float32),
            "box": np.array([[[0, 0, SIZE, SIZE]]], np.float32),
        },
    )


def light_pixels() -> bytes:
    """Logits (dark, light) of every pixel from its red level."""
    return _model(
        [
            helper.make_node("ReduceMean", ["images"], ["light"], axes=[1], keepdims=1),
            helper.make_node("Sub", ["one", "light"], ["dark"]),
            helper.make_node("Concat", ["dark", "light"], ["logits"], axis=1),
        ],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 2, SIZE, SIZE])],
        {"one": np.array(1, np.float32)},
    )


def echo(dtype: str) -> bytes:
    """Takes any type; gives it back, and beside `dim_or_light`'s logits what other types make of it."""
    own = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    nodes = [
        helper.make_node("Identity", ["images"], ["echo"]),
        helper.make_node("Cast", ["images"], ["levels"], to=TensorProto.FLOAT),
        helper.make_node("Cast", ["images"], ["truth"], to=TensorProto.BOOL),
        helper.make_node("ReduceMean", ["levels"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["column"]),
        helper.make_node("Log", ["column"], ["log"]),
        helper.make_node("Gemm", ["column", "weight"], ["logits"], transB=1),
        helper.make_node("Cast", ["logits"], ["whole"], to=TensorProto.UINT8),
        helper.make_node("Cast", ["column"], ["text"], to=TensorProto.STRING),
    ]
    info = helper.make_tensor_value_info
    outputs = [
        info("logits", TensorProto.FLOAT, ["N", 2]),
        info("echo", own, ["N", 3, SIZE, SIZE]),
        info("truth", TensorProto.BOOL, ["N", 3, SIZE, SIZE]),
        info("whole", TensorProto.UINT8, ["N", 2]),
        info("log", TensorProto.FLOAT, ["N", 1]),
        info("text", TensorProto.STRING, ["N", 1]),
    ]
    constants = {"one": np.array([1]), "weight": np.array([[1.0], [2.0]], np.float32)}
    return _model(nodes, outputs, constants, type=own)


def typed_repository(root: Path) -> Path:
    """`echo-float16/1` and so on, one for each type a card may name; `text/1` gives text, and has no pair."""
    facts: dict[str, Any] = {
        "version": 1,
        "task": "classification",
        "family": "logits",
        "outputs": ("logits", "echo", "truth", "whole", "log"),
        "labels": ("some", "twice"),
        "licence": "Apache-2.0",
        "max_batch": 4,
    }
    golden = np.full((6, 9, 3), 90, np.uint8)
    for dtype in ("float32", "float16", "float64", "uint8", "int32", "int64"):
        spec = {"height": SIZE, "width": SIZE, "dtype": dtype}
        publish(root, echo(dtype), {**facts, "name": f"echo-{dtype}", "input": spec}, golden_image=golden)
    graph = echo("float32")
    told = {**facts, "name": "text", "input": {"height": SIZE, "width": SIZE}, "outputs": ("logits", "text")}
    folder = root / "text" / "1"
    folder.mkdir(parents=True)
    (folder / "model.onnx").write_bytes(graph)
    ModelCard(**told, sha256=hashlib.sha256(graph).hexdigest()).write(folder / "card.json")
    return root


def repository(root: Path) -> Path:
    """`lamp/1`, `lamp/2` (classification), `frame/1` (detection), `shade/1` (segmentation)."""
    golden = np.full((6, 9, 3), 90, np.uint8)
    shared: dict[str, Any] = {
        "version": 1,
        "family": "logits",
        "input": {"height": SIZE, "width": SIZE},
        "outputs": ("logits",),
        "labels": ("dim", "light"),
        "licence": "Apache-2.0",
        "max_batch": 4,
    }
    publish(root, dim_or_light(), {**shared, "name": "lamp", "task": "classification"}, golden_image=golden)
    second = {**shared, "name": "lamp", "task": "classification", "version": 2}
    publish(root, dim_or_light(), second, golden_image=golden)
    frame = {"name": "frame", "task": "detection", "family": "dense", "outputs": ("boxes", "scores")}
    publish(root, whole_picture(), {**shared, **frame, "labels": ("picture",)}, golden_image=golden)
    publish(root, light_pixels(), {**shared, "name": "shade", "task": "segmentation"}, golden_image=golden)
    return root

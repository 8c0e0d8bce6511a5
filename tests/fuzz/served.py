"""What is served while inputs are broken: one small model for every way a picture is laid into a graph."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from models.publish import publish
from tests.graphs import dim_or_light, light_pixels, whole_picture

__all__ = ["graphs", "repository"]

SIZE, LARGE = 8, 160
GOLDEN = np.full((6, 9, 3), 90, np.uint8)


def _levels() -> bytes:
    """Logits (dim, light) of uint8 pictures of any size, channels last: a graph whose input is not fixed."""
    nodes = [
        helper.make_node("Cast", ["images"], ["numbers"], to=TensorProto.FLOAT),
        helper.make_node("ReduceMean", ["numbers"], ["mean"], axes=[1, 2, 3], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["column"]),
        helper.make_node("Gemm", ["column", "weight", "bias"], ["logits"], transB=1),
    ]
    constants = {
        "one": np.array([1]),
        "weight": np.array([[-0.05], [0.05]], np.float32),
        "bias": np.array([6.4, -6.4], np.float32),
    }
    graph = helper.make_graph(
        nodes,
        "levels",
        [helper.make_tensor_value_info("images", TensorProto.UINT8, ["N", "H", "W", 3])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 2])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    data: bytes = model.SerializeToString()
    return data


def graphs() -> tuple[bytes, ...]:
    """ONNX files, the seeds of broken ones."""
    return dim_or_light(), whole_picture(), light_pixels(), _levels()


def repository(root: Path) -> Path:
    """`lamp/1` (whole picture squeezed), `levels/1` (cropped, large, uint8), `frame/1` and `shade/1`
    (letterboxed), `spare/1` (loaded and unloaded by whoever has the key).
    """
    shared: dict[str, Any] = {
        "version": 1,
        "task": "classification",
        "family": "logits",
        "input": {"height": SIZE, "width": SIZE, "scaled_decode": True},
        "outputs": ("logits",),
        "labels": ("dim", "light"),
        "licence": "Apache-2.0",
        "max_batch": 4,
    }
    boxed = {"height": SIZE, "width": SIZE, "resize": "letterbox"}
    frame = {"name": "frame", "task": "detection", "family": "dense", "outputs": ("boxes", "scores")}
    cropped = {
        "height": LARGE,
        "width": LARGE,
        "layout": "NHWC",
        "dtype": "uint8",
        "resize": "crop",
        "crop_fraction": 0.875,
    }
    publish(root, dim_or_light(), {**shared, "name": "lamp"}, golden_image=GOLDEN)
    publish(root, dim_or_light(), {**shared, "name": "spare"}, golden_image=GOLDEN)
    publish(root, _levels(), {**shared, "name": "levels", "input": cropped}, golden_image=GOLDEN)
    publish(
        root,
        whole_picture(),
        {**shared, **frame, "input": boxed, "labels": ("picture",)},
        golden_image=GOLDEN,
    )
    shade = {"name": "shade", "task": "segmentation", "input": boxed}
    publish(root, light_pixels(), {**shared, **shade}, golden_image=GOLDEN)
    return root

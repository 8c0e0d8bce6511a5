"""Every operator of the twin gives what the ONNX standard's own examples, and onnxruntime, give."""

from __future__ import annotations

import itertools
import warnings
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import numpy as np
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper

from eval.whitebox.node import Unsupported, read_node
from eval.whitebox.ops import OPS
from eval.whitebox.twin import Twin
from models.results import Array
from models.runtime import OnnxRunner
from tests.eval.whitebox.graphs import graph

pytestmark = pytest.mark.torch
# What is not compared with the standard's examples, and why.
ODD = {
    "test_training_dropout": "draws at random",
    "test_identity_sequence": "is no tensor",
    "test_identity_opt": "is no tensor",
    "test_reduce_max_empty_set": "is empty, and torch refuses",
    "test_reduce_min_empty_set": "is empty, and torch refuses",
    "test_resize_downsample_scales_linear_align_corners": "onnxruntime differs, and is what is served",
    "test_resize_downsample_scales_cubic_align_corners": "onnxruntime differs, and is what is served",
}
OF_MANY_TYPES = {"Cast", "CastLike", "QuantizeLinear", "DequantizeLinear"}  # 2, 4 and 8 bits, mostly
NOT_THERE = {"Upsample"}  # withdrawn: the standard has no example of it any more


@cache
def examples() -> Mapping[str, list[Any]]:
    """The standard's examples of one node, by operator."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from onnx.backend.test.case.node import collect_testcases

        cases = collect_testcases()
    found = defaultdict(list)
    for case in cases:
        if case.model is None:
            continue
        told = case.model.graph.node
        if len(told) == 1 and told[0].op_type in OPS and not any(case.name.startswith(odd) for odd in ODD):
            found[told[0].op_type].append(case)
    return found


def array(value: Any) -> Array:
    """An example's value."""
    return numpy_helper.to_array(value) if isinstance(value, TensorProto) else np.asarray(value)


def compared(case: Any) -> bool:
    """Compare one example; False where the twin refuses it."""
    opset = next(o.version for o in case.model.opset_import if o.domain == "")
    names = [i.name for i in case.model.graph.input]
    for inputs, outputs in case.data_sets:
        values = {n: array(v) for n, v in zip(names, inputs, strict=False)}
        every = [*values.values(), array(outputs[0])]
        if any(v.dtype.kind not in "biuf" or v.dtype.isbuiltin != 1 for v in every):
            return False  # text, and types that NumPy does not know
        try:
            node = read_node(case.model.graph.node[0], opset)
            node = replace(node, outputs=node.outputs if node.op in ("Split", "TopK") else node.outputs[:1])
            tensors = {name: torch.from_numpy(value.copy()) for name, value in values.items()}
            found = OPS[node.op](node, *(tensors.get(name) for name in node.inputs))
        except (Unsupported, NotImplementedError):
            return False
        for got, want in zip(found if isinstance(found, tuple) else (found,), outputs, strict=False):
            told, wanted = got.numpy().astype(np.float64), array(want).astype(np.float64)
            assert told.shape == wanted.shape, case.name
            # Some examples are written down with four digits.
            np.testing.assert_allclose(told, wanted, rtol=1e-3, atol=1e-4, err_msg=case.name)
    return True


@pytest.mark.parametrize("op", sorted(OPS.keys() - NOT_THERE))
def test_the_standards_examples(op: str) -> None:
    cases = examples()[op]
    done = sum(map(compared, cases))
    assert done >= 1
    # What is refused is the exception.
    assert done >= len(cases) / 3 or op in OF_MANY_TYPES, f"{op}: {done} of {len(cases)}"


def same(model: bytes, image: Array, *, tolerance: float = 1e-5) -> None:
    """The twin and onnxruntime, on a batch."""
    settings: dict[str, Any] = {"input_name": "images", "outputs": ["y"]}
    (want,) = OnnxRunner(model, **settings).run(image)
    (got,) = Twin(model, **settings).run(image)
    assert got.dtype == want.dtype
    assert got.shape == want.shape
    np.testing.assert_allclose(got, want, rtol=tolerance, atol=tolerance)


MODES = [("nearest", m) for m in ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")]
COORDINATES = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric")
FACTORS = ((2.0, 2.0), (1.6, 0.7), (0.5, 0.5), (3.0, 1.0), (0.15, 2.3))


@pytest.mark.parametrize(("mode", "nearest"), [*MODES, ("linear", ""), ("cubic", "")])
def test_resize_is_onnxruntimes(mode: str, nearest: str) -> None:
    image = np.random.default_rng(0).normal(size=(1, 2, 7, 9)).astype(np.float32)
    for coordinates, factors in itertools.product(COORDINATES, FACTORS):
        told = {"mode": mode, "coordinate_transformation_mode": coordinates}
        told |= {"nearest_mode": nearest} if nearest else {}
        node = helper.make_node("Resize", ["images", "", "scales"], ["y"], **told)
        scales = np.array([1, 1, *factors], np.float32)
        same(graph([node], {"scales": scales}, shape=image.shape), image, tolerance=1e-4)
        sizes = np.array([1, 2, *(max(1, int(s * f)) for s, f in zip((7, 9), factors, strict=True))])
        by_size = helper.make_node("Resize", ["images", "", "", "sizes"], ["y"], **told)
        same(graph([by_size], {"sizes": sizes}, shape=image.shape), image, tolerance=1e-4)


@pytest.mark.parametrize("opset", [9, 10])
@pytest.mark.parametrize("mode", ["nearest", "linear"])
def test_older_resizing_is_onnxruntimes(opset: int, mode: str) -> None:
    image = np.random.default_rng(0).normal(size=(1, 2, 6, 8)).astype(np.float32)
    op = "Upsample" if opset == 9 else "Resize"
    for factors in ((2.0, 2.0), (3.0, 1.5), *([(0.5, 0.75)] if opset == 10 else [])):
        node = helper.make_node(op, ["images", "scales"], ["y"], mode=mode)
        scales = np.array([1, 1, *factors], np.float32)
        same(graph([node], {"scales": scales}, shape=image.shape, opset=opset), image)


@pytest.mark.parametrize("seed", range(40))
def test_windows_are_onnxruntimes(seed: int) -> None:
    """Convolutions and pools with drawn strides, pads, dilations, groups and rounding."""
    draw = np.random.default_rng(seed)
    kernel, strides = [int(v) for v in draw.integers(1, 4, 2)], [int(v) for v in draw.integers(1, 4, 2)]
    image = draw.normal(size=(2, 4, int(draw.integers(7, 12)), int(draw.integers(7, 12)))).astype(np.float32)
    told: dict[str, Any] = {"strides": strides, "kernel_shape": kernel}
    auto = str(draw.choice(["NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID"]))
    if auto.startswith("SAME"):  # onnxruntime refuses strides that leave pixels out
        strides[:] = [min(pair) for pair in zip(strides, kernel, strict=True)]
    if auto == "NOTSET":
        told["pads"] = [int(draw.integers(0, k)) for k in kernel * 2]
    else:
        told["auto_pad"] = auto
    pool = dict(told)
    if auto == "NOTSET":
        pool["ceil_mode"] = int(draw.integers(2))
    node, shape = helper.make_node, image.shape
    same(graph([node("MaxPool", ["images"], ["y"], **pool)], {}, shape=shape), image)
    counted = int(draw.integers(2)) if auto == "NOTSET" else 0
    average = node("AveragePool", ["images"], ["y"], **pool, count_include_pad=counted)
    same(graph([average], {}, shape=shape, opset=19), image)
    group = int(draw.choice([1, 2, 4]))
    weights = {
        "w": draw.normal(size=(8, 4 // group, *kernel)).astype(np.float32),
        "b": draw.normal(size=8).astype(np.float32),
    }
    conv = node("Conv", ["images", "w", "b"], ["y"], **told, group=group)
    same(graph([conv], weights, shape=shape), image, tolerance=1e-4)


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_quantised_values_are_onnxruntimes_and_let_gradients_through(dtype: Any) -> None:
    image = np.linspace(-3, 3, 108, dtype=np.float32).reshape(1, 3, 6, 6)
    constants = {"scale": np.array(0.01, np.float32), "zero": np.array(3, dtype)}
    nodes = [
        helper.make_node("QuantizeLinear", ["images", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["y"]),
    ]
    model = graph(nodes, constants)
    same(model, image)
    x = torch.from_numpy(image).requires_grad_()
    (y,) = Twin(model, input_name="images", outputs=["y"])(x)
    y.sum().backward()
    info = np.iinfo(dtype)
    inside = (image / 0.01 + 3 > info.min + 1) & (image / 0.01 + 3 < info.max - 1)
    outside = (image / 0.01 + 3 < info.min - 1) | (image / 0.01 + 3 > info.max + 1)
    assert x.grad is not None
    np.testing.assert_allclose(x.grad.numpy()[inside], 1, rtol=1e-5)
    assert (x.grad.numpy()[outside] == 0).all()
    assert inside.any()
    assert outside.any()


@pytest.mark.parametrize(
    ("op", "told"),
    [
        ("Resize", {"mode": "linear", "antialias": 1}),
        ("Resize", {"mode": "linear", "coordinate_transformation_mode": "tf_crop_and_resize"}),
    ],
)
def test_what_has_no_twin_is_refused_by_name(op: str, told: Mapping[str, Any]) -> None:
    node = helper.make_node(op, ["images", "", "scales"], ["y"], **told)
    model = graph([node], {"scales": np.array([1, 1, 2, 2], np.float32)}, opset=18)
    twin = Twin(model, input_name="images", outputs=["y"])
    with pytest.raises(Unsupported, match=op):
        twin.run(np.zeros((1, 3, 6, 6), np.float32))

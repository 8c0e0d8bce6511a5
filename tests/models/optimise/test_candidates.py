"""Candidates compute what the original computes: same names, any batch, numbers as close as they say."""

from __future__ import annotations

import hashlib
import struct
import sys
from typing import Any

import numpy as np
import onnx
import pytest

from models.optimise import tools
from models.optimise.calibration import Calibration, calibration_of, digest_of
from models.optimise.candidates import PLAIN, SCHEMES, candidates
from models.optimise.graph import folded, halved, load_seconds, operators, ort_format
from models.optimise.quantise import Scheme, kept_in_float, quantised
from models.optimise.tools import CannotOptimise
from models.results import Array
from models.runtime import OnnxRunner, UnusableGraph
from models.tasks import TASKS
from tests.models.optimise.nets import SIZE, card, detector

OUTPUTS = ("boxes", "scores")


def pictures(count: int, seed: int = 1) -> list[Array]:
    rng = np.random.default_rng(seed)
    return [rng.integers(0, 256, (20 + i, 30, 3)).astype(np.uint8) for i in range(count)]


def run(graph: bytes, batch: Array) -> list[Array]:
    return OnnxRunner(graph, input_name="images", outputs=OUTPUTS).run(batch)


@pytest.fixture(scope="module")
def graph() -> bytes:
    return detector()


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return calibration_of("train", card(), pictures(20))


def test_folding_leaves_no_batch_norm_and_the_same_numbers(graph: bytes, calibration: Calibration) -> None:
    assert operators(graph)["BatchNormalization"] == 2
    once = folded(graph)
    assert set(operators(once)) == {"Conv", "Relu", "Add", "Split", "Exp", "Sigmoid"}
    for one, other in zip(run(once, calibration.batch), run(graph, calibration.batch), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_folding_again_changes_nothing(graph: bytes) -> None:
    once = folded(graph)
    assert operators(folded(once)) == operators(once)


def test_every_candidate_keeps_names_and_takes_any_batch(graph: bytes, calibration: Calibration) -> None:
    made = {}
    for candidate in candidates(graph, "images", calibration):
        data = candidate.make()
        if candidate.name == "ort-format":
            with pytest.raises(UnusableGraph):  # a server takes only what it can look into
                run(data, calibration.batch)
            continue
        made[candidate.name] = data
        runner = OnnxRunner(data, input_name="images", outputs=OUTPUTS)
        assert [port.shape for port in runner.inputs] == [(-1, 3, SIZE, SIZE)], candidate.name
        assert {port.dtype for port in (*runner.inputs, *runner.outputs)} == {np.dtype("float32")}
        for size in (1, 3, 7):
            shapes = [out.shape for out in runner.run(calibration.batch[:size])]
            assert shapes == [(size, 4, SIZE, SIZE)] * 2, candidate.name
    assert {PLAIN, "folded", "fused", "fp16", *SCHEMES} == made.keys()
    assert made[PLAIN] == graph


@pytest.mark.parametrize("name", SCHEMES)
def test_int8_is_close_to_float_and_not_equal(name: str, graph: bytes, calibration: Calibration) -> None:
    data = quantised(folded(graph), "images", calibration, SCHEMES[name])
    scores, expected = run(data, calibration.batch)[1], run(graph, calibration.batch)[1]
    assert 0 < np.abs(scores - expected).max() < 0.15
    assert np.corrcoef(scores.ravel(), expected.ravel())[0, 1] > 0.99


def producers(graph: bytes) -> tuple[dict[str, Any], Any]:
    model = onnx.load_from_string(graph).graph
    return {name: node for node in model.node for name in node.output}, model


def test_what_makes_boxes_and_scores_stays_in_float(graph: bytes, calibration: Calibration) -> None:
    data = quantised(folded(graph), "images", calibration, Scheme())
    made, model = producers(data)
    for kind in ("Exp", "Sigmoid"):  # Split has a quantised form, and would come between
        (node,) = [n for n in model.node if n.op_type == kind]
        assert made[node.input[0]].op_type == "Split"
    assert {made[output.name].op_type for output in model.output} == {"Exp", "Sigmoid"}
    convolutions = [n for n in model.node if n.op_type == "Conv"]
    assert {made[n.input[0]].op_type for n in convolutions} == {"DequantizeLinear"}


def test_the_ends_stay_in_float_where_the_scheme_says_so(graph: bytes) -> None:
    model = onnx.load_from_string(folded(graph))
    convolutions = [n.name or f"node-{i}" for i, n in enumerate(model.graph.node) if n.op_type == "Conv"]
    inner = kept_in_float(model)
    with_ends = kept_in_float(model, ends=True)
    assert set(with_ends) - set(inner) == {convolutions[0], convolutions[-1]}


def test_weight_types_are_those_of_the_scheme(graph: bytes, calibration: Calibration) -> None:
    for scheme, kind in ((Scheme(), np.int8), (SCHEMES["int8-u8u8"], np.uint8)):
        model = onnx.load_from_string(quantised(folded(graph), "images", calibration, scheme)).graph
        arrays = [onnx.numpy_helper.to_array(t) for t in model.initializer]
        assert {a.dtype for a in arrays if a.ndim == 4} == {np.dtype(kind)}, scheme.types


def test_seven_bits_are_seven_bits(graph: bytes, calibration: Calibration) -> None:
    model = onnx.load_from_string(
        quantised(folded(graph), "images", calibration, SCHEMES["int8-u8s8-7bit"])
    ).graph
    weights = [onnx.numpy_helper.to_array(t) for t in model.initializer if len(t.dims) == 4]
    assert max(int(np.abs(w.astype(int)).max()) for w in weights) == 64


def test_percentile_ranges_forget_one_wild_pixel(graph: bytes, calibration: Calibration) -> None:
    """A range that an outlier stretches makes every step coarser; a percentile does not."""
    wild = calibration.batch.copy()
    wild[0, 0, 0, 0] = 200.0
    batch, plain = calibration.batch[1:], folded(graph)
    expected = run(graph, batch)[1]
    errors = {}
    for name in ("int8-u8s8", "int8-u8s8-percentile"):
        data = quantised(plain, "images", Calibration("wild", wild, ""), SCHEMES[name])
        errors[name] = float(np.abs(run(data, batch)[1] - expected).mean())
    assert errors["int8-u8s8-percentile"] < errors["int8-u8s8"] / 2


def test_calibration_pictures_are_prepared_by_the_task() -> None:
    images = pictures(3)
    made = calibration_of("train", card(), images)
    task = TASKS["classification"](card())
    np.testing.assert_array_equal(made.batch, np.stack([task.prepare(image) for image in images]))
    assert (made.name, len(made)) == ("train", 3)


def test_the_digest_is_over_shapes_and_pixels_in_order() -> None:
    images = pictures(3)
    told = b"".join(struct.pack("<3q", *image.shape) + image.tobytes() for image in images)
    assert digest_of(images) == hashlib.sha256(told).hexdigest()
    assert digest_of(images[::-1]) != digest_of(images)


def test_no_calibration_pictures_are_refused() -> None:
    with pytest.raises(CannotOptimise, match="at least one picture"):
        calibration_of("train", card(), [])


def test_a_quantised_graph_is_not_quantised_again(graph: bytes, calibration: Calibration) -> None:
    data = quantised(folded(graph), "images", calibration, Scheme())
    with pytest.raises(CannotOptimise, match="quantised already"):
        quantised(data, "images", calibration, Scheme())


@pytest.mark.parametrize("broken", [b"", b"no graph", b"\x08\x07"])
def test_what_is_no_graph_is_refused_in_words(broken: bytes) -> None:
    for make in (folded, ort_format, load_seconds):
        with pytest.raises(CannotOptimise, match="the graph cannot be"):
            make(broken)


def test_a_missing_tool_names_the_extras(monkeypatch: pytest.MonkeyPatch, graph: bytes) -> None:
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(CannotOptimise, match=r"assay\[serve,recipes\]"):
        operators(graph)
    assert tools.tool("json").__name__ == "json"


def test_half_precision_keeps_float32_at_the_door(graph: bytes, calibration: Calibration) -> None:
    data = halved(folded(graph))
    kinds = {t.data_type for t in onnx.load_from_string(data).graph.initializer if len(t.dims) == 4}
    assert kinds == {onnx.TensorProto.FLOAT16}
    for one, other in zip(run(data, calibration.batch), run(graph, calibration.batch), strict=True):
        np.testing.assert_allclose(one, other, rtol=0.05, atol=0.02)

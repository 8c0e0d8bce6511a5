"""Nets to ONNX and back: export with a dynamic batch, prove it, read the weights again."""

from __future__ import annotations

import io
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper
from torch import Tensor, nn

from models.results import Array
from models.runtime import OnnxRunner

__all__ = ["DifferentGraph", "export", "in_half", "prove_equal", "twin"]

OPSET = 18
TOLERANCE = 1e-4


class DifferentGraph(Exception):
    """The exported graph does not give what the net gives."""


def export(net: nn.Module, example: Tensor, outputs: Sequence[str]) -> bytes:
    """The ONNX file of a net: input `images`, the batch dynamic, initializers named as parameters.

    Kernels that float16 holds exactly (see `in_half`) are written so, and cast when the graph is loaded.

    Batch norm stays a node (onnxruntime folds it into the convolution when it loads), so that `twin` can
    read every parameter back.

    Args:
        example: float32 `(N, C, H, W)`, N at least 2, of the size the graph will serve.
    """
    buffer = io.BytesIO()
    with warnings.catch_warnings():  # the exporter warns of its own use of PyTorch's internals
        warnings.simplefilter("ignore", FutureWarning)
        program = torch.onnx.export(
            net.eval(),
            (example,),
            dynamo=True,
            optimize=False,
            opset_version=OPSET,
            input_names=["images"],
            output_names=list(outputs),
            dynamic_shapes=({0: torch.export.Dim("batch", min=1, max=4096)},),
            verbose=False,
        )
    if program is None:
        raise DifferentGraph("the exporter gave no program")
    model = program.model_proto
    for node in model.graph.node:  # the exporter writes the machine's paths into them
        del node.metadata_props[:]
        node.doc_string = ""
    del model.metadata_props[:]
    _drop_empty_biases(model.graph)
    _halve(model)
    onnx.checker.check_model(model, full_check=True)
    onnx.save(model, buffer)
    return buffer.getvalue()


def in_half(net: nn.Module) -> nn.Module:
    """The net in evaluation mode, its kernels and matrices rounded to numbers that float16 holds.

    `export` writes those in half the bytes; they are computed with in float32.
    """
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.ndim > 1:
                parameter.copy_(parameter.half().float())
    return net.eval()


def _drop_empty_biases(graph: onnx.GraphProto) -> None:
    """Convolutions without a bias have none, and nodes whose outputs nobody reads are gone.

    The exporter computes a row of zeros for each, which keeps onnxruntime from folding the batch norm
    behind it when it loads the graph: that cost a third of the time and more.
    """
    held = {tensor.name for tensor in graph.initializer}
    for node in graph.node:
        if node.op_type == "Conv" and len(node.input) == 3 and node.input[2] not in held:
            del node.input[2]
    wanted = {output.name for output in graph.output}
    for node in reversed(list(graph.node)):  # the nodes are sorted: readers come after what they read
        if wanted.isdisjoint(node.output):
            graph.node.remove(node)
        else:
            wanted.update(node.input)


def _halve(model: onnx.ModelProto) -> None:
    """Initializers that lose nothing by it become float16, each with a Cast before its first use.

    onnxruntime folds the Cast when it loads the graph: it costs nothing at run time.
    """
    casts = []
    for tensor in model.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT or len(tensor.dims) < 2:
            continue
        whole = numpy_helper.to_array(tensor)
        half = whole.astype(np.float16)
        if not np.array_equal(half.astype(np.float32), whole):
            continue
        name = f"{tensor.name}.float32"
        for node in model.graph.node:
            node.input[:] = [name if used == tensor.name else used for used in node.input]
        casts.append(
            onnx.helper.make_node("Cast", [tensor.name], [name], name=name, to=onnx.TensorProto.FLOAT)
        )
        tensor.CopyFrom(numpy_helper.from_array(half, tensor.name))
    halved = {cast.input[0] for cast in casts}
    for info in model.graph.value_info:  # the exporter lists initializers there too
        if info.name in halved:
            info.type.tensor_type.elem_type = onnx.TensorProto.FLOAT16
    for cast in reversed(casts):
        model.graph.node.insert(0, cast)


def prove_equal(net: nn.Module, path: Path, images: Tensor, outputs: Sequence[str]) -> float:
    """The largest difference between the net and the graph on real inputs, at two batch sizes.

    Outputs are compared as they are when they lie in [0, 1] or are pixels, logits after softmax.

    Raises:
        DifferentGraph: it is above 1e-4 (of a probability, or of a pixel's hundredth).
    """
    runner = OnnxRunner(path.read_bytes(), input_name="images", outputs=outputs)
    worst = 0.0
    for batch in (images, images[:1]):
        with torch.no_grad():
            told = net(batch)
        wanted = told if isinstance(told, tuple) else (told.softmax(dim=1),)
        got = runner.run(batch.numpy())
        if not isinstance(told, tuple):
            got = [torch.from_numpy(got[0]).softmax(dim=1).numpy()]
        for name, one, other in zip(outputs, wanted, got, strict=True):
            worst = max(worst, _apart(name, one.numpy(), other))
    if not worst <= TOLERANCE:
        raise DifferentGraph(f"net and graph must agree within {TOLERANCE:g}, got {worst:.3g}")
    return worst


def _apart(name: str, one: Array, other: Array) -> float:
    """How different two outputs are: 1 when more than a thousandth of the peaks are not the same."""
    apart: Array = np.abs(one.astype(np.float64) - other)
    if name == "boxes":
        return float(apart.max()) / 100
    if name == "scores":
        # A cell is a peak or scores 0. Where two cells tie, the last digit decides which is which.
        peaks = (one == 0) == (other == 0)
        if peaks.mean() < 1 - 1e-3:
            return 1.0
        apart = apart[peaks]
    return float(apart.max(initial=0.0))


def twin(net: nn.Module, path: Path) -> nn.Module:
    """The net with the weights of an ONNX file that `export` wrote, in evaluation mode.

    Raises:
        DifferentGraph: a parameter is missing or has another shape.
    """
    graph = onnx.load(path).graph
    found: dict[str, Array] = {t.name: _whole(numpy_helper.to_array(t)) for t in graph.initializer}
    state = net.state_dict()
    missing = [n for n in state if n not in found and not n.endswith("num_batches_tracked")]
    if missing:
        raise DifferentGraph(f"{path.name} lacks the parameters {missing[:3]}")
    try:
        net.load_state_dict({n: torch.from_numpy(found[n].copy()) if n in found else state[n] for n in state})
    except RuntimeError as error:
        raise DifferentGraph(f"{path.name} is of another net: {error}") from error
    return net.eval()


def _whole(array: Array) -> Array:
    return array.astype(np.float32) if array.dtype == np.float16 else array

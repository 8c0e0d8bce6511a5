"""A graph rewritten offline without touching what it computes: folded, fused, or in half precision."""

from __future__ import annotations

import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any, Literal, TypeAlias

from models.optimise.tools import CannotOptimise, tool

__all__ = ["Level", "folded", "halved", "load_seconds", "operators", "ort_format"]

Level: TypeAlias = Literal["basic", "extended"]
MOST_PASSES = 6
SILENT = 4


def operators(graph: bytes) -> Counter[str]:
    """How many nodes of each kind a graph has.

    Raises:
        CannotOptimise: the bytes are no ONNX file.
    """
    return Counter(str(node.op_type) for node in read(graph).graph.node)


def read(graph: bytes) -> Any:
    """The graph as an object of `onnx`. Raises CannotOptimise where it is none."""
    try:
        return tool("onnx").load_from_string(graph)
    except CannotOptimise:
        raise
    except Exception as error:  # protobuf's own classes
        raise CannotOptimise(f"the graph cannot be read: {error}") from error


def folded(graph: bytes, *, level: Level = "basic") -> bytes:
    """The graph after onnxruntime's own optimisations, run again until nothing changes.

    Once is not enough, and once is what a server does when it loads a graph: constants that only the
    first pass folds are what the second needs to merge batch norm into a convolution. Where an exporter
    wrote a convolution's bias as a computation, that alone is worth a third of the time.

    Args:
        level: `basic` keeps to standard ONNX; `extended` also fuses into onnxruntime's own operators.

    Raises:
        CannotOptimise: onnxruntime cannot load or write the graph.
    """
    for _ in range(MOST_PASSES):
        before, graph = operators(graph), _saved(graph, level=level)
        if operators(graph) == before:
            return graph
    return graph


def ort_format(graph: bytes) -> bytes:
    """The graph in onnxruntime's own file format, which loads without protobuf and is optimised already.

    Raises:
        CannotOptimise: onnxruntime cannot load or write the graph.
    """
    return _saved(graph, level="extended", save_model_format="ORT")


def _saved(graph: bytes, *, level: Level, **session: str) -> bytes:
    runtime = tool("onnxruntime")
    options = runtime.SessionOptions()
    options.log_severity_level = SILENT
    levels = runtime.GraphOptimizationLevel
    options.graph_optimization_level = (
        levels.ORT_ENABLE_BASIC if level == "basic" else levels.ORT_ENABLE_EXTENDED
    )
    for name, value in session.items():
        options.add_session_config_entry(f"session.{name}", value)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "saved"
        options.optimized_model_filepath = str(path)
        try:
            runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
            return path.read_bytes()
        except Exception as error:  # onnxruntime's own classes share no base but Exception
            raise CannotOptimise(f"the graph cannot be optimised: {error}") from error


def halved(graph: bytes) -> bytes:
    """Weights and arithmetic in float16, inputs and outputs as they were.

    Raises:
        CannotOptimise: an operator has no such form.
    """
    float16 = tool("onnxruntime.transformers.float16")
    try:
        model = float16.convert_float_to_float16(read(graph), keep_io_types=True)
        data: bytes = model.SerializeToString()
    except Exception as error:  # of any class, by what is unusual in the graph
        raise CannotOptimise(f"the graph has no half-precision form: {error}") from error
    return data


def load_seconds(graph: bytes, *, repeats: int = 3) -> float:
    """The least time a session of one thread takes to be made of `graph`, `.onnx` or `.ort`.

    Raises:
        CannotOptimise: it cannot be loaded.
    """
    runtime, best = tool("onnxruntime"), float("inf")
    options = runtime.SessionOptions()
    options.log_severity_level, options.intra_op_num_threads = SILENT, 1
    for _ in range(repeats):
        began = time.perf_counter()
        try:
            runtime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        except Exception as error:
            raise CannotOptimise(f"the graph cannot be loaded: {error}") from error
        best = min(best, time.perf_counter() - began)
    return best

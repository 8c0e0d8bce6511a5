"""Runs graphs with onnxruntime; the only file that knows it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import onnxruntime

from models.results import Array

__all__ = ["OnnxRunner", "UnusableGraph", "choose_providers"]

# Fastest first; what is not there is passed over. The CPU is always there.
PREFERRED = ("CUDAExecutionProvider", "CPUExecutionProvider")
SILENT = 4  # onnxruntime's "fatal": its own lines would bypass our log


class UnusableGraph(ValueError):
    """The file is not a graph that onnxruntime can run, or not the one its card describes."""


def choose_providers(available: Sequence[str]) -> list[str]:
    """The execution providers to use, best first, out of those that are there."""
    return [name for name in PREFERRED if name in available]


class OnnxRunner:
    """One graph, ready to run. Safe to share between threads.

    Args:
        path: the `.onnx` file.
        input_name: the graph's image input.
        outputs: the graph outputs to return, in this order.
        threads: intra-op threads of one run; several runs may be under way at once.

    Raises:
        UnusableGraph: the file cannot be loaded, or lacks a named input or output.
    """

    def __init__(self, path: Path, *, input_name: str, outputs: Sequence[str], threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = SILENT
        # Spinning threads would take the cores that decode the next picture.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers = choose_providers(onnxruntime.get_available_providers())
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        except Exception as error:  # onnxruntime's own classes share no base but Exception
            raise UnusableGraph(f"{path.name} cannot be loaded: {error}") from error
        self._input, self._outputs = input_name, list(outputs)
        self._require([i.name for i in self._session.get_inputs()], [input_name], "inputs")
        self._require([o.name for o in self._session.get_outputs()], self._outputs, "outputs")

    @staticmethod
    def _require(there: Sequence[str], wanted: Sequence[str], what: str) -> None:
        if missing := set(wanted) - set(there):
            raise UnusableGraph(f"the card names {what} {sorted(missing)}, the graph has {list(there)}")

    def run(self, batch: Array) -> list[Array]:
        """`(N, ...)` in the graph's layout and type -> its outputs, each `(N, ...)`."""
        return list(self._session.run(self._outputs, {self._input: batch}))

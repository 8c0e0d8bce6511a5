"""Runs graphs with onnxruntime; the only file that knows it."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import onnxruntime

from models.graphfile import BrokenGraph, external_tensors
from models.ports import Port
from models.results import Array

__all__ = ["OnnxRunner", "UnusableGraph", "choose_providers"]

# Fastest first; what is not there is passed over. The CPU is always there.
PREFERRED = ("CUDAExecutionProvider", "CPUExecutionProvider")
PLANNED = 1_000  # shapes remembered: a graph of any size may be asked for every one
SILENT = 4  # onnxruntime's "fatal": its own lines would bypass our log


class UnusableGraph(ValueError):
    """The file is not a graph that onnxruntime can run, or not the one its card describes."""


def choose_providers(available: Sequence[str]) -> list[str]:
    """The execution providers to use, best first, out of those that are there."""
    return [name for name in PREFERRED if name in available]


@functools.cache
def _share_arena() -> None:
    """One arena for all graphs of this process, made once.

    One of its own would keep for each graph, for ever, what its largest batch once took.
    """
    kinds = onnxruntime.OrtAllocatorType, onnxruntime.OrtMemType
    memory = onnxruntime.OrtMemoryInfo("Cpu", kinds[0].ORT_ARENA_ALLOCATOR, 0, kinds[1].DEFAULT)
    onnxruntime.create_and_register_allocator(memory, onnxruntime.OrtArenaCfg(0, -1, -1, -1))


def _giving_back() -> Any:
    """Options of a run after which the arena keeps nothing that no run uses."""
    options = onnxruntime.RunOptions()
    options.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
    return options


def _sizes(shape: Sequence[object]) -> tuple[int, ...]:
    return tuple(size if isinstance(size, int) and size >= 0 else -1 for size in shape)


def _dtype(told: str) -> np.dtype[Any]:
    """`tensor(float)` -> float32."""
    word = told.removeprefix("tensor(").removesuffix(")")
    named = {"float": "float32", "double": "float64", "string": "object"}.get(word, word)
    try:
        return np.dtype(named)
    except TypeError:  # bfloat16, sequences, maps: nothing here can carry them
        return np.dtype(object)


def _require_whole(model: bytes) -> None:
    try:
        outside = external_tensors(model)
    except BrokenGraph as error:
        raise UnusableGraph(f"the graph cannot be loaded: {error}") from error
    if outside:
        raise UnusableGraph(f"the graph must hold all its weights, but {outside[0]!r} lies in another file")


class OnnxRunner:
    """One graph, ready to run. Safe to share between threads.

    Args:
        model: the bytes of an `.onnx` file. Bytes, not a path: what was checked is what is loaded.
        input_name: the graph's image input; its first input where None.
        outputs: the graph outputs to return, in this order; all of them where None.
        threads: intra-op threads of one run; several runs may be under way at once.
        batched: False where the graph takes one picture and its outputs have no batch axis: what goes in
            and comes out, and what `inputs` and `outputs` tell, has one all the same, of size 1.

    Raises:
        UnusableGraph: the graph cannot be loaded, points at other files, or lacks a named input or output.
    """

    def __init__(
        self,
        model: bytes,
        *,
        input_name: str | None = None,
        outputs: Sequence[str] | None = None,
        threads: int = 1,
        batched: bool = True,
    ) -> None:
        _require_whole(model)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = SILENT
        # Spinning threads would take the cores that decode the next picture.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        _share_arena()
        options.add_session_config_entry("session.use_env_allocators", "1")
        # Weights stay: in the arena, they would keep what lies around them.
        options.add_session_config_entry("session.use_device_allocator_for_initializers", "1")
        providers = choose_providers(onnxruntime.get_available_providers())
        try:
            self._session = onnxruntime.InferenceSession(model, options, providers=providers)
        except Exception as error:  # onnxruntime's own classes share no base but Exception
            raise UnusableGraph(f"the graph cannot be loaded: {error}") from error
        there = [node.name for node in self._session.get_outputs()]
        first = next((node.name for node in self._session.get_inputs()), "")
        self._input = first if input_name is None else input_name
        self._outputs = there if outputs is None else list(outputs)
        self._found = {
            port.name: port
            for node in (*self._session.get_inputs(), *self._session.get_outputs())
            for port in [Port(node.name, _dtype(node.type), _sizes(node.shape))]
        }
        self._require([i.name for i in self._session.get_inputs()], [self._input], "inputs")
        self._require(there, self._outputs, "outputs")
        self._batched, self._rank = batched, len(self._found[self._input].shape)
        self._planned: set[tuple[int, ...]] = set()

    @staticmethod
    def _require(there: Sequence[str], wanted: Sequence[str], what: str) -> None:
        if missing := set(wanted) - set(there):
            raise UnusableGraph(f"the card names {what} {sorted(missing)}, the graph has {list(there)}")

    @property
    def inputs(self) -> list[Port]:
        """Every input of the graph; the image input is the one the card names."""
        return [self._seen(node.name, self._rank == 3) for node in self._session.get_inputs()]

    @property
    def outputs(self) -> list[Port]:
        """The outputs `run` returns, in its order."""
        return [self._seen(name, True) for name in self._outputs]

    def _seen(self, name: str, alone: bool) -> Port:
        port = self._found[name]
        return replace(port, shape=(1, *port.shape)) if alone and not self._batched else port

    @property
    def notes(self) -> dict[str, str]:
        """What whoever exported the graph wrote into it: its metadata properties."""
        return dict(self._session.get_modelmeta().custom_metadata_map)

    def run(self, batch: Array) -> list[Array]:
        """`(N, ...)` in the graph's layout and type -> its outputs, each `(N, ...)`."""
        if self._batched:
            return self._run(batch)
        if len(batch) != 1:
            raise ValueError(f"a graph without a batch axis takes one picture at a time, got {len(batch)}")
        picture = batch[0] if self._rank == batch.ndim - 1 else batch
        return [output[None] for output in self._run(picture)]

    def _run(self, fed: Array) -> list[Array]:
        """A shape's first run takes memory bit by bit, to plan the next in one piece, and gives it back."""
        new = fed.shape not in self._planned and len(self._planned) < PLANNED
        outputs = list(self._session.run(self._outputs, {self._input: fed}, _giving_back() if new else None))
        if new:
            self._planned.add(fed.shape)
        return outputs

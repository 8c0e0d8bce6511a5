"""A graph before anything is known about it: its input, its outputs, and how it behaves when run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from models.ports import Port
from models.repository import RepositoryError
from models.results import Array
from models.runtime import OnnxRunner, UnusableGraph

__all__ = ["Graph", "Run", "read_graph", "shape_text"]


@dataclass(frozen=True, slots=True)
class Run:
    """What the graph did with one picture.

    Attributes:
        outputs: by name, with the batch axis.
        ports: the graph's outputs, their untold sizes filled in where the picture told them.
        free_batch: whether two pictures at once give twice what one gives.
        why: of `free_batch`.
    """

    outputs: Mapping[str, Array]
    ports: tuple[Port, ...]
    free_batch: bool
    why: str


@dataclass(frozen=True, slots=True)
class Graph:
    """An ONNX file that loads.

    Attributes:
        data: its bytes.
        input: the picture's way in, with a batch axis.
        alone: the graph's own input has none: it takes one picture as it is.
        outputs: all of them, in the graph's order.
        notes: what its exporter wrote into it.
    """

    path: Path
    data: bytes
    runner: OnnxRunner
    input: Port
    alone: bool
    outputs: tuple[Port, ...]
    notes: Mapping[str, str]

    def run(self, prepared: Array) -> Run:
        """Run one prepared picture, alone and as a batch of two.

        Raises:
            RepositoryError: the graph does not take it; the message has the reason.
        """
        try:
            alone = self.runner.run(prepared if self.alone else prepared[None])
        except Exception as error:  # onnxruntime's own classes share no base but Exception
            took = f"{self.input.dtype} {shape_text(prepared[None].shape)}"
            raise RepositoryError(
                f"the graph does not run on {took}: {_short(error)}; another --size, --layout or --channels?"
            ) from error
        free, why = self._takes_two(prepared, alone)
        ports = tuple(_filled(port, output) for port, output in zip(self.outputs, alone, strict=True))
        outputs = {port.name: np.asarray(o) for port, o in zip(self.outputs, alone, strict=True)}
        return Run(outputs, ports, free, why)

    def _takes_two(self, prepared: Array, alone: Sequence[Array]) -> tuple[bool, str]:
        if self.input.shape[0] == 1:
            return False, "the graph takes one picture at a time"
        try:
            both = self.runner.run(np.stack([prepared, prepared]))
        except Exception as error:  # as in `run`
            return False, f"the graph tells a free batch, but does not run on two pictures: {_short(error)}"
        for port, one, two in zip(self.outputs, alone, both, strict=True):
            if two.shape != (2 * len(one), *one.shape[1:]) or len(one) != 1 or not _alike(one[0], two[1]):
                return False, f"two pictures at once give another {port.name} than one alone"
        return True, "two pictures at once give what each gives alone"


def read_graph(path: Path) -> Graph:
    """Load a file and look at it.

    Raises:
        RepositoryError: it is no graph that onnxruntime runs, or takes something else than pictures.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RepositoryError(f"{path} cannot be read: {error.strerror}") from error
    try:
        runner = OnnxRunner(data)
    except UnusableGraph as error:
        raise RepositoryError(f"{path}: {error}") from error
    if len(runner.inputs) != 1:
        told = ", ".join(f"{port.name} {shape_text(port.shape)}" for port in runner.inputs) or "none"
        raise RepositoryError(
            f"{path} must have one input, the pictures; it has {told}. Export it with the others fixed inside"
        )
    port = runner.inputs[0]
    alone = len(port.shape) == 3
    batched = replace(port, shape=(1, *port.shape)) if alone else port
    return Graph(path, data, runner, batched, alone, tuple(runner.outputs), runner.notes)


def shape_text(shape: Sequence[int]) -> str:
    """`[1, 3, any, any]`"""
    return f"[{', '.join('any' if size < 0 else str(size) for size in shape)}]"


def _filled(port: Port, output: Array) -> Port:
    """Untold sizes but the first become what they were; nothing found says nothing about a size."""
    if not port.shape:
        return replace(port, shape=(-1, *output.shape[1:])) if output.ndim else port
    if len(port.shape) != output.ndim:
        return port
    sizes = [there or -1 if told < 0 else told for told, there in zip(port.shape, output.shape, strict=True)]
    return replace(port, shape=(port.shape[0], *sizes[1:]))


def _short(error: Exception) -> str:
    """The first line, and not all of a long one."""
    return (str(error).strip() or type(error).__name__).splitlines()[0][:200]


def _alike(one: Array, two: Array) -> bool:
    if one.dtype.kind == "O":
        return bool((one == two).all())
    far = np.abs(one.astype(np.float64) - two.astype(np.float64)).max(initial=0.0)
    return bool(far <= 1e-3 * max(1.0, float(np.abs(one.astype(np.float64)).max(initial=0.0))))

"""Static int8: a graph whose convolutions and matrix products run on 8-bit numbers (QDQ form)."""

from __future__ import annotations

import contextlib
import io
import logging
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TypeAlias

from models.optimise.calibration import Calibration
from models.optimise.graph import operators, read
from models.optimise.tools import CannotOptimise, tool
from models.results import Array

__all__ = ["Scheme", "kept_in_float", "quantised"]

Range: TypeAlias = Literal["minmax", "percentile", "entropy"]
WEIGHTED = {"Conv", "ConvTranspose", "Gemm", "MatMul"}
QUANTISED = {"QuantizeLinear", "QLinearConv", "ConvInteger", "MatMulInteger", "DynamicQuantizeLinear"}
BATCH = 8  # pictures run at once while ranges are measured
PERCENTILE = 99.99


@dataclass(frozen=True, slots=True)
class Scheme:
    """How numbers become 8-bit.

    Attributes:
        activations, weights: unsigned or signed. Which pair is fast is the CPU's business: with VNNI it
            is unsigned times signed, and the others do not use it.
        ranges: of activations: their extremes, the 99.99th percentile of their size, or the cut of the
            least relative entropy.
        reduce_range: weights of 7 bits; CPUs without VNNI add pairs in 16 bits and may saturate.
        ends_in_float: the first and the last layers stay as they were.
        per_channel: one scale for each output channel of a weight.
    """

    activations: Literal["u8", "s8"] = "u8"
    weights: Literal["u8", "s8"] = "s8"
    ranges: Range = "minmax"
    reduce_range: bool = False
    ends_in_float: bool = False
    per_channel: bool = True

    @property
    def types(self) -> str:
        """`u8 x s8 per channel`, as people say it."""
        parts = [f"{self.activations} x {self.weights}", "per channel" if self.per_channel else "per tensor"]
        parts += ["7-bit weights"] if self.reduce_range else []
        return " ".join([*parts, *(["ends in float"] if self.ends_in_float else [])])


def quantised(graph: bytes, input_name: str, calibration: Calibration, scheme: Scheme) -> bytes:
    """The int8 form of a folded graph; inputs and outputs keep their names, types and free sizes.

    Only what leads to a convolution or matrix product is quantised: boxes, peaks and probabilities are
    computed from the last of them in float.

    Args:
        graph: after `models.optimise.graph.folded`: batch norm must be inside the convolutions.

    Raises:
        CannotOptimise: the graph is quantised already, or cannot be.
    """
    if found := QUANTISED & operators(graph).keys():
        raise CannotOptimise(f"the graph is quantised already: it has {', '.join(sorted(found))}")
    library, model = tool("onnxruntime.quantization"), read(graph)
    kinds = {"u8": library.QuantType.QUInt8, "s8": library.QuantType.QInt8}
    methods = library.CalibrationMethod
    ranges = {"minmax": methods.MinMax, "percentile": methods.Percentile, "entropy": methods.Entropy}
    steps = {"CalibStridedMinMax": 1}  # a batch at a time: all activations at once fill any memory
    with tempfile.TemporaryDirectory() as folder, _silence():
        path = Path(folder) / "int8.onnx"
        try:
            library.quantize_static(
                model,
                str(path),
                _reader(library, input_name, calibration.batch),
                quant_format=library.QuantFormat.QDQ,
                activation_type=kinds[scheme.activations],
                weight_type=kinds[scheme.weights],
                calibrate_method=ranges[scheme.ranges],
                per_channel=scheme.per_channel,
                reduce_range=scheme.reduce_range,
                nodes_to_exclude=kept_in_float(model, ends=scheme.ends_in_float),
                extra_options={**steps, "CalibPercentile": PERCENTILE},
            )
            return path.read_bytes()
        except Exception as error:  # of any class, by what is unusual in the graph
            raise CannotOptimise(f"the graph cannot be quantised: {error}") from error


def kept_in_float(model: Any, *, ends: bool = False) -> list[str]:
    """Names of the nodes that no weighted layer needs; with `ends`, of the first and last of these too.

    Nodes without a name are given one. A node that others of the last layers need is quantised; what
    only boxes, peaks or probabilities need is not.
    """
    nodes, made = list(model.graph.node), {}
    for number, node in enumerate(nodes):
        node.name = node.name or f"node-{number}"
        made.update(dict.fromkeys(node.output, node))
    after = _reached(nodes, made)  # nodes that lead to a weighted one
    outside = [n.name for n in nodes if n.op_type not in WEIGHTED and n.name not in after]
    if ends:
        layers = [n for n in nodes if n.op_type in WEIGHTED]
        last = [n.name for n in layers if n.name not in after]
        first = [n.name for n in layers if not _weighted_before(n, made)]
        outside += list(dict.fromkeys([*first, *last]))
    return outside


def _reached(nodes: list[Any], made: dict[str, Any]) -> set[str]:
    """Names of all nodes that some weighted node is computed from."""
    reached: set[str] = set()
    waiting = [made[i] for n in nodes if n.op_type in WEIGHTED for i in n.input if i in made]
    while waiting:
        node = waiting.pop()
        if node.name not in reached:
            reached.add(node.name)
            waiting += [made[i] for i in node.input if i in made]
    return reached


def _weighted_before(node: Any, made: dict[str, Any]) -> bool:
    before = _reached([node], made)
    return any(made[o].op_type in WEIGHTED for o in made if made[o].name in before)


def _reader(library: Any, name: str, batch: Array) -> Any:
    parts = [batch[start : start + BATCH] for start in range(0, len(batch), BATCH)]

    class Reader(library.CalibrationDataReader):  # type: ignore[misc]  # untyped, and there when needed
        """Hands out one range of the parts at a time, as the library asks."""

        waiting: Iterator[Array] = iter(())

        def set_range(self, start_index: int, end_index: int) -> None:
            self.waiting = iter(parts[start_index:end_index])

        def get_next(self) -> dict[str, Array] | None:
            part = next(self.waiting, None)
            return None if part is None else {name: part}

        def __len__(self) -> int:
            return len(parts)

    return Reader()


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """The library warns on the root logger and prints what it does; the report says what came of it."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        logging.disable(before)

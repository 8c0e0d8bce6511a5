"""What may be faster than a graph as it is: each candidate is made when asked for, and may fail."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType

from models.optimise.calibration import Calibration
from models.optimise.graph import folded, halved, ort_format
from models.optimise.quantise import Scheme, quantised

__all__ = ["PLAIN", "SCHEMES", "Candidate", "Fact", "candidates"]

Fact = str | int | float
PLAIN = "fp32"
# The pair of types that the CPU likes is found by measuring; the ranges are tried with the usual one.
SCHEMES: Mapping[str, Scheme] = MappingProxyType(
    {
        "int8-u8s8": Scheme(),
        "int8-u8s8-percentile": Scheme(ranges="percentile"),
        "int8-u8s8-entropy": Scheme(ranges="entropy"),
        "int8-u8s8-ends": Scheme(ends_in_float=True),
        "int8-u8s8-7bit": Scheme(reduce_range=True),
        "int8-u8u8": Scheme(weights="u8", per_channel=False),
        "int8-s8s8": Scheme(activations="s8"),
    }
)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to serve the same weights.

    Attributes:
        make: the graph's bytes; raises CannotOptimise where there is no such form.
        facts: how it is made, for the card.
    """

    name: str
    make: Callable[[], bytes]
    facts: Mapping[str, Fact] = field(default_factory=dict)


def candidates(graph: bytes, input_name: str, calibration: Calibration) -> Iterator[Candidate]:
    """`fp32`, the graph as it is, first; then everything that is tried against it.

    Raises:
        CannotOptimise: the tools are not there, or onnxruntime cannot optimise the graph at all.
    """
    yield Candidate(PLAIN, lambda: graph, {"method": "as it is"})
    plain = folded(graph)
    yield Candidate("folded", lambda: plain, {"method": "graph optimisation, basic, to a fixed point"})
    extended = {"method": "graph optimisation, extended, to a fixed point"}
    yield Candidate("fused", partial(folded, graph, level="extended"), extended)
    yield Candidate("ort-format", partial(ort_format, plain), {"method": "onnxruntime's own file format"})
    yield Candidate("fp16", partial(halved, plain), {"method": "float16, inputs and outputs float32"})
    for name, scheme in SCHEMES.items():
        facts: dict[str, Fact] = {
            "method": "static int8, QDQ",
            "types": scheme.types,
            "ranges": scheme.ranges,
            "calibration": calibration.name,
            "calibration_images": len(calibration),
            "calibration_sha256": calibration.sha256,
        }
        yield Candidate(name, partial(quantised, plain, input_name, calibration, scheme), facts)

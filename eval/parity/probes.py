"""What the server itself gives away: its digest, and its graph's outputs for a tensor prepared here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eval.errors import EndpointError
from eval.parity.hypotheses import Stage
from eval.parity.pipeline import Pipeline
from eval.remote.graph import ask_graph
from eval.target import Target
from models.results import Array

__all__ = ["Probe", "excluded", "probe"]


@dataclass(frozen=True, slots=True)
class Probe:
    """One direct look.

    Attributes:
        same: None where the server does not allow it.
        excludes: stages that cannot be at fault where it is the same.
    """

    name: str
    same: bool | None
    evidence: str
    excludes: tuple[Stage, ...]


async def probe(target: Target, pipeline: Pipeline, files: Sequence[bytes], tolerance: float) -> list[Probe]:
    """The digest; the graph's outputs for tensors prepared here; and those for the pictures themselves."""
    pictures = [pipeline.read(file) for file in files]
    card, size = pipeline.card, pipeline.card.max_batch
    parts = [pictures[i : i + size] for i in range(0, len(pictures), size)]
    want = [pipeline.raw(part) for part in parts]
    tensors = [np.stack([pipeline.prepare(picture) for picture in part]) for part in parts]
    bytes_of = [list(files[i : i + size]) for i in range(0, len(files), size)]
    digest = None if not target.sha256 else target.sha256 == card.sha256
    said = f"the server says {target.sha256[:12] or 'nothing'}, the card here {card.sha256[:12]}"
    return [
        Probe("digest of the graph", digest, said, ()),
        await _asked("graph, given the tensor prepared here", target, pipeline, tensors, want, tolerance,
                     ("graph",)),
        await _asked("graph, given the picture", target, pipeline, bytes_of, want, tolerance,
                     ("decode", "resize", "normalise", "graph")),
    ]  # fmt: skip


async def _asked(
    name: str,
    target: Target,
    pipeline: Pipeline,
    given: Sequence[Array | list[bytes]],
    want: Sequence[list[Array]],
    tolerance: float,
    excludes: tuple[Stage, ...],
) -> Probe:
    card = pipeline.card
    try:
        got = [await ask_graph(target, card.input.name, values, card.outputs) for values in given]
    except EndpointError as error:
        return Probe(name, None, f"cannot be asked: {error}", excludes)
    worst = max(_apart(*pair) for pairs in zip(got, want, strict=True) for pair in zip(*pairs, strict=True))
    told = f"largest difference of an output {worst:.2g} of its largest value, in {len(want)} requests"
    return Probe(name, worst <= tolerance, told, excludes)


def _apart(got: Array, want: Array) -> float:
    """Largest difference of two outputs, relative to the largest value; infinite for other shapes."""
    if got.shape != want.shape:
        return float("inf")
    one, other = got.astype(np.float64), want.astype(np.float64)
    return float(np.abs(one - other).max(initial=0.0) / max(np.abs(other).max(initial=0.0), 1e-12))


def excluded(probes: Sequence[Probe]) -> list[Stage]:
    """Stages that cannot be at fault, as far as the server let us look."""
    return list(dict.fromkeys(stage for p in probes if p.same for stage in p.excludes))

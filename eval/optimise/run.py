"""A whole optimisation: make candidates, serve them, measure them live, judge, choose at most one."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from eval.errors import EvalError
from eval.optimise.evidence import Evidence
from eval.optimise.gate import Verdict, best, judge
from eval.optimise.measure import WAITING, Served, asks_of, audited, measured, thread_settings
from eval.optimise.plan import Plan, pictures
from eval.optimise.speed import Speed
from eval.served import served
from models.decoding import decode
from models.optimise.calibration import calibration_of
from models.optimise.candidates import PLAIN, Candidate, candidates
from models.optimise.graph import load_seconds
from models.optimise.tools import CannotOptimise
from models.publish import publish
from models.repository import RepositoryError, Version
from models.results import Array
from models.runtime import UnusableGraph

__all__ = ["Optimised", "facts_of", "optimise", "tolerance_of"]

TOLERANCE = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class Optimised:
    """What came of it.

    Attributes:
        evidence, verdicts: of every candidate that was served, fp32 first.
        refused: candidates that could not be made or served, and why.
        kept: the one that may be published; None when nothing passed.
        graphs: of every candidate that was served.
        golden: uint8 `(H, W, 3)`, a picture for the golden pair.
        threads: throughput by version and setting of the service; empty on one CPU.
        sent: how pictures were sent for the throughput.
        started: seconds since the epoch.
    """

    evidence: Sequence[Evidence]
    verdicts: Sequence[Verdict]
    refused: Mapping[str, str]
    kept: Evidence | None
    graphs: Mapping[str, bytes]
    golden: Array
    threads: Mapping[str, Speed]
    sent: str
    started: float


def optimise(
    version: Version,
    plan: Plan,
    *,
    tell: Callable[[str], None] = lambda _: None,
    more: Iterable[Candidate] = (),
) -> Optimised:
    """Try every candidate of one version, and `more`.

    Raises:
        EvalError: the data does not fit, a service failed, or the graph itself does not serve.
        models.optimise.tools.CannotOptimise: the tools are missing, or no candidate can be made.
    """
    started, card = time.time(), version.card
    ranges, data = pictures(card, plan)
    images = [decode(sample.file) for sample in ranges]
    calibration = calibration_of(ranges.name, card, images)
    offered = [*candidates(version.model_path.read_bytes(), card.input.name, calibration), *more]
    if unknown := set(plan.only) - {candidate.name for candidate in offered}:
        known = ", ".join(candidate.name for candidate in offered)
        raise EvalError(f"candidates must be some of {known}, got {', '.join(sorted(unknown))}")
    wanted = [c for c in offered if not plan.only or c.name in (PLAIN, *plan.only)]
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        tell(f"making {len(wanted)} candidates, ranges from {len(images)} pictures of {ranges.name}")
        golden = _golden(version, images[0])
        there, refused = _published(root, version, wanted, golden)
        many, one, sent = asks_of(card, data, plan.batch)
        with served(model_repository=root, poll_s=0, max_waiting=WAITING) as url:
            tell(f"asking {len(there)} versions about {len(data)} pictures of {data.name}, and how fast")
            evidence = measured(url, card, there, data, (many, one), plan)
            evidence = audited(url, card, evidence, data, plan, tell)
        limits = {"margin": plan.margin, "faster": plan.faster}
        verdicts = [judge(card.task, each, evidence[0], **limits) for each in evidence]
        kept = best(evidence, verdicts, evidence[0])
        tell("measuring thread settings")
        chosen = [evidence[0], *([kept] if kept else [])]
        threads = thread_settings(root, card, chosen, (many, one), plan)
    graphs = {name: graph for name, _, graph, _ in there}
    return Optimised(evidence, verdicts, refused, kept, graphs, golden, threads, sent, started)


def facts_of(version: Version, number: int) -> dict[str, Any]:
    """What a card of another graph with the same weights says: claims and proofs are each graph's own."""
    told = version.card.model_dump(exclude={"sha256", "golden", "claims"})
    return {**told, "version": number}


def tolerance_of(version: Version) -> float:
    """How far a raw output may be off on another machine, or with other threads: what the version says."""
    return TOLERANCE if version.card.golden is None else max(TOLERANCE, version.card.golden.tolerance)


def _golden(version: Version, otherwise: Array) -> Array:
    """The picture of the version's own golden pair: those of the data may not be ours to publish."""
    if version.card.golden is None:
        return otherwise
    with np.load(version.folder / version.card.golden.file, allow_pickle=False) as pair:
        image: Array = pair["image"]
    return image


def _published(
    root: Path, version: Version, wanted: Iterable[Candidate], golden: Array
) -> tuple[list[Served], dict[str, str]]:
    """Every candidate that can be made and served, numbered; the others with the reason."""
    there: list[Served] = []
    refused: dict[str, str] = {}
    for candidate in wanted:
        number = len(there) + 1
        try:
            graph = candidate.make()
        except CannotOptimise as error:
            refused[candidate.name] = str(error)
            continue
        try:
            facts = facts_of(version, number)
            publish(root, graph, facts, golden_image=golden, tolerance=tolerance_of(version))
        except (RepositoryError, UnusableGraph) as error:
            if candidate.name == PLAIN:
                raise EvalError(f"{version.folder} does not serve: {error}") from error
            refused[candidate.name] = f"does not serve: {error}{_though_loaded(graph)}"
            continue
        there.append((candidate.name, number, graph, candidate.facts))
    return there, refused


def _though_loaded(graph: bytes) -> str:
    """What speaks for a graph that servers cannot take: how soon onnxruntime has it."""
    try:
        return f"; onnxruntime alone loads it in {1e3 * load_seconds(graph):.1f} ms"
    except CannotOptimise:
        return ""

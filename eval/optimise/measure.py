"""Measures served versions live: scores first, then speed in turn, then robustness of what is left."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import numpy as np

from eval.data.dataset import Dataset
from eval.metrics.paired import paired_difference
from eval.optimise.evidence import Evidence, answers_of, read_scores, robustness
from eval.optimise.gate import judge
from eval.optimise.plan import Plan, drawn
from eval.optimise.speed import Ask, Speed, Way, in_turn, request_of
from eval.remote.access import target_of
from eval.served import served
from models.card import ModelCard
from models.decoding import decode
from models.optimise.candidates import Fact
from models.optimise.graph import load_seconds
from models.results import Result

__all__ = ["WAITING", "Served", "asks_of", "audited", "cpus", "measured", "thread_settings"]

WAITING = 16_384  # pictures may wait: we ask no faster than we are answered
MOST_PIXELS = 20_000_000  # in a request; a service takes 25 million
Served = tuple[str, int, bytes, Mapping[str, Fact]]  # name, version number, graph, facts


def cpus() -> int:
    """CPUs this process may use, and the service it starts."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def asks_of(card: ModelCard, data: Dataset, batch: int) -> tuple[Ask, Ask, str]:
    """A request of a batch, one of a picture, and how pictures are sent.

    Pictures of one size go as raw pixels, which costs the server no decoding; others as the files they are.
    Label maps of one answer must have one size, so a segmenter is sent the most frequent.
    """
    files = [data[i % len(data)].file for i in range(batch)]
    images = [decode(file) for file in files]
    if card.task == "segmentation":
        ((shape, _),) = Counter(image.shape for image in images).most_common(1)
        alike = [image for image in images if image.shape == shape]
        images = [alike[i % len(alike)] for i in range(batch)]
    while len(images) > 1 and sum(image.shape[0] * image.shape[1] for image in images) > MOST_PIXELS:
        files, images = files[: len(files) // 2], images[: len(images) // 2]
    name = card.input.name
    if len({image.shape for image in images}) == 1:
        pixels = np.stack(images)
        how = f"raw uint8 pixels {images[0].shape[0]} x {images[0].shape[1]}"
        return request_of(name, pixels), request_of(name, pixels[:1]), how
    return request_of(name, files), request_of(name, files[:1]), "the files as they are"


def _way(url: str, card: ModelCard, number: int, many: Ask, one: Ask) -> Way:
    return Way(url, f"/v2/models/{card.name}/versions/{number}/infer", many, one)


def measured(
    url: str, card: ModelCard, offered: Sequence[Served], data: Dataset, asks: tuple[Ask, Ask], plan: Plan
) -> list[Evidence]:
    """Scores, paired differences to the first, and speed of every version, in order.

    Raises:
        EvalError: a version did not answer every picture.
    """
    answers: list[list[Result]] = []
    found: list[Evidence] = []
    expected = [sample.expected for sample in data]
    ways = {name: _way(url, card, number, *asks) for name, number, *_ in offered}
    speeds = in_turn(ways, rounds=plan.rounds, seconds=plan.seconds, connections=plan.connections)
    for name, number, graph, facts in offered:
        target = asyncio.run(target_of(url, card.name, number))
        answers.append(asyncio.run(answers_of(target, data)))
        score, ece = read_scores(target, answers[-1], expected)
        apart = None
        if len(answers) > 1:
            apart = paired_difference(card.task, card.labels, answers[-1], answers[0], expected)
        told = (name, number, facts, len(graph), 1e3 * load_seconds(graph), score, ece, speeds[name], apart)
        found.append(Evidence(*told))
    return found


def audited(
    url: str,
    card: ModelCard,
    evidence: Sequence[Evidence],
    data: Dataset,
    plan: Plan,
    tell: Callable[[str], None],
) -> list[Evidence]:
    """The same, with the robustness of the first and of all that may still be kept; classifiers only.

    The others are refused already, and attacks cost hundreds of answers a picture.
    """
    base, samples = evidence[0], drawn(data, plan.samples, plan.seed)
    if card.task != "classification" or not plan.samples:
        return list(evidence)

    def with_robustness(one: Evidence) -> Evidence:
        tell(f"attacking {one.name} on {len(samples)} pictures")
        target = asyncio.run(target_of(url, card.name, one.number))
        return replace(one, robust=asyncio.run(robustness(target, samples, plan)))

    def may_be_kept(one: Evidence) -> bool:
        return judge(card.task, one, base, margin=plan.margin, faster=plan.faster).passed

    return [with_robustness(one) if one is base or may_be_kept(one) else one for one in evidence]


def thread_settings(
    root: Path, card: ModelCard, chosen: Sequence[Evidence], asks: tuple[Ask, Ask], plan: Plan
) -> dict[str, Speed]:
    """Throughput and latency of versions under the two ways to use all CPUs; empty on one CPU.

    Several runs of one thread each answer more; one run of several threads answers a lone picture sooner.
    Both services run at once and are asked in turn.
    """
    count, ways = cpus(), {}
    if count < 2:
        return {}
    with ExitStack() as stack:
        for runs, threads in ((count, 1), (1, count)):
            settings = {
                "model_repository": root,
                "poll_s": 0,
                "max_waiting": WAITING,
                "runs": runs,
                "threads": threads,
            }
            url = stack.enter_context(served(**settings))
            for one in chosen:
                label = f"{one.name}: {runs} run{'s' * (runs > 1)} of {threads} thread{'s' * (threads > 1)}"
                ways[label] = _way(url, card, one.number, *asks)
        return in_turn(ways, rounds=plan.rounds, seconds=plan.seconds, connections=plan.connections)

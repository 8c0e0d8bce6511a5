"""How near an audit comes to what the endpoint can answer at most, for the very same requests."""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass

import aiohttp

from eval.attacks.base import Threat
from eval.attacks.goals.classification import untargeted
from eval.attacks.square import Square
from eval.attacks.wave import Limits, attack_all
from eval.data.tables import open_data
from eval.remote.access import endpoint_of, target_of
from eval.target import Target
from models.decoding import decode
from models.results import Array
from tests.bench.audit.material import DATA, photographs, served_apart
from tests.bench.audit.recorder import Recorder, Sent, pictures_in

__all__ = ["measure"]

ROUNDS, BATCH, IN_FLIGHT, EPSILON = 5, 64, 4, 2.0


@dataclass(frozen=True, slots=True)
class Case:
    """What is asked of one model."""

    model: str
    images: Sequence[Array]
    labels: Sequence[int]
    budget: int


async def _audit(target: Target, case: Case) -> tuple[int, float]:
    """Pictures asked about, and the seconds it took."""
    async with endpoint_of(target) as endpoint:
        began = time.perf_counter()
        result = await attack_all(
            Square(),
            endpoint,
            case.images,
            untargeted(case.labels),
            threat=Threat("linf", EPSILON),
            limits=Limits(case.budget, BATCH, IN_FLIGHT),
            seed=0,
        )
        return int(result.queries.sum()), time.perf_counter() - began


async def _bare(url: str, sent: Sequence[Sent]) -> float:
    """Seconds of the same requests, as many under way, and nothing done with an answer but reading it."""
    waiting = iter(sent)

    async def one(session: aiohttp.ClientSession) -> None:
        for request in waiting:
            async with session.post(url + request.path, data=request.body, headers=request.headers) as reply:
                await reply.read()
                reply.raise_for_status()

    async with aiohttp.ClientSession() as session:
        began = time.perf_counter()
        await asyncio.gather(*(one(session) for _ in range(IN_FLIGHT)))
        return time.perf_counter() - began


async def _ratio(url: str, case: Case) -> float:
    """Images a second of an audit over those of its own requests sent bare; median of rounds in turn."""
    recorder = Recorder(url)
    async with recorder.listening() as through:
        await _audit(await target_of(through, case.model, None), case)
    images = sum(len(pictures_in(sent)) for sent in recorder.sent)
    target, ratios = await target_of(url, case.model, None), []
    for _ in range(ROUNDS):
        bare = images / await _bare(url, recorder.sent)
        queries, seconds = await _audit(target, case)
        ratios.append(queries / seconds / bare)
        print(f"{case.model:10} audit {queries / seconds:7.0f} images/s, bare {bare:7.0f}, {ratios[-1]:.3f}")
    return statistics.median(ratios)


def _cases(url: str) -> list[Case]:
    """More pictures than fit into the requests under way: a dialogue asks about one at a time."""
    digits = [decode(one.file) for one in open_data("digits:test", "classification").first(400)]
    wanted = [("digits", digits, 30)]
    if (DATA / "imagenet_samples").is_dir():
        wanted += [("cifar10", photographs(300, 32), 20), ("imagenet", photographs(256, 224), 4)]
    return [Case(model, images, asyncio.run(_said(url, model, images)), n) for model, images, n in wanted]


async def _said(url: str, model: str, images: Sequence[Array]) -> list[int]:
    """What the model answers is taken for the truth, so that every picture is attacked."""
    async with endpoint_of(await target_of(url, model, None)) as endpoint:
        parts = [images[start : start + BATCH] for start in range(0, len(images), BATCH)]
        return [answer.label for part in parts for answer in await endpoint.predict(part)]


def measure() -> dict[str, float | int | None]:
    """`throughput.vs_endpoint_max.*`: of each model; without more words, the lowest of them."""
    with served_apart() as url:
        found = {case.model: asyncio.run(_ratio(url, case)) for case in _cases(url)}
    told: dict[str, float | int | None] = {f"throughput.vs_endpoint_max.{m}": r for m, r in found.items()}
    return {"throughput.vs_endpoint_max": min(found.values()), **told}

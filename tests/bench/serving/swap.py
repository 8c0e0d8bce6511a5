"""New versions under load: only the version that answers may change, and broken ones never answer."""

from __future__ import annotations

import asyncio
import hashlib
import statistics
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from models.publish import npz
from models.repository import Version
from models.results import Array
from tests.bench.serving.answers import Ask, as_picture, read_answer
from tests.bench.serving.client import FAILURES, Connection
from tests.bench.serving.material import tiny_version
from tests.bench.serving.plan import Plan, scores_of
from tests.bench.serving.processes import Process
from tests.bench.serving.rounds import Figures
from tests.bench.serving.servers import assay, infer_path, once

__all__ = ["swap"]

SWAPS, CONNECTIONS, POLL_S = 5, 8, 0.5
PATIENCE_S = 20.0  # for a swap to be seen
TOLERANCE = 1e-4  # of a score; other weights differ by far more


@dataclass
class _Watch:
    """What the load has seen.

    Attributes:
        truths: scores of every whole version by its number.
        wrong: 200s that are not what the version they name gives.
        answered: 200s by the version they name.
    """

    truths: Mapping[int, Array]
    asked: int = 0
    failed: int = 0
    wrong: int = 0
    answered: Counter[int] = field(default_factory=Counter)
    over: bool = False

    async def load(self, port: int, wire: bytes) -> None:
        """Ask over one connection until it is over."""
        connection = Connection(port)
        while not self.over:
            self.asked += 1
            try:
                reply = await connection.ask(wire)
            except FAILURES:
                self.failed += 1
                continue
            if reply.status == 200:
                self._judge(reply.headers, reply.body)
            else:
                self.failed += 1
        connection.close()

    def _judge(self, headers: Mapping[str, str], body: bytes) -> None:
        try:
            answer = read_answer(headers, body)
        except ValueError:
            self.wrong += 1
            return
        truth = self.truths.get(answer.version or 0)
        whole = truth is not None and answer.scores is not None
        self.wrong += not (whole and np.allclose(answer.scores, truth, atol=TOLERANCE))  # type: ignore[arg-type]
        self.answered[answer.version or 0] += 1

    async def seconds_until(self, number: int) -> float | None:
        """Until this version has answered; None if it does not."""
        began = time.monotonic()
        while time.monotonic() < began + PATIENCE_S:
            if self.answered[number]:
                return time.monotonic() - began
            await asyncio.sleep(0.01)
        return None


def swap(plan: Plan) -> Figures:
    """Five good versions and three broken ones, each renamed into place under eight busy connections."""
    first, png = tiny_version(plan.folder / "live", 1), plan.material.png32
    numbers = range(2, 2 + SWAPS)
    good = [tiny_version(plan.folder / "staged", number) for number in numbers]
    broken = _broken(plan.folder / "staged", numbers.stop)
    watch = _Watch({version.card.version: scores_of(version, png) for version in (first, *good)})
    ask = as_picture(infer_path(first), png, raw=True)
    with assay(plan.folder / "live", plan.home(), poll_s=POLL_S) as process:
        return asyncio.run(_run(process, watch, ask, good, broken, first.folder.parent, plan.seconds(3, 1.5)))


async def _run(
    process: Process,
    watch: _Watch,
    ask: Ask,
    good: list[Version],
    broken: list[Version],
    live: Path,
    pause_s: float,
) -> Figures:
    wire, seen, numbered = ask.on_wire("127.0.0.1"), [], 0
    async with asyncio.TaskGroup() as busy:
        for _ in range(CONNECTIONS):
            busy.create_task(watch.load(process.port, wire))
        await watch.seconds_until(1)
        for version in good:
            version.folder.rename(live / version.folder.name)
            seen.append(await watch.seconds_until(version.card.version))
            if seen[-1] is None:
                break
            await asyncio.sleep(0.2)
        for version in broken:
            version.folder.rename(live / version.folder.name)
            await asyncio.sleep(pause_s)
            path = infer_path(version, numbered=True)
            status, _, _ = await asyncio.to_thread(once, process, "POST", path, ask)
            numbered += status == 200
        watch.over = True
    swapped = [seconds for seconds in seen if seconds is not None]
    told: Figures = {
        "requests": watch.asked,
        "failed_requests": watch.failed,
        "wrong_answers": watch.wrong,
        "corrupt_answers": numbered + sum(watch.answered[version.card.version] for version in broken),
        "swaps": len(swapped),
    }
    if swapped:
        told["seen_s"] = statistics.median(swapped)
    return {f"swap.{name}": value for name, value in told.items()}


def _broken(staged: Path, number: int) -> list[Version]:
    """A cut graph (its digest right), a digest that is wrong, a golden pair that does not reproduce."""
    cut, changed, unproven = (tiny_version(staged, number + i) for i in range(3))
    graph = cut.model_path.read_bytes()
    cut.model_path.write_bytes(graph[: len(graph) // 2])
    _rewrite(cut, sha256=hashlib.sha256(graph[: len(graph) // 2]).hexdigest())
    _rewrite(changed, sha256="0" * 64)
    golden = unproven.card.golden
    if golden is None:
        raise RuntimeError("publish must write a golden pair")
    path = unproven.folder / golden.file
    with np.load(path) as pair:
        lie = npz(image=pair["image"], output_0=pair["output_0"] + 1)
    path.write_bytes(lie)
    _rewrite(unproven, golden=golden.model_copy(update={"sha256": hashlib.sha256(lie).hexdigest()}))
    return [cut, changed, unproven]


def _rewrite(version: Version, **facts: object) -> None:
    version.card.model_copy(update=facts).write(version.folder / "card.json")

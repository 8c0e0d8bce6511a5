"""Canaries of the digits, a good one and bad ones, beside what they are to replace."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import shutil
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from models.card import ModelCard
from models.results import Array
from tests.e2e.processes import ROOT

ROLLOUT = ROOT / "deploy" / "gate" / "rollout.yaml"
DIGITS = ROOT / "models" / "zoo" / "digits"
STABLE = DIGITS / "2"  # trained against attack
FRAGILE = DIGITS / "1"  # as right as that, and not robust
NOISE = 0.75  # times the spread of the weights
USUAL_S, SLOW_S = 0.01, 0.03  # of a request: what is usual, and three times as long


def rules(**changed: str) -> str:
    """The shipped rules, at the epsilon that the digits were trained against; lines by their key."""
    lines = ROLLOUT.read_text().splitlines()
    told = {"epsilon": "76", **changed}
    for place, line in enumerate(lines):
        key = line.strip().partition(":")[0]
        if key in told:
            lines[place] = f"{line[: len(line) - len(line.lstrip())]}{key}: {told[key]}"
    return "\n".join(lines) + "\n"


def canaries(root: Path) -> Path:
    """A repository with `digits` as it is served, and a model for each canary."""
    _copied(STABLE, root, "digits")
    _copied(FRAGILE, root, "fragile")
    _copied(STABLE, root, "good", rounded)
    _copied(STABLE, root, "worse", disturbed)
    return root


def rounded(weights: Array, _: int) -> Array:
    """To eight bits: what a smaller export does."""
    step = np.abs(weights).max() / 127
    kept: Array = np.round(weights / step) * step
    return kept


def disturbed(weights: Array, place: int) -> Array:
    """With noise: what a broken conversion does."""
    rng = np.random.Generator(np.random.Philox(key=place))
    moved: Array = weights + rng.standard_normal(weights.shape) * weights.std() * NOISE
    return moved


def _copied(source: Path, root: Path, name: str, change: object = None) -> None:
    folder = root / name / "1"
    folder.mkdir(parents=True)
    card = ModelCard.read(source / "card.json")
    told = {"name": name, "version": 1, "golden": None, "claims": ()}
    if callable(change):
        graph = onnx.load_model(source / "model.onnx")
        for place, tensor in enumerate(graph.graph.initializer):
            weights = numpy_helper.to_array(tensor)
            if weights.ndim > 1:
                changed = change(weights.astype(np.float64), place).astype(weights.dtype)
                tensor.CopyFrom(numpy_helper.from_array(changed, tensor.name))
        data = graph.SerializeToString()
        (folder / "model.onnx").write_bytes(data)
        told["sha256"] = hashlib.sha256(data).hexdigest()
    else:
        shutil.copyfile(source / "model.onnx", folder / "model.onnx")
    card.model_copy(update=told).write(folder / "card.json")


@contextlib.contextmanager
def slowed(url: str, seconds: float) -> Iterator[str]:
    """The same service, each request held back for so long: that of a larger model, on an idle machine."""
    loop, ready, over = asyncio.new_event_loop(), threading.Event(), asyncio.Event()
    host, _, port = url.removeprefix("http://").partition(":")
    address = [""]

    async def connected(client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        answers, service = await asyncio.open_connection(host, int(port))

        async def up() -> None:
            while data := await client.read(1 << 20):
                await asyncio.sleep(seconds)
                service.write(data)
            service.close()

        async def down() -> None:
            while data := await answers.read(1 << 20):
                back.write(data)
            back.close()

        await asyncio.gather(up(), down(), return_exceptions=True)

    async def main() -> None:
        server = await asyncio.start_server(connected, "127.0.0.1", 0)
        address[0] = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        ready.set()
        await over.wait()
        server.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    thread = threading.Thread(target=loop.run_until_complete, args=(main(),))
    thread.start()
    try:
        assert ready.wait(10)
        yield address[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        loop.close()

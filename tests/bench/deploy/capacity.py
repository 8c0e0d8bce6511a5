"""What one core serves: each shipped model by itself, asked in three ways, and latency at half of that."""

from __future__ import annotations

import json
import math
import shutil
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from models.card import ModelCard
from models.repository import look, read_version
from tests.bench.deploy.pinned import CORES, ZOO, served_on_one_core
from tests.bench.serving.answers import Ask, as_picture
from tests.bench.serving.load import closed_loop
from tests.bench.serving.material import Material, photograph
from tests.bench.serving.openloop import Orders, open_loop
from tests.bench.serving.processes import BenchError, Process
from tests.bench.serving.servers import once

__all__ = ["measure"]

BATCH, UNDER_WAY, WARM = 16, 64, 5  # pictures under way: enough, and none is refused
LEAST_S, MOST_S, LEAST_ANSWERS = 3, 8, 40
UNITS = {"jpeg640": 1, "tensor": 1, f"batch{BATCH}": BATCH}  # pictures in a request
DEADLINE_S = 10.0


def _asks(card: ModelCard, jpeg: bytes) -> Mapping[str, Ask]:
    """A photograph of 640 x 480 as a file; pixels of the model's own size, one picture and a batch."""
    path = f"/v2/models/{card.name}/infer"
    pixels = photograph(card.input.height, card.input.width)
    return {
        "jpeg640": as_picture(path, jpeg, raw=True),
        "tensor": _tensor(path, pixels[None]),
        f"batch{BATCH}": _tensor(path, np.repeat(pixels[None], BATCH, axis=0)),
    }


def _tensor(path: str, pixels: np.ndarray) -> Ask:
    """uint8 `(N, H, W, 3)` by the binary tensor extension."""
    told = {"name": "images", "shape": pixels.shape, "datatype": "UINT8"}
    head = json.dumps({"inputs": [{**told, "parameters": {"binary_data_size": pixels.size}}]}).encode()
    headers = {
        "Content-Type": "application/octet-stream",
        "Inference-Header-Content-Length": str(len(head)),
    }
    return Ask(path, head + pixels.tobytes(), headers)


def _rate(server: Process, ask: Ask, connections: int) -> float:
    """Requests a second, closed loop, by wrk on the other core; for longer where a request takes long."""
    began = time.monotonic()
    for _ in range(WARM):
        status, _, body = once(server, "POST", ask.path, ask)
        if status != 200:
            raise BenchError(f"{ask.path} must answer 200, got {status}: {body[:300]!r}")
    each = (time.monotonic() - began) / WARM
    seconds = min(MOST_S, max(LEAST_S, math.ceil(LEAST_ANSWERS * each)))
    speed = closed_loop(server.url, ask, connections=connections, seconds=seconds)
    if speed.errors:
        raise BenchError(f"{speed.errors} requests to {ask.path} failed: {server.told()[-300:]}")
    return speed.rps


def _half(server: Process, ask: Ask, rate: float, folder: Path) -> dict[str, float | int | None]:
    """Latency of Poisson arrivals at half the rate."""
    wire = folder / "wire"
    wire.write_bytes(ask.on_wire("127.0.0.1"))
    outcome = open_loop(Orders(server.port, str(wire), rate / 2, LEAST_S, DEADLINE_S, 0))
    if set(outcome.statuses) != {"200"}:
        raise BenchError(f"at half load every answer must be 200, got {dict(outcome.statuses)}")
    return {
        f"half_load_p{q}_ms": float(np.percentile(outcome.accepted_s, q)) * 1e3 for q in (50, 99)
    }  # fmt: skip


def _of(card: ModelCard, jpeg: bytes, folder: Path) -> dict[str, float | int | None]:
    told: dict[str, float | int | None] = {}
    with served_on_one_core(folder, card.name, card.version) as server:
        for payload, ask in _asks(card, jpeg).items():
            connections = min(16, UNDER_WAY // UNITS[payload])
            rate = _rate(server, ask, connections)
            told[f"{payload}_per_s_per_core"] = rate * UNITS[payload]
            if payload == "jpeg640":
                told |= _half(server, ask, rate, folder)
        told["memory_mb"] = server.rss_mb()
    return told


def measure() -> dict[str, float | int | None]:
    """`capacity.<model>.<payload>_per_s_per_core`: pictures a second of its newest version on one core.

    `half_load_p50_ms` and `p99` are of the file at half its rate, `memory_mb` of all processes at the end.
    """
    newest = {seen.name: seen.folder for seen in look(ZOO)}  # ascending, the last one wins
    figures: dict[str, float | int | None] = {}
    if len(CORES) < 2 or shutil.which("wrk") is None:
        print("capacity: needs a core for the server, one for who asks, and wrk", file=sys.stderr)
        return {f"capacity.{name}.jpeg640_per_s_per_core": None for name in newest}
    with tempfile.TemporaryDirectory(prefix="bench-capacity-") as folder:
        jpeg = Material(Path(folder)).jpeg640
        for name, at in newest.items():
            told = _of(read_version(at).card, jpeg, Path(folder) / name)
            print(name, {key: round(value or 0, 1) for key, value in told.items()}, flush=True)
            figures |= {f"capacity.{name}.{key}": value for key, value in told.items()}
    return figures


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))

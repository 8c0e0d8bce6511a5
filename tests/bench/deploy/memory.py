"""Memory of the service with the whole zoo: at rest, and pressed by evaluations and by large pictures."""

from __future__ import annotations

import contextlib
import itertools
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import simplejpeg

from eval.served import ROOT
from models.decoding import encode_png
from tests.bench.serving.processes import Process, free_port, started

__all__ = ["measure"]

# As `deploy/kubernetes/base` runs it, on one CPU.
BASE = {"ASSAY_RUNS": "1", "ASSAY_POLL_S": "0", "ASSAY_MAX_BUFFERED_BYTES": "256000000"}
MB = 1.024e-3  # of a kibibyte
SIDES, CLIENTS, PRESSED_S, PAUSE_S = (4000, 6000), 8, 20.0, 0.2
ASKED = ("classify?model=imagenet", "detect?model=scenes-detector", "segment?model=scenes-segmenter")
EVALUATED = (("scenes-detector", "scenes:test:400"), ("scenes-segmenter", "scenes:test:400"))


@dataclass(frozen=True, slots=True)
class Held:
    """What one process holds, kB: its share of what it shares, all of it, and the most there ever was."""

    share: int
    resident: int
    most: int


def _held(pid: int) -> Held:
    lines = [*_lines(pid, "smaps_rollup"), *_lines(pid, "status")]
    told = {words[0]: int(words[1]) for words in lines if words[0] in ("Pss:", "Rss:", "VmHWM:")}
    return Held(told["Pss:"], told["Rss:"], told["VmHWM:"])


def _lines(pid: int, name: str) -> Iterator[list[str]]:
    for line in Path(f"/proc/{pid}/{name}").read_text().splitlines():
        if len(words := line.split()) > 1:
            yield words


def _large() -> list[tuple[str, bytes]]:
    """A photograph's size, 24 megapixels, and its noise, as JPEG and as PNG."""
    rows, columns = np.indices(SIDES, dtype=np.uint16)
    picture = np.stack([rows >> 4, columns >> 5, (rows ^ columns) >> 5], axis=2).astype(np.uint8)
    picture ^= np.random.default_rng(0).integers(0, 4, picture.shape, np.uint8)
    jpeg = bytes(simplejpeg.encode_jpeg(picture, quality=90))
    return [("image/jpeg", jpeg), ("image/png", encode_png(picture))]


def _ask(url: str, number: int, large: list[tuple[str, bytes]], until: float, seen: Counter[str]) -> None:
    for turn in itertools.count(number):
        if time.monotonic() > until:
            return
        kind, body = large[turn % len(large)]
        asked = f"{url}/{ASKED[turn // len(large) % len(ASKED)]}"
        request = urllib.request.Request(asked, body, {"content-type": kind})  # noqa: S310  # loopback
        try:
            with urllib.request.urlopen(request) as answer:  # noqa: S310  # loopback
                answer.read()
                seen["answered"] += 1
        except OSError:  # refused, perhaps before all of it was sent
            seen["refused"] += 1
            time.sleep(PAUSE_S)


def _served(home: Path) -> contextlib.AbstractContextManager[Process]:
    port = free_port()
    line = [sys.executable, "-m", "service", "--port", str(port)]
    return started(line, port=port, home=home, environment=BASE, ready="/readyz")


@contextlib.contextmanager
def _evaluating(url: str, folder: Path) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Two evaluations that are under way meanwhile; they are waited for."""
    line = [sys.executable, "-m", "eval", "evaluate", url, "--quiet"]
    with contextlib.ExitStack() as stack:
        yield [
            stack.enter_context(
                subprocess.Popen(
                    [*line, "--model", model, "--data", data, "--out", str(folder / model)],
                    cwd=ROOT,
                    stdout=subprocess.DEVNULL,
                )
            )
            for model, data in EVALUATED
        ]


def _press(url: str) -> Counter[str]:
    """How many large pictures were answered and refused."""
    large, seen = _large(), Counter[str]()
    with tempfile.TemporaryDirectory() as work, _evaluating(url, Path(work)) as evaluations:
        until = time.monotonic() + PRESSED_S
        clients = [
            threading.Thread(target=_ask, args=(url, number, large, until, seen)) for number in range(CLIENTS)
        ]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
    if wrong := [e.returncode for e in evaluations if e.returncode]:
        raise RuntimeError(f"evaluations must end with 0, got {wrong}")
    return seen


def measure() -> dict[str, float | int | None]:
    """`rest_mb`, loaded and warm; `pressed_mb`, the most since the start; `ready_s`, from start to ready."""
    if not Path("/proc/self/smaps_rollup").exists():
        print("memory.*: null, this system does not tell what a process shares")
        return {"memory.rest_mb": None, "memory.pressed_mb": None, "memory.ready_s": None}
    with tempfile.TemporaryDirectory() as home:
        began = time.monotonic()
        with _served(Path(home)) as service:
            ready_s = time.monotonic() - began
            pids = service.pids()
            rest = [_held(pid) for pid in pids]
            seen = _press(service.url)
            pressed = [_held(pid) for pid in pids]
    rest_kb = sum(held.share for held in rest)
    grown_kb = sum(after.most - before.resident for before, after in zip(rest, pressed, strict=True))
    stays_kb = sum(held.share for held in pressed)
    print(
        f"memory: ready in {ready_s:.1f} s with {rest_kb * MB:.0f} MB; pressed "
        f"{(rest_kb + grown_kb) * MB:.0f} MB and then {stays_kb * MB:.0f} MB; of the large pictures "
        f"{seen['answered']} were answered, {seen['refused']} refused"
    )
    return {
        "memory.rest_mb": rest_kb * MB,
        "memory.pressed_mb": (rest_kb + grown_kb) * MB,
        "memory.ready_s": ready_s,
    }

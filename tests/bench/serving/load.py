"""Closed-loop load by wrk: so many connections, each asking again as soon as it is answered."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.bench.serving.answers import Ask
from tests.bench.serving.processes import BenchError

__all__ = ["Speed", "closed_loop", "need_wrk"]

TIMEOUT_S = 30
SCRIPT = """
local file = io.open({body}, "rb")
wrk.method = "POST"
wrk.body = file:read("*a")
file:close()
{headers}
function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\\n{{"requests": %d, "us": %d, "errors": %d, "p50_us": %d, "p99_us": %d}}\\n',
    summary.requests, summary.duration, e.connect + e.read + e.write + e.status + e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
"""


@dataclass(frozen=True)
class Speed:
    """One measurement.

    Attributes:
        rps: requests answered a second.
        p50_ms, p99_ms: latency; None where it was not measured.
        errors: requests that failed or were answered with 4xx or 5xx; with any, the rest says nothing.
    """

    rps: float
    p50_ms: float | None = None
    p99_ms: float | None = None
    errors: int = 0


def need_wrk() -> None:
    """Install wrk from Debian where that is allowed. Raises BenchError where it is not."""
    if shutil.which("wrk"):
        return
    if shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        subprocess.run(["apt-get", "install", "-y", "-qq", "wrk"], check=True, stdout=subprocess.DEVNULL)
        return
    raise BenchError("wrk must be installed: it is the package `wrk` of Debian, Ubuntu and Homebrew")


def closed_loop(url: str, ask: Ask, *, connections: int, seconds: float) -> Speed:
    """Ask the same over so many connections, on one thread of wrk, for so long (whole seconds)."""
    with tempfile.TemporaryDirectory() as folder:
        body, script = Path(folder) / "body", Path(folder) / "ask.lua"
        body.write_bytes(ask.body)
        # JSON's strings of ASCII are Lua's too.
        headers = [
            f"wrk.headers[{json.dumps(name)}] = {json.dumps(value)}" for name, value in ask.headers.items()
        ]
        script.write_text(SCRIPT.format(body=json.dumps(str(body)), headers="\n".join(headers)))
        shape = ["-t", "1", "-c", str(connections), "-d", f"{max(1, round(seconds))}s"]
        command = ["wrk", *shape, "--timeout", f"{TIMEOUT_S}s", "-s", str(script), url + ask.path]
        ran = subprocess.run(command, capture_output=True, text=True)
    if ran.returncode != 0:
        raise BenchError(f"wrk failed: {ran.stderr or ran.stdout}")
    told = json.loads(ran.stdout.strip().splitlines()[-1])
    return Speed(
        rps=told["requests"] / (told["us"] / 1e6),
        p50_ms=told["p50_us"] / 1e3,
        p99_ms=told["p99_us"] / 1e3,
        errors=told["errors"] + (told["requests"] == 0),
    )

"""`python -m tests.faults.lossy FOLDER`: runs while the kernel drops packets. Only in a network of its own.

`unshare -n` makes one that nobody else is in; the rules go with it. Prints how each run ended, as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.e2e.processes import running_service
from tests.faults.cases import LONG_S, Ends
from tests.faults.running import RUNS, during, pictures, whole
from tests.graphs import repository

__all__ = ["TRIED", "WEATHER"]

UNTIL = ("-m", "quota", "--quota", "16000", "-j", "ACCEPT")  # bytes of requests
LOST = ("-m", "statistic", "--mode", "random", "--probability", "0.03", "-j", "DROP")
WEATHER: dict[str, tuple[Sequence[Sequence[str]], Ends, float]] = {
    "three packets in a hundred are lost": ([LOST], Ends.SAME, LONG_S),
    "a black hole": ([UNTIL, ("-j", "DROP")], Ends.TOLD, 0.03),
    "resets": ([UNTIL, ("-j", "REJECT", "--reject-with", "tcp-reset")], Ends.TOLD, LONG_S),
}
# An audit ends at once; eight requests of an evaluation wait for all their attempts, as the proxy has shown.
TRIED = {"evaluation": list(WEATHER)[:1], "audit": list(WEATHER)}


@contextlib.contextmanager
def _raining(port: str, rules: Sequence[Sequence[str]]) -> Iterator[None]:
    """Packets to a port of loopback meet these rules, in order."""
    for rule in rules:
        _filter("-A", "INPUT", "-i", "lo", "-p", "tcp", "--dport", port, *rule)
    try:
        yield
    finally:
        _filter("-F", "INPUT")


def _filter(*words: str) -> None:
    subprocess.run(["iptables", "-w", *words], check=True)


def main(folder: Path) -> dict[str, dict[str, bool]]:
    """For each weather and run: whether it ended with the same bytes, and with wrong numbers."""
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
    data, models, told = pictures(folder / "data"), repository(folder / "models"), {}
    with running_service(folder / "home", model_repository=models) as url:
        for name, run in RUNS.items():
            clean = asyncio.run(whole(run, url, data))
            for number, weather in enumerate(TRIED[name]):
                rules, _, timeout_s = WEATHER[weather]
                rain, out = _raining(url.rpartition(":")[2], rules), folder / f"{name}-{number}"
                outcome = asyncio.run(during(rain, run, url, data, out, timeout_s))
                same = outcome.report == clean
                told[f"{name}: {weather}"] = {"same": same, "wrong": outcome.wrong(clean)}
    return told


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]))))

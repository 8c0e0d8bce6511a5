"""`python -m tests.faults.lossy FOLDER [brief]`: runs while the kernel drops packets, in their own network.

`unshare -n` makes one that nobody else is in; the rules go with it. Prints how each run ended, as JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from tests.e2e.processes import ROOT, running_service
from tests.faults.cases import BRIEF_S, LONG_S, Ends
from tests.faults.running import RUNS, Outcome, during, pictures, whole
from tests.graphs import repository

__all__ = ["WEATHER", "Weather", "alone", "impossible"]

ALONE = ["unshare", "--net", "--"]
DOWN_S, UP_S = 0.03, 0.03  # of a link that comes and goes
HOSTS = ("127.0.0.1", "127.0.0.0/8")  # the ways of loopback
BRIEF = "brief"
TO, FROM = "--dport", "--sport"
UNTIL = (TO, "-m", "quota", "--quota", "16000", "-j", "ACCEPT")  # bytes of requests
Rule = tuple[str, ...]


def impossible() -> str:
    """Why it cannot be tried here; empty where it can."""
    if os.geteuid() != 0:
        return "only root may filter packets"
    if missing := [tool for tool in ("unshare", "iptables", "ip") if shutil.which(tool) is None]:
        return f"no {missing[0]}: apt-get install -y --no-install-recommends util-linux iptables iproute2"
    tried = subprocess.run([*ALONE, "iptables", "-w", "-L"], capture_output=True, check=False)
    return "" if tried.returncode == 0 else "no network of one's own is allowed here"


def alone(folder: Path, *, brief: bool) -> dict[str, dict[str, Any]]:
    """What `main` gives, in a network of its own; what takes long is left out of a brief one."""
    line = [*ALONE, sys.executable, "-m", "tests.faults.lossy", str(folder), *([BRIEF] if brief else [])]
    done = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"no run through loss: {done.stderr[-2000:]}")
    return dict(json.loads(done.stdout))


def _lost(way: str, share: float) -> Rule:
    return (way, "-m", "statistic", "--mode", "random", "--probability", f"{share}", "-j", "DROP")


@contextlib.contextmanager
def _raining(*rules: Rule, port: str) -> Iterator[None]:
    """Packets to a port of loopback, and from it, meet these rules, in order.

    Raises:
        RuntimeError: they met none, so that nothing was tried.
    """
    for way, *rule in rules:
        _run("iptables", "-w", "-A", "INPUT", "-i", "lo", "-p", "tcp", way, port, *rule)
    try:
        yield
        listed = subprocess.run(
            ["iptables", "-w", "-nvxL", "INPUT"], check=True, capture_output=True, text=True
        )
    finally:
        _run("iptables", "-w", "-F", "INPUT")
    counts = [line.split() for line in listed.stdout.splitlines()]  # packets, bytes, target ...
    if not any(words[2] in ("DROP", "REJECT") and int(words[0]) for words in counts[2:]):
        raise RuntimeError(f"no packet was lost:\n{listed.stdout}")


@contextlib.contextmanager
def _flapping(port: str) -> Iterator[None]:
    """The link goes down and comes up, again and again."""
    over = threading.Event()

    def flap() -> None:
        while not over.wait(UP_S):
            _run("ip", "link", "set", "lo", "down")
            over.wait(DOWN_S)
            _run("ip", "link", "set", "lo", "up")

    thread = threading.Thread(target=flap)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def _run(*words: str) -> None:
    subprocess.run(words, check=True)


@dataclass(frozen=True, slots=True)
class Weather:
    """A trouble of the kernel's, given the port of the service.

    Attributes:
        timeout_s: of an attempt.
        long: whether it is left out of a brief trial, for it takes several seconds and more.
    """

    trouble: Callable[..., AbstractContextManager[None]]
    ends: Ends
    timeout_s: float = LONG_S
    long: bool = False


def _rain(*rules: Rule) -> Callable[..., AbstractContextManager[None]]:
    return partial(_raining, *rules)


WEATHER: dict[str, Weather] = {
    "three packets in a hundred are lost": Weather(_rain(_lost(TO, 0.03), _lost(FROM, 0.03)), Ends.SAME),
    "thirty in a hundred are lost": Weather(_rain(_lost(TO, 0.3), _lost(FROM, 0.3)), Ends.SAME, long=True),
    "a black hole": Weather(_rain(UNTIL, (TO, "-j", "DROP")), Ends.TOLD, BRIEF_S, long=True),
    "resets": Weather(_rain(UNTIL, (TO, "-j", "REJECT", "--reject-with", "tcp-reset")), Ends.TOLD),
    "a link that comes and goes": Weather(_flapping, Ends.EITHER),
}


def main(folder: Path, brief: bool) -> dict[str, dict[str, Any]]:
    """For each run and weather: whether it ended with the same bytes, or with wrong numbers, or why not."""
    _run("ip", "link", "set", "lo", "up")
    for host in HOSTS:  # what is lost is sent again after 10 ms instead of 200: as sure, and sooner
        _run("ip", "route", "replace", "local", host, "dev", "lo", "table", "local", "rto_min", "10ms")
    data, models, told = pictures(folder / "data"), repository(folder / "models"), {}
    with running_service(folder / "home", model_repository=models) as url:
        for name, run in RUNS.items():
            clean = asyncio.run(whole(run, url, data))
            for number, (what, weather) in enumerate(WEATHER.items()):
                if not (brief and weather.long):
                    over, out = weather.trouble(port=url.rpartition(":")[2]), folder / f"{name}-{number}"
                    outcome = asyncio.run(during(over, run, url, data, out, weather.timeout_s))
                    told[f"{name}: {what}"] = _ended(outcome, clean)
    return told


def _ended(outcome: Outcome, clean: str) -> dict[str, Any]:
    return {"same": outcome.report == clean, "wrong": outcome.wrong(clean), "why": outcome.why}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(Path(sys.argv[1]), sys.argv[2:] == [BRIEF])))

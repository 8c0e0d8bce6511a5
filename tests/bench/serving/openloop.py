"""Open-loop load in a process of its own: requests come when they come, answered or not.

Arrivals are Poisson from a seed. Latency counts from when a request was to be sent, so a client
that falls behind cannot make the server look fast.

`python -m tests.bench.serving.openloop < Orders as JSON`; prints Outcome as JSON.
"""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path

import uvloop

from tests.bench.serving.client import FAILURES, Connection
from tests.bench.serving.processes import ROOT

__all__ = ["Orders", "Outcome", "open_loop"]

GIVE_UP_S = 30.0


@dataclass(frozen=True)
class Orders:
    """What to send.

    Attributes:
        wire: a file with the bytes of the whole request.
        rate: mean requests a second.
        deadline_s: an answer that comes later is of no use.
    """

    port: int
    wire: str
    rate: float
    seconds: float
    deadline_s: float
    seed: int


@dataclass
class Outcome:
    """What came of it.

    Attributes:
        statuses: how often each status was answered; `0`: no answer at all.
        good: 200s within the deadline.
        accepted_s, refused_s: latency of each 200, of each other answer.
        without_retry_after: refusals that do not say when to come again.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    good: int = 0
    accepted_s: list[float] = field(default_factory=list)
    refused_s: list[float] = field(default_factory=list)
    without_retry_after: int = 0


def open_loop(orders: Orders) -> Outcome:
    """Run the client in a process of its own, so that it shares no interpreter with anything."""
    command = [sys.executable, "-m", "tests.bench.serving.openloop"]
    text = json.dumps(asdict(orders))
    ran = subprocess.run(command, input=text, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    told = json.loads(ran.stdout)
    return Outcome(**{**told, "statuses": Counter(told["statuses"])})


async def _ask(free: list[Connection], orders: Orders, wire: bytes, due: float, outcome: Outcome) -> None:
    connection = free.pop() if free else Connection(orders.port)
    loop = asyncio.get_running_loop()
    try:
        reply = await connection.ask(wire, timeout_s=GIVE_UP_S)
    except FAILURES:
        outcome.statuses["0"] += 1
        return
    latency = loop.time() - due
    free.append(connection)
    outcome.statuses[str(reply.status)] += 1
    if reply.status == 200:
        outcome.accepted_s.append(latency)
        outcome.good += latency <= orders.deadline_s
    else:
        outcome.refused_s.append(latency)
        outcome.without_retry_after += "retry-after" not in reply.headers


async def _run(orders: Orders) -> Outcome:
    wire, chance = Path(orders.wire).read_bytes(), random.Random(orders.seed)
    free: list[Connection] = []
    outcome = Outcome()
    loop = asyncio.get_running_loop()
    began = due = loop.time()
    async with asyncio.TaskGroup() as asking:
        while (due := due + chance.expovariate(orders.rate)) < began + orders.seconds:
            await asyncio.sleep(max(0.0, due - loop.time()))
            asking.create_task(_ask(free, orders, wire, due, outcome))
    for connection in free:
        connection.close()
    return outcome


if __name__ == "__main__":
    print(json.dumps(vars(uvloop.run(_run(Orders(**json.load(sys.stdin)))))))

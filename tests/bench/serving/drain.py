"""One of two servers is told to stop under load: who follows its readiness may lose nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field

from tests.bench.serving.answers import as_picture
from tests.bench.serving.client import FAILURES, Connection, get
from tests.bench.serving.plan import Plan
from tests.bench.serving.processes import Process
from tests.bench.serving.rounds import Figures
from tests.bench.serving.servers import assay, infer_path

__all__ = ["drain"]

CONNECTIONS, POLL_S, DRAIN_S = 8, 0.05, 2
PATIENCE_S = 30.0  # for the end of a server that was told to stop


@dataclass
class _Balancer:
    """Sends to servers whose `/readyz` is 200, in turn; looks every POLL_S, as a load balancer would.

    Attributes:
        ready: ports that are ready.
        answered: 200s by port.
        failed: requests that were answered otherwise or not at all.
    """

    ports: list[int]
    ready: set[int] = field(default_factory=set)
    answered: Counter[int] = field(default_factory=Counter)
    failed: int = 0
    over: bool = False

    async def look(self, port: int) -> None:
        while not self.over:
            connection = Connection(port)
            try:
                up = (await connection.ask(get("/readyz"), timeout_s=1)).status == 200
            except FAILURES:
                up = False
            connection.close()
            (self.ready.add if up else self.ready.discard)(port)
            await asyncio.sleep(POLL_S)

    async def load(self, wire: bytes) -> None:
        """Ask as long as it is not over, on one kept connection to each ready server."""
        open_: dict[int, Connection] = {}
        turn = 0
        while not self.over:
            for port in open_.keys() - self.ready:
                open_.pop(port).close()
            if not self.ready:
                await asyncio.sleep(POLL_S)
                continue
            turn += 1
            port = sorted(self.ready)[turn % len(self.ready)]
            try:
                reply = await open_.setdefault(port, Connection(port)).ask(wire)
            except FAILURES:
                self.failed += 1
                continue
            self.answered[port] += reply.status == 200
            self.failed += reply.status != 200
        for connection in open_.values():
            connection.close()

    async def until(self, port: int, *, ready: bool) -> None:
        while (port in self.ready) != ready:
            await asyncio.sleep(POLL_S / 2)


async def _run(
    balancer: _Balancer, leaving: Process, wire: bytes, again: Callable[[], None], seconds: float
) -> Figures:
    port = leaving.port
    async with asyncio.TaskGroup() as busy:
        for each in balancer.ports:
            busy.create_task(balancer.look(each))
            await balancer.until(each, ready=True)
        for _ in range(CONNECTIONS):
            busy.create_task(balancer.load(wire))
        await asyncio.sleep(seconds)
        before = balancer.answered[port]
        leaving.terminate()
        await asyncio.to_thread(leaving.popen.wait, PATIENCE_S)
        await balancer.until(port, ready=False)
        left = balancer.answered[port]
        await asyncio.to_thread(again)
        await balancer.until(port, ready=True)
        await asyncio.sleep(seconds)
        balancer.over = True
    return {
        "drain.requests": sum(balancer.answered.values()) + balancer.failed,
        "drain.failed_requests": balancer.failed,
        "drain.answered_before": before,
        "drain.answered_while_leaving": left - before,
        "drain.answered_again": balancer.answered[port] - left,
    }


def drain(plan: Plan) -> Figures:
    """SIGTERM to one of two busy servers, then that server again on its port."""
    version = plan.material.tiny
    wire = as_picture(infer_path(version), plan.material.png32, raw=True).on_wire("127.0.0.1")
    root = version.folder.parents[1]
    with ExitStack() as stack, ExitStack() as first:
        staying = stack.enter_context(assay(root, plan.home()))
        leaving = first.enter_context(assay(root, plan.home(), drain_s=DRAIN_S))

        def again() -> None:
            first.close()
            stack.enter_context(assay(root, plan.home(), port=leaving.port))

        balancer = _Balancer([staying.port, leaving.port])
        return asyncio.run(_run(balancer, leaving, wire, again, plan.seconds(3, 1)))

"""A bad network between a client and a service: a TCP proxy that spoils connections, seeded.

What strikes which connection, and at which byte, follows from the seed and the number of the connection
alone; with how the client spreads its requests over connections it has nothing to do.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine, Iterator
from dataclasses import dataclass, field
from random import Random

from tests.faults.deeds import DEEDS, READ, Fault, Link, Over

__all__ = ["Proxy"]


@dataclass(eq=False)
class Proxy:
    """Between a client and the service at `url`. Use `over` to run it.

    Attributes:
        connections: that were made.
        struck: of them, where the fault was done.
    """

    url: str
    fault: Fault | None = None
    seed: int = 0
    connections: int = 0
    struck: int = 0
    _waiting: list[tuple[asyncio.Future[bytes], bytes]] = field(default_factory=list)
    _serving: set[asyncio.Task[None]] = field(default_factory=set)

    @contextlib.asynccontextmanager
    async def over(self) -> AsyncIterator[str]:
        """The address to ask in the place of the service's."""
        server = await asyncio.start_server(self._connected, "127.0.0.1", 0)
        try:
            yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            server.close()
            for task in self._serving:
                task.cancel()
            await asyncio.gather(*self._serving, return_exceptions=True)

    @contextlib.contextmanager
    def spoiling(self) -> Iterator[None]:
        """The fault is done meanwhile, and to no connection that is made later."""
        try:
            yield
        finally:
            self.fault = None

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is None:
            raise RuntimeError("a connection must be served by a task")
        self._serving.add(task)
        number, self.connections = self.connections, self.connections + 1
        writers = [writer]
        try:
            with contextlib.suppress(asyncio.CancelledError):  # a server of asyncio would complain of it
                await self._served(number, reader, writer, writers)
        finally:
            self._serving.discard(task)
            for one in writers:
                one.close()

    async def _served(
        self,
        number: int,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        writers: list[asyncio.StreamWriter],
    ) -> None:
        host, _, port = self.url.removeprefix("http://").partition(":")
        answers, service = await asyncio.open_connection(host, int(port))
        writers.append(service)
        link = self._link(number, writer, service)
        if link is not None and link.fault.deed == "refused" and self.struck < link.fault.most:
            self.struck += 1
            with contextlib.suppress(Over):
                await DEEDS[link.fault.deed](link, b"")
            return
        pumps = [self._pump(reader, service, link, upward=True), self._pump(answers, writer, link)]
        if link is not None and link.fault.deed == "twice":
            unheard, link.twin = await asyncio.open_connection(host, int(port))
            writers.append(link.twin)
            pumps.append(_swallow(unheard))
        await _until_one_ends(pumps)

    def _link(self, number: int, client: asyncio.StreamWriter, service: asyncio.StreamWriter) -> Link | None:
        """The fault of a connection; None where there is none."""
        random, fault = Random(f"{self.seed}/{number}"), self.fault
        if fault is None or number < fault.first or random.random() >= fault.share:
            return None
        left = random.randint(*fault.at)
        return Link(fault, random, client, service, left=left, waiting=self._waiting)

    async def _pump(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        link: Link | None,
        *,
        upward: bool = False,
    ) -> None:
        """One way of a connection, until it ends."""
        while data := await reader.read(READ):
            if link is None or link.fault.upward != upward:
                writer.write(data)
            else:
                whole, data = data[: link.left], data[link.left :]
                link.left -= len(whole)
                if whole:
                    writer.write(whole)
                if data and not link.struck and self.struck >= link.fault.most:
                    writer.write(data)
                elif data:
                    self.struck += not link.struck
                    if out := await DEEDS[link.fault.deed](link, data):
                        writer.write(out)
                    link.struck = True
            await writer.drain()


async def _swallow(reader: asyncio.StreamReader) -> None:
    while await reader.read(READ):
        pass
    await asyncio.get_running_loop().create_future()  # ends with the others


async def _until_one_ends(pumps: list[Coroutine[None, None, None]]) -> None:
    """Neither side closes one way only and waits, so when one way has ended both have."""
    tasks = [asyncio.create_task(pump) for pump in pumps]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        for ended in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(ended, Exception) and not isinstance(ended, Over | ConnectionError):
                raise ended

"""A small server that answers like the service at once, but for one planted stall."""

from __future__ import annotations

import asyncio
import contextlib
import json
import re
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ["Stalling", "stalling"]


@dataclass
class Stalling:
    """Answers every request with one prediction after `pause_s`, but nothing in the stall.

    The stall begins `after_s` seconds after the first request. `slots` requests are answered at once at most.
    `asked` is how many came.
    """

    after_s: float = 0.0
    stall_s: float = 0.0
    pause_s: float = 0.002
    slots: int = 1000
    status: int = 200
    url: str = ""
    asked: int = 0
    first: float | None = None
    lock: asyncio.Semaphore = field(init=False)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = re.search(rb"content-length: *(\d+)", head, flags=re.I)
                await reader.readexactly(int(length[1]) if length else 0)
                self.asked += 1
                async with self.lock:
                    await asyncio.sleep(self._pause())
                body = json.dumps({"predictions": [{}], "code": ""}).encode()
                writer.write(
                    b"HTTP/1.1 %d OK\r\ncontent-length: %d\r\n\r\n" % (self.status, len(body)) + body
                )
                await writer.drain()
        writer.close()

    def _pause(self) -> float:
        now = time.monotonic()
        self.first = self.first or now
        begun = now - self.first - self.after_s
        return self.pause_s + (self.stall_s - begun if 0 <= begun < self.stall_s else 0.0)


@contextlib.contextmanager
def stalling(server: Stalling) -> Iterator[Stalling]:
    """The server in a thread of its own, its address in `url`."""
    loop, ready, over = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def main() -> None:
        server.lock = asyncio.Semaphore(server.slots)
        listening = await asyncio.start_server(server.answer, "127.0.0.1", 0)
        server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
        ready.set()
        await over.wait()
        listening.close()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    def run() -> None:
        loop.run_until_complete(main())
        loop.run_until_complete(loop.shutdown_asyncgens())

    thread = threading.Thread(target=run)
    thread.start()
    try:
        assert ready.wait(10)
        yield server
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        loop.close()

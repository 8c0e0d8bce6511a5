"""The service in this process without a port: its parts one by one, and all of it as an ASGI application."""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import MutableMapping
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch
from urllib.parse import unquote

from service.infer_request import Work, read_request
from service.middleware import Edge
from service.registry import Live
from service.running import start
from tests.fuzz.asks import ADMIN_KEY, Ask, ask

__all__ = ["Refused", "Served", "ServerError", "asked"]

# Small limits: what is refused by them is refused at once, and no input is slow for its size alone.
LIMITS = {
    "max_body_bytes": 150_000,
    "max_pixels": 600_000,
    "max_images": 8,
    "timeout_s": 10,
    "poll_s": 0,
    "runs": 1,
}


class ServerError(Exception):
    """A request was answered with 500, or not at all."""


class Refused(Exception):
    """A request was answered with an error that is the caller's."""


class Served:
    """A running service without HTTP.

    Args:
        root: a repository; see `tests.fuzz.served`.
        folder: gets the file of keys.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        keys = folder / "admin-keys"
        keys.write_text(f"{ADMIN_KEY}\n")
        told = {**LIMITS, "model_repository": root, "admin_keys_file": keys}
        with patch.dict(os.environ, {f"ASSAY_{name.upper()}": str(value) for name, value in told.items()}):
            self.running = start(lambda: b"{}")
        self.settings = self.running.settings
        while not self.running.ready:
            time.sleep(0.01)
        self._lives = {live.seen.name: live for live in self.running.registry.all}
        self._edge = Edge(_bento, current=lambda: self.running, outermost=True)
        self._loop = asyncio.new_event_loop()
        self._trouble = _Trouble()
        logging.getLogger("assay").addHandler(self._trouble)

    def live(self, model: str) -> Live:
        return self._lives[model]

    def loaded(self, model: str, body: bytes, header: str, kind: str) -> Work:
        """A request of the v2 protocol read, and each of its pieces decoded and prepared."""
        work = read_request(self.live(model), body, header, kind, self.settings)
        for piece in work.pieces:
            piece.load()
        return work

    def answer(self, scope_and_body: tuple[dict[str, Any], list[bytes]]) -> int:
        """Ask the whole application; the status. Raises Refused or ServerError."""
        scope, chunks = scope_and_body
        self._trouble.told.clear()
        status = self._loop.run_until_complete(self._ask({**scope, "state": {}}, chunks))
        if status in (0, 500):
            raise ServerError(f"answered {status}: {' '.join(self._trouble.told)[-3000:]}")
        if status >= 400:
            raise Refused(str(status))
        return status

    async def _ask(self, scope: dict[str, Any], chunks: list[bytes]) -> int:
        waiting = [
            {"type": "http.request", "body": chunk, "more_body": i < len(chunks)}
            for i, chunk in enumerate(chunks, 1)
        ]
        sent: list[MutableMapping[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return waiting.pop(0) if waiting else {"type": "http.disconnect"}

        async def send(message: MutableMapping[str, Any]) -> None:
            sent.append(message)

        await self._edge(scope, receive, send)
        whole = len(sent) >= 2 and not sent[-1].get("more_body", False)
        return int(sent[0]["status"]) if whole else 0

    def close(self) -> None:
        logging.getLogger("assay").removeHandler(self._trouble)
        self.running.close()
        self._loop.close()


async def _bento(scope: Any, receive: Any, send: Any) -> None:
    """Stands in for what is BentoML's."""
    await send({"type": "http.response.start", "status": 404, "headers": []})
    await send({"type": "http.response.body", "body": b"Not Found"})


class _Trouble(logging.Handler):
    """Keeps the traces of what failed inside, which no caller is told."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.told: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            self.told.append(logging.Formatter().formatException(record.exc_info))


def asked(chance: Random) -> tuple[dict[str, Any], list[bytes]]:
    """A request as an ASGI server would hand it over: what is no HTTP never gets this far."""
    return scope_of(ask(chance), chance)


def scope_of(made: Ask, chance: Random) -> tuple[dict[str, Any], list[bytes]]:
    path, _, query = made.target.partition("?")
    scope = {
        "type": "http",
        "method": made.method,
        "path": unquote(path.encode("latin-1", "replace").decode("ascii", "replace")),
        "raw_path": path.encode("latin-1", "replace"),
        "query_string": query.encode("latin-1", "replace"),
        "headers": [(name.encode(), value.encode("latin-1", "replace")) for name, value in made.headers],
    }
    body, cut = made.body, len(made.body) // 2
    chunks = [body[:cut], body[cut:]] if cut and chance.random() < 0.2 else [body]
    return scope, chunks if chance.random() < 0.98 else []

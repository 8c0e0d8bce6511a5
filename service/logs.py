"""Our log: one JSON object a line on stderr. Never image bytes, never keys, never raw text from a request."""

from __future__ import annotations

import json
import logging
import sys
import time
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import orjson

__all__ = ["AccessLog", "JsonLines", "get_log", "start_logging"]

ROOT = "assay"


class JsonLines(logging.Formatter):
    """`{"time", "level", "log", "message", ...fields}`; line breaks are escaped by JSON itself."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = getattr(record, "fields", {})
        line = {
            "time": _stamp(record.created),
            "level": record.levelname.lower(),
            "log": record.name,
            "message": record.getMessage(),
            **fields,
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


def _stamp(seconds: float) -> str:
    return f"{_second(int(seconds))}.{int(seconds % 1 * 1000):03d}+00:00"


@lru_cache(maxsize=4)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class AccessLog:
    """A line a request, in the form of `JsonLines`, written some at a time: a write costs more than a line.

    `flush` must be called now and then, and at the end.
    """

    def __init__(self) -> None:
        self._lines: list[bytes] = []

    def add(self, fields: dict[str, Any]) -> None:
        """Note one answered request."""
        head = {"time": _stamp(time.time()), "level": "info", "log": "assay.access", "message": "answered"}
        self._lines.append(orjson.dumps(head | fields, option=orjson.OPT_APPEND_NEWLINE))
        if len(self._lines) >= 256:
            self.flush()

    def flush(self) -> None:
        """Write what has been noted."""
        if self._lines:
            sys.stderr.buffer.write(b"".join(self._lines))
            sys.stderr.buffer.flush()
            self._lines.clear()


def get_log(name: str) -> logging.Logger:
    """The log of one room, e.g. `assay.access`."""
    return logging.getLogger(f"{ROOT}.{name}")


def start_logging() -> None:
    """Write our lines, once, apart from BentoML's own."""
    root = logging.getLogger(ROOT)
    if not root.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(JsonLines())
        root.addHandler(handler)
        root.setLevel(logging.INFO)
        root.propagate = False

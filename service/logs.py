"""Our log: one JSON object a line on stderr. Never image bytes, never raw text from a request."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Any

__all__ = ["JsonLines", "get_log", "start_logging"]

ROOT = "assay"


class JsonLines(logging.Formatter):
    """`{"time", "level", "log", "message", ...fields}`; line breaks are escaped by JSON itself."""

    def format(self, record: logging.LogRecord) -> str:
        fields: dict[str, Any] = getattr(record, "fields", {})
        line = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "log": record.name,
            "message": record.getMessage(),
            **fields,
        }
        if record.exc_info:
            line["trace"] = self.formatException(record.exc_info)
        return json.dumps(line)


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

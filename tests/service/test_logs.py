"""A log line is one JSON object, whatever is in it."""

from __future__ import annotations

import json
import logging

from service.logs import JsonLines


def record(message: str, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("assay.access", logging.INFO, "", 0, message, None, None)
    for name, value in extra.items():
        setattr(made, name, value)
    return made


def test_fields_stand_beside_the_message() -> None:
    line = json.loads(JsonLines().format(record("answered", fields={"status": 200})))
    assert (line["message"], line["status"], line["level"], line["log"]) == (
        "answered",
        200,
        "info",
        "assay.access",
    )
    assert line["time"].endswith("+00:00")


def test_a_line_break_cannot_forge_a_line() -> None:
    text = JsonLines().format(record('x\n{"level": "error"}\r\x1b[31m'))
    assert "\n" not in text
    assert "\x1b" not in text
    assert json.loads(text)["message"].startswith("x\n")


def test_a_failure_brings_its_trace() -> None:
    try:
        raise ValueError("why")
    except ValueError as error:
        made = record("failed", exc_info=(type(error), error, error.__traceback__))
    assert "ValueError: why" in json.loads(JsonLines().format(made))["trace"]

"""Watches a client: every status that is seen must stand in the service's own OpenAPI document."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator, Mapping
from typing import Any

from starlette.testclient import TestClient

__all__ = ["complaint", "documented"]


@contextlib.contextmanager
def documented(client: TestClient) -> Iterator[TestClient]:
    """Complains at the end of what the document does not say."""
    seen: set[tuple[str, str, int]] = set()

    def note(response: Any) -> None:
        seen.add((response.request.method, response.request.url.path, response.status_code))

    client.event_hooks["response"].append(note)
    try:
        yield client
        paths = client.get("/docs.json").json()["paths"]
    finally:
        client.event_hooks["response"].remove(note)
    wrong = [words for told in sorted(seen) if (words := complaint(paths, *told))]
    assert not wrong, "\n".join(wrong)


def complaint(paths: Mapping[str, Any], method: str, path: str, status: int) -> str | None:
    """What is wrong with an answer, or None: a path is one of the document's, or unknown to the service."""
    told = f"{method} {path} gave {status}"
    item = next((paths[template] for template in paths if _matches(template, path)), None)
    if item is None:
        # Keys are asked for before paths are looked at, on purpose.
        return None if status in (401, 403, 404) else f"{told}, but the path is not in the document"
    verb = {"HEAD": "get"}.get(method, method.lower())
    operations = [item[verb]] if verb in item else list(item.values())
    if any(str(status) in operation["responses"] for operation in operations):
        return None
    return f"{told}, but the document has {sorted(operations[0]['responses'])}"


def _matches(template: str, path: str) -> bool:
    pattern = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(template))
    return re.fullmatch(pattern, path.rstrip("/") or "/") is not None

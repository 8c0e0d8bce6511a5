"""The whole service in this process: real BentoML app, real intake, no port."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from unittest.mock import patch

from starlette.testclient import TestClient

from service.app import VisionService


@contextlib.contextmanager
def started(
    repository: Path,
    *,
    headers: Mapping[str, str] | None = None,
    until: str = "/readyz",
    **settings: object,
) -> Iterator[TestClient]:
    """A client of a service once `until` is 200; settings are those of `ServiceSettings`.

    One at a time in a process: BentoML knows one current service.

    Args:
        headers: of every request, such as a key.
    """
    told = {f"ASSAY_{name.upper()}": str(value) for name, value in settings.items()}
    with patch.dict(os.environ, {**told, "ASSAY_MODEL_REPOSITORY": str(repository)}):
        app = VisionService.to_asgi()  # type: ignore[attr-defined]  # the decorator made it a Service
        with TestClient(app, raise_server_exceptions=False, headers=dict(headers or {})) as client:
            while client.get(until).status_code != 200:
                assert any(
                    m["state"] != "failed" for m in client.get("/models").json()["models"] or [{"state": ""}]
                )
            yield client

"""One live service for most attacks, with small limits so that they are quickly reached."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.processes import running_service
from tests.security.attack import assert_answers
from tests.security.graphs import repository

LIMITS: dict[str, Any] = {
    "max_body_bytes": 1_000_000,
    "max_pixels": 1_000_000,
    "max_images": 8,
    "max_header_bytes": 8192,
    "header_timeout_s": 1,
    "timeout_s": 2,
    "max_connections": 150,
    "runs": 2,
    "poll_s": 0,
}


@pytest.fixture(scope="session")
def attacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The repository of every service here; see `tests.security.graphs`."""
    return repository(tmp_path_factory.mktemp("attacked"))


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the shared service keeps its log."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def shared(attacked: Path, home: Path) -> Iterator[str]:
    with running_service(home, model_repository=attacked, **LIMITS) as url:
        yield url


@pytest.fixture
def url(shared: str) -> Iterator[str]:
    """The shared service; whatever a test does to it, it answers the next caller."""
    yield shared
    assert_answers(shared)

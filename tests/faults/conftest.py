"""One live service and one small data set for all faults."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import running_service
from tests.faults.running import RUNS, pictures, whole


@pytest.fixture(scope="session")
def service(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_service(tmp_path_factory.mktemp("faults-home"), model_repository=repository) as url:
        yield url


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    return pictures(tmp_path_factory.mktemp("faults-data"))


@pytest.fixture(scope="session")
def clean(service: str, data: str) -> dict[str, str]:
    """The report of each kind of run with no fault."""
    return {name: asyncio.run(whole(run, service, data)) for name, run in RUNS.items()}

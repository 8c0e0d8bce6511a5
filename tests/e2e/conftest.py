"""A live service that the tests with NVIDIA's client share; starting one takes two seconds."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.processes import running_service
from tests.e2e.triton import KEY
from tests.graphs import repository, typed_repository


@pytest.fixture(scope="session")
def triton_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model for each task, and one for each type a graph may take."""
    return repository(typed_repository(tmp_path_factory.mktemp("triton")))


@pytest.fixture(scope="session")
def triton_host(triton_root: Path) -> Iterator[str]:
    """Host and port: the client wants no scheme. `KEY` may load and unload."""
    keys = triton_root.parent / "triton-keys"
    keys.write_text(KEY["authorization"].split()[1] + "\n")
    home = triton_root.parent / "triton-home"
    with running_service(home, model_repository=triton_root, admin_keys_file=keys) as url:
        yield url.removeprefix("http://")

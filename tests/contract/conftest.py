"""One repository for the tests of the Open Inference Protocol."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.graphs import repository, typed_repository


@pytest.fixture(scope="session")
def typed_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model for each task, and one for each type a graph may take; see `tests.graphs`."""
    return repository(typed_repository(tmp_path_factory.mktemp("typed")))

"""One folder for BentoML and its metrics, and one thread for PyTorch: set before anything imports them."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from pathlib import Path

import pytest

from tests.graphs import repository as made

_HOME = tempfile.mkdtemp(prefix="assay-tests-")
atexit.register(shutil.rmtree, _HOME, ignore_errors=True)
os.environ["BENTOML_HOME"] = _HOME
os.environ["BENTOML_DO_NOT_TRACK"] = "True"
os.environ["OTEL_SDK_DISABLED"] = "true"
# Threads that wait for each other by spinning need cores of their own, and the services under test have them:
# what one thread computes in 40 ms took two of them four seconds.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository with one tiny model for each task; see `tests.graphs`."""
    return made(tmp_path_factory.mktemp("repository"))

"""One folder for BentoML and its metrics per test run, set before anything imports it."""

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


@pytest.fixture(scope="session")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model repository with one tiny model for each task; see `tests.graphs`."""
    return made(tmp_path_factory.mktemp("repository"))

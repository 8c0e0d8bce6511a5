"""What is shipped is small, proven and as its cards say."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.cli import ZOO
from models.repository import Version, open_version, versions

SHIPPED = [v for v in versions(ZOO) if v.card.name != "imagenet"]  # that one is built at set-up
MEGABYTE = 1 << 20


def test_the_zoo_is_whole_and_small() -> None:
    names = [(v.card.name, v.card.version) for v in SHIPPED]
    assert names == [("digits", 1), ("digits", 2), ("scenes-detector", 1), ("scenes-segmenter", 1)]
    sizes = [v.model_path.stat().st_size for v in SHIPPED]
    assert max(sizes) < 4 * MEGABYTE
    assert sum(sizes) < 16 * MEGABYTE


@pytest.mark.parametrize("version", SHIPPED, ids=lambda v: f"{v.card.name}-{v.card.version}")
def test_digests_and_golden_pairs_hold(version: Version) -> None:
    open_version(version)
    assert version.card.claims
    assert version.card.training["seed"]
    assert (version.folder / "reference.npz").is_file()


def test_git_does_not_swallow_the_package(request: pytest.FixtureRequest) -> None:
    """A bare `models/` in .gitignore would."""
    lines = (Path(request.config.rootpath) / ".gitignore").read_text().splitlines()
    assert "models/" not in lines
    assert "models" not in lines

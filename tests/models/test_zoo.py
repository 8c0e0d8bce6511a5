"""What is shipped is small, proven and as its cards say."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from models.cli import ZOO
from models.repository import Version, open_version, versions
from models.scenes import scene

SHIPPED = [v for v in versions(ZOO) if v.card.name != "imagenet"]  # that one is built at set-up
MEGABYTE = 1 << 20
NAMES = [
    ("bccd", 1),
    ("bccd", 2),
    ("cifar10", 1),
    ("cifar10", 2),
    ("digits", 1),
    ("digits", 2),
    ("digits", 3),
    ("scenes-detector", 1),
    ("scenes-detector", 2),
    ("scenes-detector", 3),
    ("scenes-segmenter", 1),
    ("scenes-segmenter", 2),
    ("scenes-segmenter", 3),
]
INT8 = [v for v in SHIPPED if "optimised.from" in v.card.training]


def test_the_zoo_is_whole_and_small() -> None:
    names = [(v.card.name, v.card.version) for v in SHIPPED]
    assert names == NAMES
    sizes = [v.model_path.stat().st_size for v in SHIPPED]
    assert max(sizes) < 4 * MEGABYTE
    assert sum(sizes) < 16 * MEGABYTE


@pytest.mark.parametrize("version", SHIPPED, ids=lambda v: f"{v.card.name}-{v.card.version}")
def test_digests_and_golden_pairs_hold(version: Version) -> None:
    open_version(version)
    assert version.card.claims
    assert version.card.training["seed"]
    assert (version.folder / "reference.npz").is_file() == (version not in INT8)


@pytest.mark.parametrize("version", INT8, ids=lambda v: f"{v.card.name}-{v.card.version}")
def test_an_int8_version_carries_its_evidence(version: Version) -> None:
    told = version.card.training
    assert float(told["optimised.speedup"]) > 1
    assert float(told["optimised.difference_low"]) > -0.01
    assert len(str(told["optimised.calibration_sha256"])) == 64
    source = next(v for v in SHIPPED if f"{v.card.name}/{v.card.version}" == told["optimised.from"])
    assert told["optimised.from_sha256"] == source.card.sha256


def test_no_picture_of_a_real_set_is_shipped() -> None:
    """A golden pair holds its picture; of models learnt from real sets it is a procedural scene."""
    for version in SHIPPED:
        if "data.folder" in version.card.training:
            with np.load(version.folder / "golden.npz") as pair:
                np.testing.assert_array_equal(pair["image"], scene(0).image)


def test_git_does_not_swallow_the_package(request: pytest.FixtureRequest) -> None:
    """A bare `models/` in .gitignore would."""
    lines = (Path(request.config.rootpath) / ".gitignore").read_text().splitlines()
    assert "models/" not in lines
    assert "models" not in lines

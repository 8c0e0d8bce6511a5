"""The soak's own arithmetic, and that its load is what it says."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from models.repository import look, open_version, read_version
from tests.fuzz.served import repository
from tests.fuzz.soak.__main__ import _is_steady
from tests.fuzz.soak.load import Plan
from tests.fuzz.soak.mix import KINDS, Good, made
from tests.fuzz.soak.probe import means
from tests.fuzz.soak.swaps import Swaps


def test_growth_is_from_behind_the_warm_up_to_the_end() -> None:
    samples = [1000.0] * 20 + [100.0] * 10 + [500.0] * 60 + [120.0] * 10
    assert means(samples, 0.2) == (100.0, 120.0)
    assert means([5.0] * 10, 0.2) == (5.0, 5.0)


@pytest.mark.parametrize(("count", "warm"), [(9, 0.2), (0, 0.2), (100, 0.9), (100, -0.1)])
def test_too_little_to_tell_growth_from(count: int, warm: float) -> None:
    with pytest.raises(ValueError, match="10 samples or more"):
        means([1.0] * count, warm)


def test_every_kind_of_request_is_asked_and_the_same_again() -> None:
    every = [made(Random(f"{i}")) for i in range(1500)]
    assert {kind for kind, _ in every} == set(KINDS)
    assert every[:200] == [made(Random(f"{i}")) for i in range(200)]
    good = sum(isinstance(request, Good) for _, request in every)
    assert 0.6 < good / len(every) < 0.9


def test_versions_come_and_go(tmp_path: Path) -> None:
    live = repository(tmp_path / "live")
    swaps = Swaps(live, tmp_path / "staged")
    for number in (2, 3, 4):
        swaps._swap(number)
    assert [seen.number for seen in look(live) if seen.name == "lamp"] == [3, 4]
    open_version(read_version(live / "lamp" / "4"))
    with pytest.raises(Exception, match="sha256"):
        open_version(read_version(live / "lamp" / "3"))
    assert list((tmp_path / "staged" / "lamp").iterdir()) == []


def test_a_short_run_swaps_too() -> None:
    assert Plan(1800, 1, 0).swap_s == 60
    assert Plan(120, 1, 0).swap_s < 20


@pytest.mark.parametrize(
    ("figures", "steady"),
    [
        ({}, True),
        ({"failed": 1}, False),
        ({"memory_growth": 0.11}, False),
        ({"memory_growth": 0.11, "minutes": 2.0}, True),  # too short to tell
        ({"fds_growth": 9}, False),
        ({"threads_growth": 9}, False),
    ],
)
def test_what_ends_the_run_with_an_error(figures: dict[str, float], steady: bool) -> None:
    usual = {"minutes": 30.0, "failed": 0, "memory_growth": 0.0, "fds_growth": 0, "threads_growth": 0}
    assert _is_steady(usual | figures) is steady

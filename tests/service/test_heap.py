"""Freed memory goes back to the system, and a service that has loaded its models has done so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from service.heap import give_back
from service.registry import Registry
from service.settings import ServiceSettings

TOLD = """
from service.heap import give_back

def held():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

small = [bytes(50_000) for _ in range(1000)]  # too small for a mapping of their own
last = bytes(50_000)  # and nothing at the end of the heap is free
del small
before = held()
print(give_back(), before - held())
"""


class NoTrim:
    """A C library that is not glibc."""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="only glibc keeps and gives back")
def test_what_is_free_in_the_middle_goes_back() -> None:
    done = subprocess.run([sys.executable, "-c", TOLD], capture_output=True, check=True, timeout=60)
    gave, freed = done.stdout.split()
    assert gave == b"True"
    assert int(freed) > 40_000_000


def test_another_library_has_nothing_to_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service.heap.ctypes.CDLL", lambda _: NoTrim())
    assert not give_back()


def test_it_is_given_back_after_loading_and_not_at_every_look(
    repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []
    registry = Registry(ServiceSettings(model_repository=repository, poll_s=0))
    monkeypatch.setattr("service.registry.give_back", lambda: given.append(len(registry.all)))
    registry.sync()
    assert given == [len(registry.all)]
    registry.sync()
    assert len(given) == 1

"""What a tree of processes holds: resident memory, open files, threads; from /proc."""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

from tests.bench.serving.processes import Process

__all__ = ["Holding", "held", "means"]


@dataclass(frozen=True, slots=True)
class Holding:
    """At one moment, of the process and all below it.

    Attributes:
        rss_mb: megabytes (1e6 bytes); shared pages count in each.
    """

    rss_mb: float
    fds: int
    threads: int


def held(process: Process) -> Holding:
    """Now."""
    fds = threads = 0
    for pid in process.pids():
        with contextlib.suppress(OSError):  # it may have ended meanwhile
            fds += sum(1 for _ in Path(f"/proc/{pid}/fd").iterdir())
            threads += sum(1 for _ in Path(f"/proc/{pid}/task").iterdir())
    return Holding(process.rss_mb(), fds, threads)


def means(samples: Sequence[float], warm: float) -> tuple[float, float]:
    """The mean of the tenth behind the warm-up, and of the last tenth.

    Args:
        samples: at equal distances.
        warm: the share of them that is warm-up, at most 0.8.

    Raises:
        ValueError: too few samples.
    """
    tenth = len(samples) // 10
    if tenth < 1 or not 0 <= warm <= 0.8:
        raise ValueError(
            f"there must be 10 samples or more and a warm-up up to 0.8, got {len(samples)}, {warm}"
        )
    start = round(len(samples) * warm)
    return mean(samples[start : start + tenth]), mean(samples[-tenth:])

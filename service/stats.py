"""What one version did since it went live, as the protocol's `stats` tells it."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from service.batcher import Item, Outcome

__all__ = ["Stats"]

STAGES = ("queue", "compute_input", "compute_infer", "compute_output")


@dataclass(slots=True)
class _Sum:
    count: int = 0
    ns: int = 0

    def add(self, count: int, seconds: float) -> None:
        self.count += count
        self.ns += int(seconds * 1e9)

    def told(self) -> dict[str, int]:
        return {"count": self.count, "ns": self.ns}


def _sums(*names: str) -> dict[str, _Sum]:
    return {name: _Sum() for name in names}


@dataclass(slots=True)
class Stats:
    """Counts and nanoseconds; touched on the event loop only."""

    images: int = 0
    runs: int = 0
    last_ms: int = 0
    totals: dict[str, _Sum] = field(default_factory=lambda: _sums("success", "fail", *STAGES))
    batches: dict[int, dict[str, _Sum]] = field(default_factory=dict)

    def note(self, batch: Sequence[Item], settled: Sequence[Outcome | Exception]) -> None:
        """Count one batch."""
        self.last_ms = int(time.time() * 1000)
        done = [(i, o) for i, o in zip(batch, settled, strict=True) if isinstance(o, Outcome)]
        for _ in range(len(batch) - len(done)):
            self.totals["fail"].add(1, 0.0)
        for item, outcome in done:
            s = outcome.stages
            parts = (s.queue, s.decode + s.prepare, s.infer, s.interpret)
            self.images += item.count
            self.totals["success"].add(1, sum(parts))
            for name, seconds in zip(STAGES, parts, strict=True):
                self.totals[name].add(1, seconds)
        if done:
            self.runs += 1
            stages = [outcome.stages for _, outcome in done]
            sums = self.batches.setdefault(stages[0].batch, _sums(*STAGES[1:]))
            sums["compute_input"].add(1, sum(s.decode + s.prepare for s in stages))
            sums["compute_infer"].add(1, stages[0].infer)
            sums["compute_output"].add(1, sum(s.interpret for s in stages))

    def told(self) -> dict[str, Any]:
        """The protocol's object, without the model's name and version."""
        never = {"cache_hit": _Sum().told(), "cache_miss": _Sum().told()}
        return {
            "last_inference": self.last_ms,
            "inference_count": self.images,
            "execution_count": self.runs,
            "inference_stats": {**{name: total.told() for name, total in self.totals.items()}, **never},
            "batch_stats": [
                {"batch_size": size, **{name: total.told() for name, total in sums.items()}}
                for size, sums in sorted(self.batches.items())
            ],
        }

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
class Stats:
    """Counts and seconds; touched on the event loop only.

    Attributes:
        seconds: of every answered piece, a sum for each of `STAGES`.
        batches: size of a run -> how many there were, and their seconds of the last three stages.
    """

    images: int = 0
    answered: int = 0
    failed: int = 0
    last_s: float = 0.0
    seconds: list[float] = field(default_factory=lambda: [0.0] * len(STAGES))
    batches: dict[int, list[float]] = field(default_factory=dict)

    def note(self, batch: Sequence[Item], settled: Sequence[Outcome | Exception]) -> None:
        """Count one batch."""
        run: list[float] | None = None
        seconds = self.seconds
        for item, outcome in zip(batch, settled, strict=True):
            if not isinstance(outcome, Outcome):
                self.failed += 1
                continue
            told = outcome.stages
            ready = told.decode + told.prepare
            if run is None:
                run = self.batches.setdefault(told.batch, [0, 0.0, 0.0, 0.0])
                run[0] += 1
                run[2] += told.infer
            run[1] += ready
            run[3] += told.interpret
            self.images += item.count
            self.answered += 1
            seconds[0] += told.queue
            seconds[1] += ready
            seconds[2] += told.infer
            seconds[3] += told.interpret
        self.last_s = time.time()

    def told(self) -> dict[str, Any]:
        """The protocol's object, without the model's name and version."""
        stages = {name: _told(self.answered, s) for name, s in zip(STAGES, self.seconds, strict=True)}
        return {
            "last_inference": int(self.last_s * 1000),
            "inference_count": self.images,
            "execution_count": sum(int(run[0]) for run in self.batches.values()),
            "inference_stats": {
                "success": _told(self.answered, sum(self.seconds)),
                "fail": _told(self.failed, 0.0),
                **stages,
                "cache_hit": _told(0, 0.0),
                "cache_miss": _told(0, 0.0),
            },
            "batch_stats": [
                {
                    "batch_size": size,
                    **{name: _told(int(run[0]), s) for name, s in zip(STAGES[1:], run[1:], strict=True)},
                }
                for size, run in sorted(self.batches.items())
            ],
        }


def _told(count: int, seconds: float) -> dict[str, int]:
    return {"count": count, "ns": int(seconds * 1e9)}

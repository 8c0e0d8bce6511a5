"""One version of one model in a running service, and everything that belongs to it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from models.card import ModelCard
from models.ports import Port
from models.repository import Seen, Version
from models.results import Result
from models.tasks import Predictor
from service.batcher import Batcher, Item, Outcome
from service.errors import NotReady
from service.stats import Stats
from service.telemetry import Meters

__all__ = ["Key", "Live"]

TOLD = {"task", "description", "labels", "licence", "sha256", "claims", "max_batch"}
Key = tuple[str, int]


@dataclass(slots=True, eq=False)
class Live:
    """One version that answers, or the reason why it does not.

    Attributes:
        seen: what its files looked like when they were read.
        predictor: there when the state is `ready`.
        error: why it failed; of a ready version, why a newer state of its files was not taken.
    """

    seen: Seen
    version: Version | None = None
    state: Literal["loading", "ready", "failed"] = "loading"
    predictor: Predictor[Result] | None = None
    inputs: list[Port] = field(default_factory=list)
    outputs: list[Port] = field(default_factory=list)
    queue: Batcher = field(default_factory=lambda: Batcher(1, 0, 0.0))
    stats: Stats = field(default_factory=Stats)
    error: str | None = None
    _meters: Meters | None = None

    @property
    def key(self) -> Key:
        return self.seen.name, self.seen.number

    @property
    def card(self) -> ModelCard:
        """The card; there unless the version failed before it was read."""
        if self.version is None:
            raise NotReady(f"{self.seen.name!r} is {self.state}: {self.error or 'try again soon'}")
        return self.version.card

    def note(self, batch: Sequence[Item], settled: Sequence[Outcome | Exception], busy_s: float) -> None:
        """Count one batch, and learn how long such a one takes. On the event loop only."""
        self.queue.learn(busy_s, sum(item.count for item in batch))
        self.stats.note(batch, settled)
        self.meters.observe(batch, settled)

    @property
    def meters(self) -> Meters:
        if self._meters is None:
            self._meters = Meters(self.card)
        return self._meters

    def listed(self) -> dict[str, Any]:
        """It as `GET /models` tells it."""
        told: dict[str, Any] = {"name": self.seen.name, "version": self.seen.number}
        if self.version is not None:
            card = self.version.card
            told |= card.model_dump(include=TOLD, mode="json")
            told["input"] = {"height": card.input.height, "width": card.input.width}
        return {**told, "state": self.state, "error": self.error}

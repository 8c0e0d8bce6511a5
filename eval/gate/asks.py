"""What a gate does by itself on live models, beside asking about the data: attack them, and time them."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StringConstraints

__all__ = ["LATENCY", "Attacks", "GoalName", "Severity", "Timing", "Word"]

LATENCY = {"latency.p50_ms": 0.5, "latency.p95_ms": 0.95, "latency.p99_ms": 0.99}
BEYOND = 10  # pairs that must lie beyond a percentile for it to have an interval
STRICT = ConfigDict(extra="forbid", frozen=True, strict=True)
Word: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
GoalName: TypeAlias = Annotated[
    str, StringConstraints(pattern=r"^[a-z]{1,20}(:[A-Za-z0-9_][A-Za-z0-9_ .-]{0,63})?$")
]
Severity: TypeAlias = Annotated[int, Field(ge=1, le=5)]


class Attacks(BaseModel):
    """The audit of both sides, in the words of `assay audit`; the suite says what is not told.

    Attributes:
        seed: of both sides, so that both are attacked alike on the same pictures.
    """

    model_config = STRICT
    suite: Literal["quick", "standard", "thorough"] = "quick"
    epsilon: Annotated[FiniteFloat, Field(ge=1, le=1e6)] = 8.0
    norm: Literal["linf", "l2", "spatial"] = "linf"
    degrees: Annotated[FiniteFloat, Field(ge=0, le=180)] = 30.0
    pixels: Annotated[FiniteFloat, Field(ge=0, le=10_000)] = 3.0
    attacks: Annotated[list[Word], Field(min_length=1, max_length=32)] | None = None
    goal: Annotated[list[GoalName], Field(min_length=1, max_length=8)] | None = None
    corruptions: Annotated[list[Word], Field(max_length=32)] | None = None
    severities: Annotated[list[Severity], Field(min_length=1, max_length=5)] | None = None
    samples: Annotated[int, Field(ge=1)] | None = None
    budget: Annotated[int, Field(ge=3, le=1_000_000)] | None = None
    curve: bool | None = None
    stability: bool | None = None
    seed: Annotated[int, Field(ge=0, lt=2**63)] = 0


class Timing(BaseModel):
    """How both sides are timed: the same picture to one, then to the other.

    Attributes:
        pairs: of requests, of one picture each; up to 4 times as many where these decide nothing.
    """

    model_config = STRICT
    pairs: Annotated[int, Field(ge=20, le=100_000)] = 200

    def enough(self, name: str) -> bool:
        """Whether a percentile of so many has an interval."""
        return self.pairs >= self.needed(name)

    @staticmethod
    def needed(name: str) -> int:
        """Pairs that a percentile needs."""
        return round(BEYOND / (1 - LATENCY[name]))

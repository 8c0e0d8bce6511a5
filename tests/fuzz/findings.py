"""What was found: counted, and kept with the input that shows it."""

from __future__ import annotations

import json
import pickle
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

__all__ = ["Finding", "Kind", "Tally", "keep"]

Kind = Literal["exception", "hang", "crash", "status_500", "wrong_shape", "unanswered", "dead"]
KEPT = 200  # files; the thousandth of one kind tells nothing new


@dataclass(frozen=True)
class Finding:
    """One input that went wrong.

    Attributes:
        where: the target, or `wire`.
        index: with the seed, makes the input again.
        told: the trace, or what was answered.
    """

    kind: Kind
    where: str
    index: int
    told: str


@dataclass
class Tally:
    """What became of the inputs of one process.

    Attributes:
        ended: (where, accepted or refused or a kind of finding) -> inputs.
        slowest: where -> (seconds, index) of its slowest input.
    """

    ended: Counter[str] = field(default_factory=Counter)
    slowest: dict[str, tuple[float, int]] = field(default_factory=dict)

    def note(self, where: str, how: str, seconds: float, index: int) -> None:
        self.ended[f"{where}.{how}"] += 1
        if seconds > self.slowest.get(where, (0.0, 0))[0]:
            self.slowest[where] = (seconds, index)

    def add(self, other: Tally) -> None:
        self.ended += other.ended
        for where, worst in other.slowest.items():
            self.slowest[where] = max(worst, self.slowest.get(where, (0.0, 0)))

    @property
    def inputs(self) -> int:
        return sum(self.ended.values())

    def count(self, kind: str) -> int:
        """Inputs that ended so, everywhere."""
        return sum(n for name, n in self.ended.items() if name.endswith(f".{kind}"))


def keep(folder: Path, finding: Finding, seed: int, given: Any) -> None:
    """Write the finding and its input: bytes as they are, anything else pickled."""
    folder.mkdir(parents=True, exist_ok=True)
    name = f"{finding.kind}-{finding.where}-{finding.index}"
    if sum(1 for _ in folder.glob("*.json")) >= KEPT:
        return
    (folder / f"{name}.json").write_text(json.dumps({**asdict(finding), "seed": seed}, indent=2) + "\n")
    if isinstance(given, bytes):
        (folder / f"{name}.bin").write_bytes(given)
        return
    try:
        (folder / f"{name}.pickle").write_bytes(pickle.dumps(given))
    except (TypeError, AttributeError, pickle.PicklingError):  # a view or a closure: the seed makes it again
        (folder / f"{name}.txt").write_text(repr(given)[:100_000])

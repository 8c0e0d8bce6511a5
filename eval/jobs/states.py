"""The life of a job: which state may follow which, and what the end of its process means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

__all__ = ["ENDED", "FOLLOWS", "KINDS", "STATES", "VERDICTS", "End", "Kind", "State", "end_of"]

Kind: TypeAlias = Literal["evaluation", "audit", "comparison", "gate"]
State: TypeAlias = Literal["queued", "running", "cancelling", "done", "failed", "cancelled"]

KINDS: tuple[Kind, ...] = get_args(Kind)
STATES: tuple[State, ...] = get_args(State)
FOLLOWS: Mapping[State, frozenset[State]] = {
    "queued": frozenset({"running", "failed", "cancelled"}),
    "running": frozenset({"queued", "cancelling", "done", "failed"}),  # queued again: it goes on later
    "cancelling": frozenset({"cancelled"}),
    "done": frozenset(),
    "failed": frozenset(),
    "cancelled": frozenset(),
}
ENDED = frozenset(state for state, after in FOLLOWS.items() if not after)

# What the command line says with its exit code; a gate says more.
_VERDICTS: Mapping[int, str] = {0: "valid", 3: "not valid"}
_GATES: Mapping[int, str] = {0: "pass", 1: "fail", 2: "could not be asked", 3: "inconclusive"}
VERDICTS = (*_VERDICTS.values(), *_GATES.values())


@dataclass(frozen=True, slots=True)
class End:
    """What became of one run of the command.

    Attributes:
        state: `done`, `failed`, or `queued` where it is worth another try.
        verdict: of a job that is done.
        why: of one that is not.
    """

    state: State
    verdict: str | None = None
    why: str | None = None


def end_of(kind: Kind, code: int, *, reported: bool, tail: list[str], attempts: int, most: int) -> End:
    """What the end of a process means for its job.

    Args:
        code: exit code; the negative number of the signal that ended it.
        reported: whether a report was written.
        tail: last lines of its stderr.
        attempts: how many times it was started, this time included.
        most: attempts a job has.
    """
    verdicts = _GATES if kind == "gate" else _VERDICTS
    if reported and code in verdicts:
        return End("done", verdict=verdicts[code])
    told = [at for at, line in enumerate(tail) if line.startswith("Error: ")]
    if told and code in (1, 2):  # our own words: another try would say the same
        return End("failed", why=" ".join(tail[told[-1] :]).removeprefix("Error: "))
    said = tail[-1].strip() if tail else "nothing on stderr"
    how = f"signal {-code}" if code < 0 else f"exit code {code}"
    if attempts < most:
        return End("queued", why=f"crashed ({how}); tried again")
    return End("failed", why=f"crashed {attempts} times, the last time with {how}: {said}")

"""What may be wrong with a network, and how a run must end then.

Bytes changed on the way are among them, in pixels and in numbers too: bodies have digests. Heads have none:
what is changed there ends in an error, or in the same answers, as chance will have it.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import partial

from tests.faults.deeds import Fault

__all__ = ["CASES", "LONG_S", "Case", "Ends"]

ANSWERED, SENT = (300, 2000), (1000, 4000)  # bytes; a connection has more in every run of the tests
BRIEF_S, SHORT_S, LONG_S = 0.1, 0.4, 10.0  # until an attempt is given up
LOOKS = 2  # connections on which the service is only looked at, before the first picture
FEW = 4  # one less than a request has attempts, so each has its answer in the end


class Ends(Enum):
    """How a run ends."""

    SAME = "the bytes of a clean run"
    TOLD = "an error in words, or a report that is not valid"
    EITHER = "the same or told: it depends on which request was struck"


@dataclass(frozen=True, slots=True)
class Case:
    """One fault.

    Attributes:
        evaluation, audit: how they must end.
        timeout_s: of an attempt.
        seeds: how many are worth trying.
    """

    name: str
    fault: Fault
    evaluation: Ends = Ends.SAME
    audit: Ends = Ends.SAME
    timeout_s: float = LONG_S
    seeds: int = 3

    def ends(self, run: str) -> Ends:
        """How that run must end."""
        return self.evaluation if run == "evaluation" else self.audit


asking = partial(Fault, first=LOOKS)
answered, sent = partial(asking, at=ANSWERED), partial(asking, upward=True, at=SENT)
goes_on = partial(Case, timeout_s=SHORT_S, seeds=1)
told = partial(Case, evaluation=Ends.TOLD, audit=Ends.TOLD)
silent = partial(told, timeout_s=BRIEF_S, seeds=1)
either = partial(Case, evaluation=Ends.EITHER, audit=Ends.EITHER, timeout_s=SHORT_S)

CASES: tuple[Case, ...] = (
    # Everything arrives, in its time.
    Case("every answer late, unevenly", Fault("late", seconds=0.002)),
    Case("every request late, unevenly", Fault("late", upward=True, seconds=0.002)),
    Case("a narrow way for answers", Fault("slow", seconds=2e-6)),
    Case("a narrow way for requests", Fault("slow", upward=True, seconds=2e-6)),
    Case("answers seven bytes at a time", Fault("pieces")),
    Case("requests seven bytes at a time", sent("pieces"), seeds=1),
    Case("every answer stalls once", answered("stall", seconds=0.05)),
    Case("every request stalls once", sent("stall", seconds=0.05)),
    Case("every request on two connections", Fault("twice", upward=True)),
    # Something is lost, and asked for again.
    goes_on("stalls longer than an attempt", answered("stall", seconds=1, most=2)),
    goes_on("requests that stall longer than an attempt", sent("stall", seconds=1, most=2)),
    goes_on("answers that drip", answered("pieces", seconds=0.05, most=2)),
    goes_on("answers that vanish", answered("hole", most=2)),
    goes_on("requests that vanish", sent("hole", most=2)),
    Case("connections refused, the first ones too", Fault("refused", most=FEW)),
    Case("resets of new connections", asking("reset", most=FEW)),
    Case("resets at the first look", Fault("reset", most=FEW)),
    Case("resets between requests", asking("idle", most=FEW)),
    Case("resets in answers", answered("reset", most=FEW)),
    Case("resets in requests", sent("reset", most=FEW)),
    Case("answers cut off", answered("cut", most=FEW)),
    Case("requests cut off", sent("cut", most=FEW)),
    Case("the answers' way closed", answered("half", most=FEW)),
    Case("the requests' way closed", sent("half", most=FEW)),
    # What comes is not what was said.
    Case("every answer twice", asking("again")),
    Case("answers to each other's requests", asking("swapped", seconds=0.005, most=FEW)),
    Case("answers shortened, and their lengths", asking("short", most=FEW)),
    Case("a gateway's page in an answer's place", answered("page", most=1), audit=Ends.EITHER),
    Case("garbage over an answer", answered("overwritten", most=1), audit=Ends.EITHER),
    Case("garbage in an answer", answered("inserted", most=1), audit=Ends.EITHER),
    Case("garbage over every request's end", sent("overwritten")),
    either("garbage over a request", sent("overwritten", most=1)),
    either("garbage in a request", sent("inserted", most=1)),
    either("another bit in an answer", answered("flipped")),
    either("another bit in a request", sent("flipped")),
    either("another digit in an answer", answered("digit")),
    either("another digit in a request", sent("digit")),
    either("gateway's pages now and then", answered("page", most=FEW)),
    either("resets in every connection", answered("reset")),
    either(
        "black holes, one after the other", asking("hole", at=(1000, 2000), most=6), timeout_s=0.05, seeds=1
    ),
    # It stays so.
    told("resets for good", asking("reset")),
    told("cut off for good", asking("cut", at=(10, 100))),
    told("closed for good", asking("half", at=(10, 100))),
    told("a gateway's pages for good", asking("page")),
    told("garbage for good", asking("inserted")),
    silent("a black hole", asking("hole")),
    silent("a black hole from the first byte", Fault("hole")),
    told("connections refused", Fault("refused"), seeds=1),
    told("resets from the first byte", Fault("reset"), seeds=1),
    told("a gateway's pages from the first byte", Fault("page"), seeds=1),
)

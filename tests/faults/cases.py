"""What may be wrong with a network, and how a run must end then.

Not among them: bytes changed on the way inside a picture's pixels or inside a number, with lengths and JSON
left whole. TCP and TLS have checksums against that, and whoever asks here relies on them. A PNG has one too;
the raw pixels of an audit have none, so garbage in its requests may go unnoticed.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from functools import partial

from tests.faults.deeds import Fault

__all__ = ["CASES", "LONG_S", "Case", "Ends"]

ANSWERED, SENT = (300, 2000), (1000, 4000)  # bytes; a connection has more in every run of the tests
SHORT_S, LONG_S = 0.4, 10.0  # until an attempt is given up
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
        evaluation, audit: how they must end; None where nothing is promised.
        timeout_s: of an attempt.
        seeds: how many are worth trying.
        look_s: until the service is given up that is only looked at.
    """

    name: str
    fault: Fault
    evaluation: Ends | None = Ends.SAME
    audit: Ends | None = Ends.SAME
    timeout_s: float = LONG_S
    seeds: int = 3
    look_s: float = LONG_S

    def ends(self, run: str) -> Ends | None:
        """How that run must end."""
        return self.evaluation if run == "evaluation" else self.audit


asking = partial(Fault, first=LOOKS)
answered, sent = partial(asking, at=ANSWERED), partial(asking, upward=True, at=SENT)
goes_on = partial(Case, timeout_s=SHORT_S, seeds=1)
told = partial(Case, evaluation=Ends.TOLD, audit=Ends.TOLD)
silent = partial(told, timeout_s=0.03, seeds=1)
either = partial(Case, evaluation=Ends.EITHER, audit=Ends.EITHER)

CASES: tuple[Case, ...] = (
    # Everything arrives, in its time.
    Case("every answer late, unevenly", Fault("late", seconds=0.002)),
    Case("every request late, unevenly", Fault("late", upward=True, seconds=0.002)),
    Case("answers seven bytes at a time", Fault("pieces")),
    Case("requests seven bytes at a time", sent("pieces"), seeds=1),
    Case("every answer stalls once", answered("stall", seconds=0.05)),
    Case("every request on two connections", Fault("twice", upward=True)),
    # Something is lost, and asked for again.
    goes_on("stalls longer than an attempt", answered("stall", seconds=1, most=2)),
    goes_on("answers that drip", answered("pieces", seconds=0.05, most=2)),
    goes_on("answers that vanish", answered("hole", most=2)),
    goes_on("requests that vanish", sent("hole", most=2)),
    Case("resets of new connections", asking("reset", most=FEW)),
    Case("resets in answers", answered("reset", most=FEW)),
    Case("resets in requests", sent("reset", most=FEW)),
    Case("answers cut off", answered("cut", most=FEW)),
    Case("requests cut off", sent("cut", most=FEW)),
    Case("the answers' way closed", answered("half", most=FEW)),
    Case("the requests' way closed", sent("half", most=FEW)),
    Case("every answer twice", asking("again")),
    # What comes cannot be read: an evaluation asks again picture by picture, an audit says so.
    Case("a gateway's page in an answer's place", answered("page", most=1), audit=Ends.EITHER),
    Case("garbage over an answer", answered("overwritten", most=1), audit=Ends.EITHER),
    Case("garbage in an answer", answered("inserted", most=1), audit=Ends.EITHER),
    Case("garbage in a request", sent("inserted", most=1), Ends.EITHER, None),
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
    silent("a black hole from the first byte", Fault("hole"), look_s=0.3),
    told("resets from the first byte", Fault("reset"), seeds=1),
    told("a gateway's pages from the first byte", Fault("page"), seeds=1),
)

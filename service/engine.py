"""Runs models off the event loop: one bounded queue a model, a few slots for all of them.

All bookkeeping is on the event loop, so nothing here needs a lock. A slot is a thread that takes one
batch at a time: it decodes, prepares, runs and interprets, and onnxruntime and the decoders let the
loop go on meanwhile.
"""

from __future__ import annotations

import asyncio
import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service.batcher import Item, Outcome, Rows
from service.errors import NotReady, Overloaded, TooLate
from service.registry import Live
from service.settings import ServiceSettings
from service.slot import run_batch

__all__ = ["Engine", "Piece"]

TELL_S = 0.2
# Handing over to a thread and back costs a quarter of a millisecond, and two threads that both want
# the interpreter cost each other more. What takes little more than that is run on the loop itself.
AT_ONCE_S = 0.001
# A slot that ends finds its next batch in front of it, instead of waiting for the loop to have a turn.
AHEAD = 1


@dataclass(slots=True)
class Piece:
    """A part of a request.

    Attributes:
        load: makes its rows.
        count: images in it.
        light: small enough to be decoded and prepared in well under a millisecond.
    """

    load: Callable[[], Rows]
    count: int = 1
    light: bool = False


class _Ticket:
    """One request on its way: its items' outcomes, and the future its handler waits for."""

    def __init__(self, count: int, gone: Callable[[], bool], loop: asyncio.AbstractEventLoop) -> None:
        self.future: asyncio.Future[list[Outcome]] = loop.create_future()
        self._outcomes: list[Outcome | None] = [None] * count
        self._left, self._gone = count, gone

    def wanted(self) -> bool:
        return not (self.future.done() or self._gone())

    def settle(self, item: Item, outcome: Outcome | Exception) -> None:
        if self.future.done():
            return
        if isinstance(outcome, Exception):
            self.future.set_exception(outcome)
            return
        self._outcomes[item.place] = outcome
        self._left -= 1
        if not self._left:
            self.future.set_result([o for o in self._outcomes if o is not None])

    def give_up(self) -> None:
        if not self.future.done():
            self.future.set_exception(TooLate("the answer was not there in time"))


class Engine:
    """Slots and queues. `run` is called on the event loop; a slot works on a thread of its own."""

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._free = settings.runs  # below 0: batches that wait ahead
        self._lanes: dict[Live, None] = {}  # those with something waiting, in order of arrival
        self._busy: dict[Live, None] = {}  # those with a batch that runs or waits ahead
        self._batches: queue.SimpleQueue[tuple[Live, list[Item]] | None] = queue.SimpleQueue()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._pumping = False
        self._told: set[Live] = set()  # those whose gauge will be set soon
        self._threads = [
            threading.Thread(target=self._slot, name=f"slot-{i}", daemon=True) for i in range(settings.runs)
        ]
        for thread in self._threads:
            thread.start()

    async def run(
        self,
        live: Live,
        pieces: Sequence[Piece],
        *,
        deadline: float,
        gone: Callable[[], bool] = bool,
        interpret: bool = True,
    ) -> list[Outcome]:
        """The outcome of each piece, same order.

        Args:
            deadline: when nobody needs the answer any more, in `time.monotonic()`.
            gone: True once the client has left.
            interpret: whether answers are wanted beside the graph's outputs.

        Raises:
            ServiceError: what a piece raised, 429 when there is no room or no time, 503 or 504 when late.
        """
        loop = self._loop = asyncio.get_running_loop()
        now = time.monotonic()
        count = sum(piece.count for piece in pieces)
        if live.queue.is_short(count, AT_ONCE_S) and all(piece.light for piece in pieces):
            return _run_at_once(live, pieces, now, deadline, interpret)
        self.admit(live, count, deadline)
        ticket = _Ticket(len(pieces), gone, loop)
        live.queue.offer(
            [
                Item(p.load, p.count, deadline, ticket.wanted, ticket.settle, interpret, place)
                for place, p in enumerate(pieces)
            ],
            now,
        )
        self._lanes[live] = None
        self._pump_soon(loop)
        self._tell_soon(live, loop)
        timer = loop.call_later(max(0.0, deadline - now), ticket.give_up)
        try:
            return await ticket.future
        finally:
            timer.cancel()

    def admit(self, live: Live, count: int, deadline: float) -> None:
        """Refuse what cannot be answered in time: better at once than late.

        Raises:
            Overloaded: no room in the queue, or more waits than can be run before the deadline.
        """
        if not live.queue.has_room(count):
            raise Overloaded(f"{live.queue.waiting} images wait for this model, no more may; try again soon")
        own_s = live.queue.image_s * count
        waits_s = sum(lane.queue.backlog_s for lane in {*self._lanes, *self._busy}) / self._settings.runs
        if self._lanes and time.monotonic() + waits_s + own_s > deadline:
            raise Overloaded(f"what waits takes {waits_s:.1f} s, longer than there is time; try again soon")

    def _tell_soon(self, live: Live, loop: asyncio.AbstractEventLoop) -> None:
        """Set the gauge of a queue a few times a second at most, and once more when it is empty."""
        if live not in self._told:
            self._told.add(live)
            loop.call_later(TELL_S, self._tell, live, loop)

    def _tell(self, live: Live, loop: asyncio.AbstractEventLoop) -> None:
        self._told.discard(live)
        live.meters.queue.set(live.queue.waiting)
        if live.queue.waiting:
            self._tell_soon(live, loop)

    def _pump_soon(self, loop: asyncio.AbstractEventLoop) -> None:
        """Once a turn of the loop, so that what arrives together is batched together."""
        if not self._pumping:
            self._pumping = True
            loop.call_soon(self._pump)

    def _pump(self) -> None:
        self._pumping = False
        now = time.monotonic()
        for lane in sorted(self._lanes, key=lambda lane: lane.queue.oldest):
            while lane.queue.due(now) and self._takes(lane):
                self._hand_over(lane, now)
            if not lane.queue.waiting:
                del self._lanes[lane]
        if self._free > 0 and self._lanes and self._loop is not None:  # somebody waits for company
            wait = min(lane.queue.oldest + lane.queue.delay_s for lane in self._lanes) - now
            self._loop.call_later(max(wait, 0.0005), self._pump)

    def _takes(self, lane: Live) -> bool:
        """Whether a batch may be handed over; ahead of a free slot only one that waiting would not grow."""
        return self._free > 0 or (self._free > -AHEAD and lane.queue.has_full)

    def _hand_over(self, lane: Live, now: float) -> None:
        batch = lane.queue.take(now, max(1, self._free))
        if batch:
            self._free -= 1
            self._busy[lane] = None
            lane.queue.running += sum(item.count for item in batch)
            self._batches.put((lane, batch))

    def _slot(self) -> None:
        while (job := self._batches.get()) is not None:
            settled, busy_s = _run(*job)
            if self._loop is None:
                raise RuntimeError("a batch was taken before there was a loop")
            try:
                self._loop.call_soon_threadsafe(self._finish, *job, settled, busy_s)
            except RuntimeError:  # the loop is closed: nobody waits any more
                return

    def _finish(
        self, live: Live, batch: list[Item], settled: list[Outcome | Exception], busy_s: float
    ) -> None:
        """A slot is free again. Settling comes first: a failure makes other pieces unwanted."""
        self._free += 1
        live.queue.running -= sum(item.count for item in batch)
        if not live.queue.running:
            del self._busy[live]
        live.note(batch, settled, busy_s)
        for item, outcome in zip(batch, settled, strict=True):
            item.settle(item, outcome)
        self._pump()

    def close(self) -> None:
        """Let what runs end; start nothing that waits."""
        for lane in self._lanes:
            lane.queue.clear(NotReady("the service is stopping"))
        for _ in self._threads:
            self._batches.put(None)
        for thread in self._threads:
            thread.join()


def _run(live: Live, batch: list[Item]) -> tuple[list[Outcome | Exception], float]:
    """The outcomes of a batch, and the seconds it kept its slot busy."""
    began = time.monotonic()
    if live.predictor is None:
        raise RuntimeError(f"{live.card.name} was chosen before it was ready")
    try:
        settled = run_batch(live.predictor, batch, began)
    except Exception as error:  # no memory for the batch, say: its clients are told, and the slot lives on
        settled = [error] * len(batch)
    return settled, time.monotonic() - began


def _run_at_once(
    live: Live, pieces: Sequence[Piece], now: float, deadline: float, interpret: bool
) -> list[Outcome]:
    """Without a queue, a thread or a future. Raises what the first failed piece raised."""
    batch = [Item(p.load, p.count, deadline, _yes, _nothing, interpret, queued_at=now) for p in pieces]
    settled, busy_s = _run(live, batch)
    live.note(batch, settled, busy_s)
    outcomes: list[Outcome] = []
    for outcome in settled:
        if isinstance(outcome, Exception):
            raise outcome
        outcomes.append(outcome)
    return outcomes


def _yes() -> bool:
    return True


def _nothing(_item: Item, _outcome: Outcome | Exception) -> None:
    """Nobody waits apart."""

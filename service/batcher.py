"""One model's queue: bounded, in order, expired first out, nobody's work run for nothing.

Only what waits is batched: when a slot is free it takes what is there. Nothing here knows threads
or clocks; the engine calls everything on the event loop and says what time it is.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from models.results import Array, Result, Shape
from service.errors import Expired, Overloaded, ServiceError

__all__ = ["Batcher", "Item", "Outcome", "Rows", "Stages"]

SMOOTHING = 0.2  # weight of the newest batch in the running mean
FORGETTING = 1.02  # a least time that is not met again grows by this much a batch


# Made for every picture, so not frozen: a frozen one takes three times as long to make.
@dataclass(slots=True)
class Rows:
    """What one item puts into a batch.

    Attributes:
        tensor: `(n, ...)` in the graph's layout and type.
        shapes: (H, W) of each of the n images as sent.
        decode_s, prepare_s: seconds it took to get there.
        foreign: the client made the tensor, so what the graph cannot run is the client's.
    """

    tensor: Array
    shapes: list[Shape]
    decode_s: float = 0.0
    prepare_s: float = 0.0
    foreign: bool = False


@dataclass(slots=True)
class Stages:
    """Seconds one item spent, and the images it shared its run with."""

    queue: float
    decode: float
    prepare: float
    infer: float
    interpret: float
    batch: int


@dataclass(slots=True)
class Outcome:
    """What came of one item.

    Attributes:
        outputs: the graph's outputs, each `(n, ...)`, in the card's order.
        answers: one result an image, where they were asked for.
    """

    outputs: list[Array]
    answers: list[Result]
    stages: Stages


@dataclass(slots=True, eq=False)
class Item:
    """A piece of one request that is run as a whole: one picture, or the rows of one tensor.

    Attributes:
        load: makes its rows; called on a slot's thread.
        count: images in it.
        deadline: when nobody waits for it any more, in the engine's time.
        wanted: False once the client left or another piece of the request failed.
        settle: takes the outcome or the error; called on the event loop.
    """

    load: Callable[[], Rows]
    count: int
    deadline: float
    wanted: Callable[[], bool]
    settle: Callable[[Item, Outcome | Exception], None]
    interpret: bool = True
    place: int = 0
    queued_at: float = 0.0


@dataclass(slots=True, eq=False)
class Batcher:
    """The queue of one live version.

    Attributes:
        max_batch: most images in one run.
        max_waiting: most images in the queue; a request that finds it empty may always wait.
        batch_s: a batch takes no more images than are run in this time.
        delay_s: how long the first image may wait for others.
        waiting, running: images in the queue; images taken and not finished, as the engine says.
        image_s: running mean of a slot's seconds for one image; 0 until something ran.
        least_s: the least of the latest ones: what an image costs when nothing else disturbs.
    """

    max_batch: int
    max_waiting: int
    batch_s: float
    delay_s: float = 0.0
    image_s: float = 0.0
    least_s: float = 0.0
    waiting: int = 0
    running: int = 0
    _queue: deque[Item] = field(default_factory=deque)

    def offer(self, items: list[Item], now: float) -> None:
        """Put a request's items at the end, all or none.

        Raises:
            Overloaded: there is no room.
        """
        count = sum(item.count for item in items)
        if not self.has_room(count):
            raise Overloaded(
                f"{self.waiting} images wait for this model, at most {self.max_waiting} may; try again soon"
            )
        for item in items:
            item.queued_at = now
            self._queue.append(item)
        self.waiting += count

    def has_room(self, count: int) -> bool:
        """Whether a request of so many images may wait."""
        return not self._queue or self.waiting + count <= self.max_waiting

    @property
    def backlog_s(self) -> float:
        """Seconds one slot would need for everything that waits or is being run."""
        return (self.waiting + self.running) * self.image_s

    @property
    def oldest(self) -> float:
        """When the first item came; infinity where nothing waits."""
        return self._queue[0].queued_at if self._queue else math.inf

    def due(self, now: float) -> bool:
        """Whether a batch may be taken: enough wait for a full one, or the first waited long enough."""
        if not self._queue:
            return False
        return self.has_full or now - self._queue[0].queued_at >= self.delay_s

    @property
    def has_full(self) -> bool:
        """Whether a batch taken now would be no larger if it were taken later."""
        return self.waiting >= self._most()

    def is_short(self, count: int, most_s: float) -> bool:
        """Whether nothing waits and so many images are known to be run in less than this time."""
        return not self._queue and 0 < self.least_s * count <= most_s

    def _most(self) -> int:
        """Images in a batch: what the graph takes, cut to what is run in `batch_s`."""
        return (
            self.max_batch
            if self.image_s <= 0
            else max(1, min(self.max_batch, int(self.batch_s / self.image_s)))
        )

    def take(self, now: float, slots: int = 1) -> list[Item]:
        """The next batch for one of `slots` free slots; what expired or is not wanted falls out first.

        The others get their share, so that a short queue is spread over the cores.
        """
        limit = min(self._most(), math.ceil(self.waiting / max(1, slots)))
        batch: list[Item] = []
        count = 0
        while self._queue:
            item = self._queue[0]
            if not item.wanted():
                self._drop(Expired("nobody waits for the answer any more"))
            elif item.deadline <= now:
                self._drop(Expired("the time of the request was over before its turn came"))
            elif batch and count + item.count > limit:
                break
            else:
                batch.append(self._pop())
                count += item.count
        return batch

    def _pop(self) -> Item:
        item = self._queue.popleft()
        self.waiting -= item.count
        return item

    def _drop(self, error: ServiceError) -> None:
        item = self._pop()
        item.settle(item, error)

    def learn(self, seconds: float, images: int) -> None:
        """Note how long a slot was busy with a batch."""
        each = seconds / max(1, images)
        self.least_s = min(each, self.least_s * FORGETTING) if self.least_s else each
        self.image_s = each if self.image_s == 0 else self.image_s + SMOOTHING * (each - self.image_s)

    def clear(self, error: Exception) -> None:
        """Settle everything that waits with one error."""
        while self._queue:
            item = self._pop()
            item.settle(item, error)

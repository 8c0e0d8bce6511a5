"""The one driver of all attacks: many dialogues, full batches, honest books.

Pictures that all dialogues want to ask about are merged into full batches, several under way at
once; a dialogue goes on as soon as its own answers are in. Its result depends on nothing but its
own answers, so batching, concurrency and order change nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from eval.attacks.base import Attack, Goal, Threat, draws
from eval.attacks.book import Book, Kept, Turn
from eval.attacks.results import AttackResult, Outcome, result_of
from eval.attacks.talk import Talk
from eval.endpoint import Endpoint
from eval.errors import BudgetExceeded, EndpointError, EvalError
from eval.silence import Silence, answered
from models.results import Array, Result

__all__ = ["Limits", "Progress", "attack_all"]

MEMORY = 400_000_000  # bytes that dialogues under way may hold
LEAST = 16  # pictures of a request, where there are more
VERDICT = 200  # bytes of one that is remembered

Slot: TypeAlias = tuple[Talk, int]
Ended: TypeAlias = tuple[int, Outcome]
Asked: TypeAlias = list[tuple[Slot, Result | None]]  # None: no answer


@dataclass(frozen=True, slots=True)
class Progress:
    """Where a wave stands; `queries` are those of this process."""

    attack: str
    samples: int
    finished: int
    fooled: int
    queries: int


@dataclass(frozen=True, slots=True)
class Limits:
    """What an attack may cost and how hard it may press.

    Attributes:
        budget: images asked about per sample; the clean one and the final check are among them.
        batch: images in one request.
        in_flight: requests under way at once.
    """

    budget: int
    batch: int = 64
    in_flight: int = 4


async def attack_all(
    attack: Attack,
    endpoint: Endpoint[Any],
    images: Sequence[Array],
    goals: Sequence[Goal],
    *,
    threat: Threat,
    limits: Limits,
    seed: int,
    samples: Sequence[str] | None = None,
    progress: Callable[[Progress], None] | None = None,
    book: Book | None = None,
) -> AttackResult:
    """Attack every image; the result is the same for any batch, concurrency and order of answers.

    Args:
        images: uint8 RGB `(H, W, 3)`, any sizes; read when they are wanted.
        goals: what is wanted of each.
        samples: an id for each image, part of the key of its draws; its position by default.
        progress: told after every request.
        book: what it holds is not asked again, and what is told is written into it.

    Raises:
        BudgetExceeded: under 3 queries a sample.
        EndpointError: nobody answers any more; what was told before is in the book.
        ValueError: images, goals and samples are not equally many, or the attack cannot keep to the threat
            or be sent toward a class.
    """
    if threat.norm not in attack.norms:
        raise ValueError(
            f"the threat of {attack.name} must be {' or '.join(attack.norms)}, got {threat.norm}"
        )
    if limits.budget < 3:
        raise BudgetExceeded(f"every sample needs at least 3 queries, got {limits.budget}")
    names = list(samples) if samples is not None else [str(i) for i in range(len(images))]
    if not len(images) == len(goals) == len(names):
        raise ValueError(f"images, goals and samples must be equally many, got {len(images)}, {len(goals)}")
    wanted = "; ".join(dict.fromkeys(goal.name for goal in goals))
    if wanted == "targeted" and not attack.targeted:
        raise ValueError(f"{attack.name} cannot be sent toward a class")
    kept = Kept() if book is None else book

    def begun(place: int) -> Talk:
        image, goal, draw = images[place], goals[place], draws(seed, names[place], attack.name)
        return Talk(
            place=place,
            image=image,
            goal=goal,
            dialogue=attack.run(image, goal, threat, draw, limits.budget - 2),
            threat=threat,
            budget=attack.most(limits.budget),  # claims that do not hold are checked out of it, too
            minimises=attack.minimises,
            known=deque(kept.turns(place)),
        )

    ended = kept.ended()
    places = [place for place in range(len(images)) if place not in ended]
    wave = _Wave(attack, endpoint, begun, places, limits, kept)
    await wave.run(lambda: progress and progress(wave.progress(len(images))))
    return result_of(attack.name, wanted, threat, *kept.columns())


class _Wave:
    """Keeps requests full and under way until every talk is over."""

    def __init__(
        self,
        attack: Attack,
        endpoint: Endpoint[Any],
        begun: Callable[[int], Talk],
        places: Iterable[int],
        limits: Limits,
        book: Book,
    ) -> None:
        self._attack, self._endpoint, self._begun = attack, endpoint, begun
        self._places, self._limits, self._book = deque(places), limits, book
        self._waiting: deque[Slot] = deque()
        self._live = self._held = 0  # dialogues under way, and bytes that they hold
        self._queries = 0
        self._fooled = sum(row.fooled for row in book.columns()[0])
        self._silence = Silence()

    def progress(self, samples: int) -> Progress:
        finished = samples - len(self._places) - self._live
        return Progress(self._attack.name, samples, finished, self._fooled, self._queries)

    async def run(self, tell: Callable[[], object]) -> None:
        tasks: set[asyncio.Task[Asked]] = set()
        try:
            while True:
                self._admit()
                while self._waiting and len(tasks) < self._limits.in_flight:
                    taken = self._take(self._limits.in_flight - len(tasks))
                    tasks.add(asyncio.create_task(self._request(taken)))
                if not tasks:
                    return
                done, tasks = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                self._hear([one for task in done for one in task.result()])
                tell()
                self._silence.end()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _admit(self) -> None:
        """Begin dialogues while there is memory for them."""
        while self._places and (not self._live or self._held < MEMORY):
            talk = self._begun(self._places.popleft())
            self._live += 1
            self._held += self._cost(talk)
            if ended := self._proceed(talk, talk.begin()):  # all it asks is known
                self._book.note([], [ended])

    def _cost(self, talk: Talk) -> int:
        return self._attack.held * talk.image.nbytes + VERDICT * talk.budget

    def _proceed(self, talk: Talk, slots: list[int]) -> Ended | None:
        """Lead a dialogue through the turns that are known; what it came to if it is over."""
        while slots and talk.known:
            told = talk.known.popleft()
            if len(told) != len(slots):  # it was another release's attack, or the record is damaged
                raise EvalError(f"what was recorded of {self._attack.name} is not what it asks now; run anew")
            for slot, verdict in zip(slots, told, strict=True):
                talk.put(slot, verdict)
            slots = talk.turn()
        if not talk.over:
            self._waiting.extend((talk, slot) for slot in slots)
            return None
        self._live -= 1
        self._held -= self._cost(talk)
        outcome = talk.outcome()
        self._fooled += outcome.facts.fooled
        return talk.place, outcome

    def _take(self, requests: int) -> list[Slot]:
        """The next request of so many: while little waits all are kept busy, but not with crumbs."""
        even = max(-(-len(self._waiting) // requests), LEAST)
        count = min(even, self._limits.batch, len(self._waiting))
        taken = [self._waiting.popleft() for _ in range(count)]
        return [(talk, slot) for talk, slot in taken if not talk.over]

    async def _request(self, batch: list[Slot]) -> Asked:
        self._queries += len(batch)
        pictures = [talk.asking[slot] for talk, slot in batch]
        return list(zip(batch, await answered(self._endpoint.predict, pictures, self._silence), strict=True))

    def _hear(self, told: Asked) -> None:
        """Judge answers, write them down, and let those go on whose turn is complete."""
        turns: list[Turn] = []
        complete: list[tuple[Talk, list[int]]] = []
        for (talk, slot), answer in told:
            if talk.over:
                continue
            if answer is None or not _understood(talk, slot, answer):
                talk.fail()
                complete.append((talk, []))
            elif talk.complete:
                news = talk.news()
                complete.append((talk, talk.turn()))
                if not talk.over:  # an outcome is written down instead
                    turns.append((talk.place, news))
        proceeded = [self._proceed(talk, slots) for talk, slots in complete]
        self._book.note(turns, [ended for ended in proceeded if ended is not None])


def _understood(talk: Talk, slot: int, answer: Result) -> bool:
    """Note an answer; False where it is none to that picture: a map of another size, say."""
    try:
        talk.told(slot, answer)
    except EndpointError:
        return False
    return True

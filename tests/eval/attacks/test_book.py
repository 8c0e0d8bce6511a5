"""A wave that was cut off anywhere goes on to the very same end."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress

import numpy as np
import pytest

from eval.attacks import wave
from eval.attacks.base import Attack, Threat, Verdict
from eval.attacks.book import Columns, Kept, Turn
from eval.attacks.goals.classification import untargeted
from eval.attacks.results import AttackResult, Outcome
from eval.attacks.tables import ATTACKS
from eval.attacks.wave import Limits, attack_all
from eval.errors import EndpointError
from models.results import Array, Classification
from tests.doubles import LinearEndpoint
from tests.eval.attacks.test_contract import SHAPE, pictures, right_labels, same, usual

EACH = pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)


class Remembered:
    """A book that keeps everything, however the process ends."""

    def __init__(self) -> None:
        self.kept, self.told = Kept(), dict[int, list[Sequence[Verdict]]]()

    def ended(self) -> Collection[int]:
        return {place for place, row in self.kept.outcomes.items() if not row.facts.error}

    def turns(self, place: int) -> Iterable[Sequence[Verdict]]:
        return list(self.told.get(place, []))

    def note(self, turns: Sequence[Turn], outcomes: Sequence[tuple[int, Outcome]]) -> None:
        for place, verdicts in turns:
            self.told.setdefault(place, []).append(verdicts)
        self.kept.note([], outcomes)

    def columns(self) -> Columns:
        return self.kept.columns()


class Until(LinearEndpoint):
    """Is gone after so many requests."""

    def __init__(self, requests: int) -> None:
        super().__init__(SHAPE, gain=0.05)
        self.most = requests

    async def predict(self, images: Sequence[Array]) -> list[Classification]:
        if self.requests >= self.most:
            raise EndpointError("gone")
        return await super().predict(images)


def told(attack: Attack, endpoint: Until, book: Remembered | None = None) -> AttackResult:
    images = pictures(5)
    goals = untargeted(right_labels(endpoint, images))
    limits = Limits(budget=60, batch=3, in_flight=2)
    return asyncio.run(
        attack_all(attack, endpoint, images, goals, threat=usual(attack), limits=limits, seed=0, book=book)
    )


@EACH
def test_cut_off_again_and_again(attack: Attack) -> None:
    whole, book, asked = Until(10**9), Remembered(), 0
    expected = told(attack, whole)
    for requests in (1, 4, 9, 10**9):
        endpoint = Until(requests)
        with suppress(EndpointError):
            result = told(attack, endpoint, book)
        asked += len(endpoint.asked)
    same(expected, result)
    assert asked <= len(whole.asked) + 3 * 2 * 4  # what was under way when it was cut off is asked again


@EACH
def test_what_is_ended_is_not_asked_again(attack: Attack) -> None:
    book = Remembered()
    expected = told(attack, Until(10**9), book)
    same(expected, told(attack, Until(0), book))


def test_few_dialogues_at_once_come_to_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Memory decides how many are under way; nothing else may depend on it."""
    expected = told(ATTACKS["square"], Until(10**9))
    monkeypatch.setattr(wave, "MEMORY", 1)
    same(expected, told(ATTACKS["square"], Until(10**9)))


def test_pictures_are_read_when_they_are_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[int] = []

    class Lazy(Sequence[Array]):
        def __len__(self) -> int:
            return 40

        def __getitem__(self, place: int) -> Array:  # type: ignore[override]
            read.append(place)
            return np.full(SHAPE, place, np.uint8)

    class Watching(LinearEndpoint):
        async def predict(self, images: Sequence[Array]) -> list[Classification]:
            ahead.append(len(read))
            return await super().predict(images)

    ahead: list[int] = []
    monkeypatch.setattr(wave, "MEMORY", 1)
    told = attack_all(
        ATTACKS["square"], Watching(SHAPE), Lazy(), untargeted([0] * 40), threat=Threat("linf", 8),
        limits=Limits(5), seed=0,
    )  # fmt: skip
    asyncio.run(told)
    assert ahead[0] == 1
    assert len(read) == 40

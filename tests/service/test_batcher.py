"""The queue: bounded, in order, expired first out, nobody's work run for nothing. No clock, no thread."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.batcher import Batcher, Item, Outcome, Rows
from service.errors import Expired, Overloaded, ServiceError


class Told:
    """Items and what was said to them."""

    def __init__(self) -> None:
        self.errors: dict[int, Exception] = {}

    def item(self, place: int, count: int = 1, deadline: float = 100.0, **named: Any) -> Item:
        def settle(item: Item, outcome: Outcome | Exception) -> None:
            assert isinstance(outcome, Exception)
            assert item.place not in self.errors
            self.errors[item.place] = outcome

        rows = Rows(np.zeros((count, 1)), [(1, 1)] * count)
        return Item(
            lambda: rows,
            count,
            deadline,
            named.get("wanted", lambda: True),
            settle,
            place=place,
        )


def places(batch: list[Item]) -> list[int]:
    return [item.place for item in batch]


def test_a_batch_is_what_waits_oldest_first() -> None:
    told, queue = Told(), Batcher(max_batch=4, max_waiting=10, batch_s=9)
    queue.offer([told.item(i) for i in range(6)], now=0)
    assert places(queue.take(1)) == [0, 1, 2, 3]
    assert places(queue.take(1)) == [4, 5]
    assert queue.take(1) == []
    assert queue.waiting == 0


def test_free_slots_share_what_waits() -> None:
    told, queue = Told(), Batcher(32, 32, 9)
    queue.offer([told.item(i) for i in range(6)], now=0)
    assert [len(queue.take(1, slots)) for slots in (3, 2, 1)] == [2, 2, 2]


def test_new_ones_are_refused_and_the_oldest_stay() -> None:
    told, queue = Told(), Batcher(4, 3, 9)
    queue.offer([told.item(i) for i in range(3)], now=0)
    with pytest.raises(Overloaded, match="at most 3"):
        queue.offer([told.item(3)], now=0)
    assert places(queue.take(1)) == [0, 1, 2]
    assert told.errors == {}


def test_a_request_larger_than_the_queue_may_wait_alone() -> None:
    told, queue = Told(), Batcher(4, 3, 9)
    queue.offer([told.item(i) for i in range(9)], now=0)
    with pytest.raises(Overloaded):
        queue.offer([told.item(9)], now=0)
    assert queue.waiting == 9


def test_expired_and_unwanted_fall_out_first() -> None:
    told, queue = Told(), Batcher(2, 9, 9)
    items = [
        told.item(0, deadline=5),
        told.item(1, wanted=lambda: False),
        told.item(2),
        told.item(3, deadline=5),
        told.item(4),
    ]
    queue.offer(items, now=0)
    assert places(queue.take(now=5)) == [2, 4]  # a deadline that is reached is over
    assert set(told.errors) == {0, 1, 3}
    assert all(isinstance(error, Expired) for error in told.errors.values())
    assert ["time" in str(told.errors[i]) for i in (0, 1, 3)] == [True, False, True]


def test_a_batch_takes_what_is_run_in_its_time() -> None:
    told, queue = Told(), Batcher(32, 99, batch_s=0.02)
    queue.learn(0.008, 2)  # 4 ms an image
    queue.offer([told.item(i) for i in range(20)], now=0)
    assert len(queue.take(1)) == 5
    queue.learn(10, 1)  # whatever it costs, one is taken
    assert len(queue.take(1)) == 1


def test_several_images_in_an_item_are_never_split() -> None:
    told, queue = Told(), Batcher(4, 99, 9)
    queue.offer([told.item(0, 3), told.item(1, 3), told.item(2, 1)], now=0)
    assert [places(queue.take(1)) for _ in range(2)] == [[0], [1, 2]]


def test_short_is_what_was_measured_and_waits_for_nobody() -> None:
    told, queue = Told(), Batcher(4, 99, 9)
    assert not queue.is_short(1, 1.0)  # nothing was measured yet
    queue.learn(0.001, 1)
    assert queue.is_short(2, 0.002)
    assert not queue.is_short(3, 0.002)
    queue.learn(0.1, 1)  # once disturbed is not slow for ever after
    assert queue.is_short(1, 0.002)
    for _ in range(100):
        queue.learn(0.1, 1)
    assert not queue.is_short(1, 0.002)
    queue.offer([told.item(0)], now=0)
    assert not queue.is_short(1, 10)


def test_the_first_waits_for_company_no_longer_than_it_may() -> None:
    told, queue = Told(), Batcher(3, 99, 9, delay_s=0.5)
    assert not queue.due(0)
    queue.offer([told.item(0)], now=0)
    assert not queue.due(0.49)
    assert queue.due(0.5)
    queue.offer([told.item(1), told.item(2)], now=0.1)
    assert queue.due(0.1)  # a full batch waits for nobody


def test_clearing_settles_everything() -> None:
    told, queue = Told(), Batcher(3, 99, 9)
    queue.offer([told.item(i) for i in range(3)], now=0)
    queue.clear(ServiceError("over"))
    assert set(told.errors) == {0, 1, 2}
    assert queue.waiting == 0


@given(
    st.lists(st.tuples(st.integers(1, 5), st.floats(0, 10), st.booleans()), max_size=40),
    st.integers(1, 8),
    st.lists(st.tuples(st.floats(0, 10), st.integers(1, 4)), max_size=40),
)
def test_nothing_is_lost_or_run_twice(
    offered: list[tuple[int, float, bool]], max_batch: int, takes: list[tuple[float, int]]
) -> None:
    told, queue = Told(), Batcher(max_batch, 30, 9)
    admitted, taken = [], []
    for place, (count, deadline, wanted) in enumerate(offered):
        try:
            queue.offer([told.item(place, count, deadline, wanted=lambda wanted=wanted: wanted)], now=0)
            admitted.append(place)
        except Overloaded:
            assert queue.waiting + count > 30
    for now, slots in takes:
        batch = queue.take(now, slots)
        assert sum(i.count for i in batch) <= max(max_batch, batch[0].count if batch else 0)
        assert all(item.deadline > now for item in batch)
        taken += places(batch)
    while queue.waiting:
        taken += places(queue.take(0))
    assert sorted([*taken, *told.errors]) == admitted
    assert taken == sorted(taken)

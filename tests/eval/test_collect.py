"""Who is asked what, and what is made of silence: which images have no answer depends on them alone."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self

import numpy as np
import pytest

from eval.collect import Asked, ask_all, asked, misfit
from eval.data.dataset import Dataset, Expected, Sample
from eval.errors import EndpointError, Gone, Refused
from eval.metrics.truth import Objects
from eval.silence import GIVE_UP
from models.results import Classification, Detections, Result, Segmentation

IMAGES = 40
Trouble = Callable[[Sequence[int]], None]


def load(place: int) -> Sample:
    return Sample(f"s{place}", b"%d" % place, place % 2)


DATA = Dataset("d", "classification", ("even", "odd"), [f"s{p}" for p in range(IMAGES)], load)


@dataclass
class Echo:
    """Answers every file by its number, the later ones of what is under way first."""

    trouble: Trouble = lambda places: None
    requests: list[list[int]] = field(default_factory=list)
    under_way: int = 0
    most: int = 0
    cancelled: int = 0

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    async def predict(self, images: Sequence[object]) -> list[Classification]:
        raise NotImplementedError

    async def predict_files(self, files: Sequence[bytes]) -> list[Classification]:
        places = [int(file) for file in files]
        self.requests.append(places)
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            for _ in range(1 + -places[0] % 7):
                await asyncio.sleep(0)
            self.trouble(places)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        finally:
            self.under_way -= 1
        return [Classification(np.array([1, place], np.float64)) for place in places]


def told(endpoint: Echo, batch: int = 4, concurrency: int = 3) -> list[Asked]:
    async def all_of_them() -> list[Asked]:
        answers = asked(endpoint, DATA, range(IMAGES), batch=batch, concurrency=concurrency)
        return [one async for some in answers for one in some]

    return asyncio.run(all_of_them())


def crash(*bad: int, error: type[EndpointError] = EndpointError) -> Trouble:
    def trouble(places: Sequence[int]) -> None:
        if found := sorted(set(places) & set(bad)):
            raise error(f"500 at {found[0]}" if len(places) == 1 else "500 for all of them")

    return trouble


@pytest.mark.parametrize(("batch", "concurrency"), [(1, 1), (4, 3), (7, 2), (64, 1), (1, 50)])
def test_everything_is_asked_once_and_answered_by_its_own(batch: int, concurrency: int) -> None:
    endpoint = Echo()
    answers = sorted(told(endpoint, batch, concurrency), key=lambda one: one.place)
    assert [one.place for one in answers] == list(range(IMAGES))
    for one in answers:
        assert isinstance(one.answer, Classification)
        assert (one.sample.id, one.answer.scores[1], one.error) == (f"s{one.place}", one.place, "")
        assert 0 <= one.seconds < 60
    assert sorted(p for places in endpoint.requests for p in places) == list(range(IMAGES))
    assert endpoint.most == min(concurrency, -(-IMAGES // batch))


@pytest.mark.parametrize("error", [EndpointError, Refused])
def test_an_image_that_gets_no_answer_takes_no_other_with_it(error: type[EndpointError]) -> None:
    bad = (5, 6, 21)
    seen = set()
    for batch in (1, 4, 16, 64):
        answers = told(Echo(crash(*bad, error=error)), batch)
        seen.add(tuple(sorted((one.place, one.error) for one in answers if one.answer is None)))
        assert len(answers) == IMAGES
    assert seen == {tuple((place, f"500 at {place}") for place in bad)}


@pytest.mark.parametrize("count", [0, 1, 5])
def test_another_number_of_answers_is_none(count: int) -> None:
    class Odd(Echo):
        async def predict_files(self, files: Sequence[bytes]) -> list[Classification]:
            answers = await super().predict_files(files)
            return (answers * 5)[:count] if len(files) > 1 else answers

    answers = told(Odd(), 4, 1)
    assert sorted(one.place for one in answers) == list(range(IMAGES))
    assert all(isinstance(a.answer, Classification) and a.answer.scores[1] == a.place for a in answers)


def test_eight_in_a_row_end_it_and_seven_do_not() -> None:
    seven = crash(*range(GIVE_UP - 1))
    assert sum(one.answer is None for one in told(Echo(seven), 1, 1)) == GIVE_UP - 1
    endpoint = Echo(crash(*range(GIVE_UP)))
    with pytest.raises(EndpointError, match=f"no answer can be had: 500 at {GIVE_UP - 1}$"):
        told(endpoint, 1, 1)
    assert endpoint.requests == [[place] for place in range(GIVE_UP)]


def test_refusals_are_no_silence() -> None:
    def trouble(places: Sequence[int]) -> None:
        raise Refused("415") if places == [GIVE_UP - 1] else EndpointError("500")

    with pytest.raises(EndpointError, match="no answer can be had"):  # seven, a refusal, and eight
        told(endpoint := Echo(trouble), 1, 1)
    assert len(endpoint.requests) == 2 * GIVE_UP
    assert sum(a.answer is None for a in told(Echo(crash(*range(20), error=Refused)), 1, 1)) == 20


def test_an_answer_in_between_begins_the_count_anew() -> None:
    bad = [place for place in range(IMAGES) if place % GIVE_UP != 3]
    assert sum(one.answer is None for one in told(Echo(crash(*bad)), 1, 1)) == len(bad)


def test_nothing_is_asked_of_who_is_gone() -> None:
    endpoint = Echo(crash(0, error=Gone))
    with pytest.raises(EndpointError, match="no answer can be had"):
        told(endpoint, 4, 1)
    assert endpoint.requests == [[0, 1, 2, 3]]


def test_what_is_under_way_ends_with_whoever_wants_it() -> None:
    async def one_only() -> tuple[Echo, int]:
        endpoint = Echo()
        answers = asked(endpoint, DATA, range(IMAGES), batch=1, concurrency=10)
        await anext(answers)
        await answers.aclose()
        return endpoint, endpoint.under_way

    endpoint, under_way = asyncio.run(one_only())
    assert under_way == 0
    assert endpoint.cancelled > 0


@pytest.mark.parametrize("concurrency", [1, 3, 50])
def test_all_in_the_order_of_the_data(concurrency: int) -> None:
    async def places() -> list[int]:
        return [one.place async for one in ask_all(Echo(), DATA, batch=2, concurrency=concurrency)]

    assert asyncio.run(places()) == list(range(IMAGES))


def _objects(masks: tuple[int, int] | None) -> tuple[Detections, Objects]:
    box, one = np.array([[0, 0, 2, 2]], np.float32), np.zeros(1, np.int64)
    truth = np.ones((1, 4, 4), bool)
    found = None if masks is None else np.ones((1, *masks), bool)
    return Detections(box, np.ones(1, np.float32), one, found), Objects(box, one, masks=truth)


FITTING: dict[str, tuple[Result, Expected, str]] = {
    "scores": (Classification(np.array([0.0, 1.0])), 1, ""),
    "too few": (Classification(np.array([1.0])), 0, "2 scores, one a class, got 1"),
    "no share": (Classification(np.array([0.2, 1.5])), 0, r"scores must be in \[0, 1\], got 0.2 to 1.5"),
    "below": (Classification(np.array([-0.5, 1])), 0, r"scores must be in \[0, 1\], got -0.5 to 1"),
    "another task": (Detections.empty(), 0, "data's task, got Detections"),
    "nothing found": (Detections.empty(), _objects(None)[1], ""),
    "boxes only": (*_objects(None), ""),
    "masks": (*_objects((4, 4)), ""),
    "masks of nothing": (_objects((4, 3))[0][np.zeros(1, bool)], _objects((4, 4))[1], ""),
    "turned masks": (*_objects((4, 3)), r"a map must be \(4, 4\) like the truth, got \(4, 3\)"),
    "map": (Segmentation(np.zeros((2, 3), np.uint8)), np.zeros((2, 3), np.uint8), ""),
    "turned": (Segmentation(np.zeros((3, 2), np.uint8)), np.zeros((2, 3), np.uint8), r"\(2, 3\) like"),
}


@pytest.mark.parametrize("name", FITTING)
def test_what_can_be_scored(name: str) -> None:
    answer, expected, why = FITTING[name]
    found = misfit(answer, expected, 2)
    assert bool(found) == bool(why)
    assert re.search(why, found)

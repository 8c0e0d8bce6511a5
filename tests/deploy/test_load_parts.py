"""The parts of the load without Locust: what is sent, when, how it is counted, judged and searched."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import numpy as np
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deploy.load.arrivals import SHAPES, arrivals, mean_of
from deploy.load.payloads import BATCH, KINDS, ROUTES, Ask, asks, wrong
from deploy.load.promise import (
    BROKEN,
    INCONCLUSIVE,
    KEPT,
    SCENARIOS,
    Slo,
    Verdict,
    fitting,
    is_near,
    judged,
    misused,
    ruled,
)
from deploy.load.search import highest
from deploy.load.tally import Tally, bucket, percentile
from models.decoding import decode


def some(kind: str, route: str = "/classify", *, seed: int = 0, count: int = 6) -> list[Ask]:
    return asks(route, "digits", kind, count=count, seed=seed)


@pytest.mark.parametrize("kind", KINDS)
def test_requests_are_the_same_for_a_seed(kind: str) -> None:
    assert some(kind) == some(kind)
    assert some(kind) != some(kind, seed=1)
    assert len({ask.name for ask in some(kind)}) == 1


def test_requests_are_what_they_say() -> None:
    assert all(ask.data.count(b"\x89PNG") == 1 for ask in some("png"))
    assert all(ask.data.count(b"\x89PNG") == ask.images == BATCH for ask in some("batch"))
    assert all(decode(ask.data).shape[2] == 3 for ask in some("file"))
    sizes = [len(ask.data) for ask in some("jpeg", count=12)]
    assert max(sizes) > 3 * min(sizes)  # small ones and large ones
    for ask in some("tensor"):
        cut = int(ask.headers["inference-header-content-length"])
        told = orjson.loads(ask.data[:cut])["inputs"][0]
        assert math.prod(told["shape"]) == told["parameters"]["binary_data_size"] == len(ask.data) - cut
    assert {(ask.status, ask.code) for ask in some("bad")} == {
        (422, "undecodable_image"), (422, "no_image"), (404, "unknown_model"), (422, "bad_parameter"),
        (400, "bad_tensor"),
    }  # fmt: skip


TWO = Ask("n", "/classify?model=digits", {}, b"", 2)
TENSOR = Ask("n", "/v2/models/digits/infer", {}, b"", 1)
REFUSED = Ask("n", "/classify", {}, b"", 0, 422, "no_image")


@pytest.mark.parametrize(
    ("ask", "status", "answer", "told"),
    [
        (TWO, 200, {"predictions": [{}, {}]}, None),
        (TWO, 200, {"predictions": [{}]}, "2 predictions expected, got 1"),
        (TWO, 200, {}, "got none"),
        (TWO, 200, None, "got none"),
        (TWO, 429, {"code": "overloaded"}, "200 expected, got 429 overloaded"),
        (TWO, 500, None, "got 500"),
        (TWO, 0, None, "got 0"),
        (TENSOR, 200, {"outputs": [{}]}, None),
        (TENSOR, 200, {"outputs": []}, "outputs expected"),
        (REFUSED, 422, {"code": "no_image"}, None),
        (REFUSED, 422, {"code": "unusable"}, "422 no_image expected, got 422 unusable"),
        (REFUSED, 200, {"predictions": []}, "422 no_image expected, got 200"),
    ],
)
def test_a_wrong_answer_is_a_failure(ask: Ask, status: int, answer: Any, told: str | None) -> None:
    found = wrong(ask, status, answer)
    assert found is None if told is None else told in (found or "")


@given(st.lists(st.floats(0, 1e5), min_size=1), st.sampled_from([0.5, 0.9, 0.99, 1.0]))
def test_percentiles_are_those_of_numpy_to_three_digits(values: list[float], q: float) -> None:
    counts: dict[int, int] = {}
    for value in values:
        counts[bucket(value)] = counts.get(bucket(value), 0) + 1
    exact = float(np.quantile(values, q, method="inverted_cdf"))
    found = percentile(counts, q)
    assert found is not None
    assert exact - 1e-9 <= found <= exact * 1.0101 + 0.0011
    assert percentile({}, q) is None


def test_a_tally_is_the_same_however_it_was_spread() -> None:
    chance, whole, parts = random.Random(1), Tally(), [Tally(), Tally(), Tally()]
    for i in range(300):
        one: dict[str, Any] = {
            "due": 1000 + i / 10, "latency_ms": chance.expovariate(0.1), "lag_ms": 0.5, "images": 2,
            "failed": i % 10 == 0,
        }  # fmt: skip
        whole.add(**one)
        parts[i % 2].add(**one)  # the third has nothing to say
    merged = Tally()
    for part in parts:
        merged.merge(orjson.loads(orjson.dumps(part.taken(), option=orjson.OPT_NON_STR_KEYS)))
        merged.merge(part.taken())  # nothing twice
    assert merged.figures(within_ms=20) == whole.figures(within_ms=20)
    told = whole.figures(within_ms=20)
    assert (told["requests"], told["failures"], told["error_share"]) == (300, 30, 0.1)
    assert told["images_per_s"] == pytest.approx(2 * (told["rps"] or 0))
    assert 0 < (told["goodput_rps"] or 0) < (told["rps"] or 0)


def test_failures_are_no_fast_answers() -> None:
    tally = Tally()
    for i in range(100):
        tally.add(due=float(i), latency_ms=1 if i % 2 else 900, lag_ms=0, images=1, failed=bool(i % 2))
    assert tally.figures(within_ms=1000)["p50_ms"] == 900


def test_arrivals_are_poisson() -> None:
    drawn = itertools.islice(arrivals(50, shape=SHAPES["steady"], seconds=None, rng=random.Random(3)), 20_000)
    gaps = np.diff(list(drawn))
    assert gaps.mean() == pytest.approx(0.02, rel=0.03)
    assert gaps.std() == pytest.approx(0.02, rel=0.05)  # of an exponential: the mean
    assert np.exp(-gaps / 0.02).mean() == pytest.approx(0.5, abs=0.01)  # and its survival is even


@pytest.mark.parametrize("name", SHAPES)
def test_arrivals_follow_their_shape(name: str) -> None:
    shape, rng = SHAPES[name], random.Random(5)
    due = itertools.takewhile(lambda t: t < 100, arrivals(100, shape=shape, seconds=100, rng=rng))
    counts, _ = np.histogram(list(due), bins=10, range=(0, 100))
    expected = [sum(100 * shape((i + (j + 0.5) / 50) / 10) / 5 for j in range(50)) for i in range(10)]
    assert np.abs(counts - expected).max() < 5 * math.sqrt(1000)
    assert counts.sum() == pytest.approx(10_000 * mean_of(shape), rel=0.05)
    assert all(0 < shape(x / 100) <= 1 for x in range(101))


def told(**changed: float | None) -> dict[str, float | None]:
    right: dict[str, float | None] = {
        "requests": 100, "failures": 0, "p99_ms": 50, "goodput_rps": 10, "lag_p99_ms": 1, "seconds": 600,
        "images": 0,
    }  # fmt: skip
    return right | changed


@pytest.mark.parametrize(
    ("figures", "expected", "code"),
    [
        (told(), None, KEPT),
        (told(failures=1), None, KEPT),
        (told(failures=2), None, BROKEN),
        (told(p99_ms=51), None, BROKEN),
        (told(p99_ms=None), None, BROKEN),
        (told(goodput_rps=4), None, BROKEN),
        (told(requests=0), None, BROKEN),
        (told(requests=99), None, INCONCLUSIVE),
        (told(requests=99, p99_ms=51), None, BROKEN),
        (told(lag_p99_ms=21), None, INCONCLUSIVE),
        (told(lag_p99_ms=21, p99_ms=51), None, INCONCLUSIVE),
        (told(), 130.0, KEPT),
        (told(), 200.0, INCONCLUSIVE),
    ],
)
def test_the_promise(figures: dict[str, float | None], expected: float | None, code: int) -> None:
    assert judged(Slo(50, 0.01, 5, 20), figures, expected=expected).code == code


def test_scenarios_keep_their_rules() -> None:
    assert misused("server", rate=0, users=1) == "server needs --rate"
    assert misused("single-stream", rate=5, users=1) == "single-stream takes no --rate"
    assert misused("single-stream", rate=0, users=2) == "single-stream must have -u 1, got 2"
    assert [misused(name, rate=5.0 * (name == "server"), users=1) for name in SCENARIOS] == [None] * 3
    free: dict[str, Any] = {"least_seconds": None, "least_count": None}
    assert ruled("single-stream", told(requests=1024), **free) == []
    broken = ruled("single-stream", told(requests=1023, seconds=599, failures=1), **free)
    assert [why.split(",")[0] for why in broken] == [
        "it must run 600 s", "it must have 1024 requests", "every answer must be right",
    ]  # fmt: skip
    assert ruled("offline", told(images=5, seconds=3), least_seconds=2, least_count=5) == []
    for name in SCENARIOS:
        assert len(ruled(name, Tally().figures(within_ms=1), **free)) == 2  # nothing, in no time
    every = [*some("png"), *some("batch"), *some("bad")]
    assert fitting("", every) == every
    assert fitting("server", every) == some("png")
    assert fitting("offline", every) == some("batch")
    with pytest.raises(SystemExit, match="Batcher"):
        fitting("offline", some("png"))
    with pytest.raises(SystemExit, match="--only"):
        fitting("", [])


@pytest.mark.parametrize("capacity", [5.0, 7.3, 101.0, 640.0, 999.0])
def test_the_search_finds_what_is_there(capacity: float) -> None:
    def probe(rate: float) -> Verdict:
        return Verdict(KEPT if rate <= capacity else BROKEN, "")

    found = highest(probe, low=5, high=1000, tolerance=0.05)
    assert found.rate is not None
    assert found.limit is not None
    assert found.rate <= capacity < found.limit <= found.rate * 1.05
    assert found.verdict.code == KEPT
    assert len(found.probes) < 20


def test_the_search_says_when_it_found_nothing() -> None:
    never = highest(lambda _: Verdict(BROKEN, "slow"), low=5, high=80)
    assert (never.rate, never.limit, never.verdict) == (None, 5, Verdict(BROKEN, "slow"))
    always = highest(lambda _: Verdict(KEPT, ""), low=5, high=80)
    assert (always.rate, always.limit, always.verdict.code) == (80, None, INCONCLUSIVE)
    late = highest(
        lambda r: Verdict(KEPT if r < 50 else INCONCLUSIVE, "the generator was late"), low=5, high=80
    )
    assert late.verdict.code == INCONCLUSIVE
    assert "the generator was late" in late.verdict.why
    with pytest.raises(ValueError, match="must be 0 < low"):
        highest(lambda _: Verdict(KEPT, ""), low=0, high=80)


@pytest.mark.parametrize("seed", range(20))
def test_a_rate_that_passed_by_luck_is_not_found(seed: int) -> None:
    """Above 100 a probe passes now and then; what is found has passed twice, or lies below."""
    chance = random.Random(seed)

    def probe(rate: float) -> Verdict:
        return Verdict(KEPT if rate <= 100 or chance.random() < 0.3 else BROKEN, "")

    found = highest(probe, low=5, high=1000)
    passed = [rate for rate, verdict in found.probes if verdict.code == KEPT]
    assert found.rate is not None
    assert passed.count(found.rate) >= 2


@pytest.mark.parametrize("code", [BROKEN, INCONCLUSIVE])
@pytest.mark.parametrize("unlucky", range(12))
def test_a_rate_that_broke_by_bad_luck_is_asked_again(unlucky: int, code: int) -> None:
    """One moment of a busy machine, whenever it comes, does not lower what is found."""
    asked = itertools.count()

    def probe(rate: float) -> Verdict:
        if rate > 101:
            return Verdict(BROKEN, "slow")
        return Verdict(KEPT if next(asked) != unlucky else code, "busy")

    found = highest(probe, low=5, high=1000)
    assert found.rate is not None
    assert 101 / 1.05 <= found.rate <= 101
    broke = [rate for rate, verdict in found.probes if verdict.code == BROKEN]
    assert broke.count(found.limit) >= 2  # type: ignore[arg-type]
    assert len(found.probes) < 25


@pytest.mark.parametrize(
    ("host", "near"),
    [
        ("http://127.0.0.1:3000", True),
        ("http://[::1]:3000", True),
        ("http://localhost", True),
        ("http://example.com", False),
        ("http://127.0.0.1.example.com", False),
        ("", False),
    ],
)
def test_load_stays_here(host: str, near: bool) -> None:
    assert is_near(host) is near


def test_every_route_is_asked_in_every_way() -> None:
    assert {ask.path.split("?")[0] for route in ROUTES for ask in some("png", route)} == set(ROUTES)

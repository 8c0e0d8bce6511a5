"""What is counted some at a time comes out as if it had been counted one by one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest

from service.tally import Count, Spread, flush

EDGES = (0.1, 1, 2.5)


@given(st.lists(st.lists(st.floats(0, 5) | st.sampled_from(EDGES), max_size=20), max_size=5))
def test_the_same_as_one_by_one(batches: list[list[float]]) -> None:
    told = []
    for tallied in (False, True):
        registry = CollectorRegistry()
        plain = Histogram("h", "h", ["model"], buckets=EDGES, registry=registry).labels("m")
        counter = Counter("c", "c", ["model"], registry=registry).labels("m")
        spread, count = Spread(plain, EDGES), Count(counter)
        for values in batches:
            for value in values:
                (spread if tallied else plain).observe(value)
                (count if tallied else counter).inc(2)
            flush()
        lines = generate_latest(registry).decode().splitlines()
        told.append([line for line in lines if "_created" not in line and "_sum" not in line])
        total = next(float(line.split()[-1]) for line in lines if line.startswith("h_sum"))
        assert abs(total - sum(map(sum, batches))) < 1e-9
    assert told[0] == told[1]


def test_nothing_is_written_twice() -> None:
    counter = Counter("d", "d", registry=CollectorRegistry())
    count = Count(counter)
    count.inc()
    flush()
    flush()
    count.inc(3)
    flush()
    assert counter._value.get() == 4

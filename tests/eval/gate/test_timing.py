"""How many times as long: the interval holds what it says, whatever else slows the machine."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from eval.data.tables import open_data
from eval.errors import EndpointError, EvalError, Failed
from eval.gate import timing
from eval.gate.rules import Against
from eval.gate.timing import Timed, timed, timing_check
from eval.target import Access, Target
from models.decoding import decode, encode_jpeg, encode_png, peek
from models.results import Array
from tests.eval.recordings import LABELS, pictures

P50 = "latency.p50_ms"


def pairs(times: float, *, size: int = 200, seed: int = 0, busy: bool = False) -> Timed:
    """Latencies of the subject that are `times` as long; neighbours may be slowed together."""
    rng = np.random.default_rng(seed)
    both: Array = 0.01 * np.exp(rng.normal(0, 0.25, (2, size)))
    if busy:
        both *= 1 + 3 * np.repeat(rng.random(size // 20) < 0.3, 20)
    return Timed(times * both[0], both[1], "toy/1")


@pytest.mark.parametrize("busy", [False, True])
@pytest.mark.parametrize(("times", "verdict"), [(1.0, "pass"), (3.0, "fail"), (1.5, "inconclusive")])
def test_a_slow_one_fails_and_a_busy_machine_does_not(times: float, verdict: str, busy: bool) -> None:
    for seed in range(3):
        check = timing_check(P50, Against(at_most_times=1.5), pairs(times, seed=seed, busy=busy), 0.95)
        assert check.verdict == verdict, check.message
    assert check.name == f"{P50} against toy/1"
    assert "must be at most 1.5 times" in check.message


def test_three_looks_are_together_as_sure_as_one() -> None:
    found, rule = pairs(1.4), Against(at_most_times=1.5)
    told = timing_check(P50, rule, found, 0.94).message
    each = found.ratio(P50, 0.98)
    assert f"interval {each.low:.2f} to {each.high:.2f}" in told


def test_the_interval_is_as_sure_as_it_says() -> None:
    """What is exactly as slow as allowed passes in one of forty; both sides are drawn together."""
    found = [pairs(1.5, seed=seed, busy=True).ratio(P50, 0.95) for seed in range(40)]
    assert sum(ratio.high <= 1.5 for ratio in found) <= 4
    assert sum(ratio.low > 1.5 for ratio in found) <= 4
    assert all(ratio.low <= ratio.value <= ratio.high for ratio in found)


def test_what_slows_one_side_for_a_while_is_not_its_own_pace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Load of one side that lasts for twenty pairs: what is as slow as allowed hardly ever passes.

    Blocks of the cube root, or as many without Student's t, let twice to four times as many through.
    """
    monkeypatch.setattr(timing, "RESAMPLES", 500)
    passed, steps = 0, 200
    for seed in range(60):
        rng = np.random.default_rng(seed)
        pushes, load = np.sqrt(1 - 0.95**2) * rng.normal(size=(2, steps)), np.zeros((2, steps))
        for step in range(1, steps):
            load[:, step] = 0.95 * load[:, step - 1] + pushes[:, step]
        both = np.exp(0.2 * rng.normal(size=(2, steps)) + 0.3 * load)
        passed += Timed(1.5 * both[0], both[1]).ratio(P50, 0.95).high <= 1.5
    assert passed <= 5


def test_the_interval_is_as_much_wider_as_students_t() -> None:
    assert timing._student(0.975) == pytest.approx(2.776445, abs=1e-6)  # of any table
    assert timing._student(0.995) == pytest.approx(4.604095, abs=1e-6)


def test_many_pairs_take_no_more_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    """The most that may be asked for would be drawn 2,000 times: 6 GB, where a Job has 1."""
    found, largest = pairs(1.2), list[int]()
    whole, ratios = found.ratio(P50, 0.95), Timed._ratios

    def noted(self: Timed, starts: Array, block: int, share: float) -> Array:
        largest.append(len(starts) * len(self.subject))
        return ratios(self, starts, block, share)

    monkeypatch.setattr(timing, "AT_ONCE", 10_000)
    monkeypatch.setattr(Timed, "_ratios", noted)
    assert found.ratio(P50, 0.95) == whole
    assert max(largest) <= 10_000


def test_neighbours_are_drawn_together() -> None:
    """The same latencies, half of them slow: in a spell they are one finding, in any order many."""
    rng = np.random.default_rng(0)
    spell = rng.normal(0.01, 0.001, 200) + 0.01 * (np.arange(200) < 105)
    base = np.full(200, 0.01)
    wide = []
    for one in (rng.permutation(spell), spell):
        ratio = Timed(one, base).ratio(P50, 0.5)
        wide.append(ratio.high - ratio.low)
    assert wide[1] > 1.5 * wide[0]


def test_by_value_and_the_table() -> None:
    found = pairs(1.2)
    assert timing_check(P50, Against(at_most_times=1.3, by="value"), found, 0.95).verdict == "pass"
    assert timing_check(P50, Against(at_most_times=1.1, by="value"), found, 0.95).verdict == "fail"
    for size, tails in ((100, []), (200, ["latency.p95_ms"]), (1000, ["latency.p95_ms", "latency.p99_ms"])):
        (table,) = pairs(1.2, size=size).section("toy/2", 0.95).tables
        assert [row["percentile"] for row in table.rows] == [P50, *tails]  # no tail of too few pairs


class Fake:
    """Answers at once, and says how long that took; after 20 pairs one of `every` requests fails."""

    def __init__(self, name: str, told: list[str], fails: type[Exception] | None, every: int = 1) -> None:
        self.name, self.told, self.fails, self.every = name, told, fails, every
        self.files: list[bytes] = []
        self.seconds: list[float] = []

    async def __aenter__(self) -> Fake:
        return self

    async def __aexit__(self, *_: object) -> None: ...

    async def predict_files(self, files: list[bytes]) -> None:
        self.told.append(self.name)
        self.files += files
        if self.fails is not None and len(self.told) > 40 and len(self.files) % self.every == 0:
            raise self.fails("502")
        self.seconds.append(0.01 if self.name == "one" else 0.02)


def ask(
    monkeypatch: pytest.MonkeyPatch,
    folder: Path,
    fails: type[Exception] | None = None,
    enough: Callable[[Timed], bool] = lambda _: True,
    every: int = 1,
    files: list[bytes] | None = None,
) -> tuple[Timed, list[str]]:
    told: list[str] = []
    one, other = (_target(name) for name in ("one", "other"))

    def fake(target: Target) -> Fake:
        made = Fake(target.model, told, fails if target.model == "one" else None, every)
        made.files = files if files is not None and target.model == "other" else []
        return made

    monkeypatch.setattr(timing, "endpoint_of", fake)
    data = open_data(pictures(folder / "data", (5, 4, 3)), "classification")
    return asyncio.run(timed(one, other, data, 100, enough)), told


def _target(name: str) -> Target:
    url = "http://127.0.0.1:1"
    return Target(url, name, 1, "classification", LABELS, "", {}, Access(url))


def test_both_are_asked_in_turn_and_neither_always_first(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found, told = ask(monkeypatch, tmp_path)
    assert found.ratio(P50, 0.95).value == pytest.approx(0.5)
    assert len(found.subject) == 100
    turns = [told[i : i + 2] for i in range(0, len(told), 2)]
    assert all(sorted(turn) == ["one", "other"] for turn in turns)
    assert 20 < sum(turn[0] == "one" for turn in turns) < len(turns) - 20


@pytest.mark.parametrize(("wanted", "asked"), [(100, 100), (101, 200), (250, 400), (10**6, 400)])
def test_it_goes_on_where_a_look_decides_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, wanted: int, asked: int
) -> None:
    found, told = ask(monkeypatch, tmp_path, enough=lambda found: len(found.subject) >= wanted)
    assert len(found.subject) == asked
    assert len(told) == 2 * (asked + timing.WARM)


def test_what_does_not_answer_is_no_slow_answer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    with pytest.raises(EvalError, match="502"):
        ask(monkeypatch, tmp_path, EndpointError)
    found, _ = ask(monkeypatch, tmp_path, EndpointError, every=70)
    assert (len(found.subject), found.failures) == (99, 0)  # nobody knows whose fault that one is


def test_what_the_subject_says_it_failed_at_is_counted(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found, _ = ask(monkeypatch, tmp_path, Failed, every=70)
    assert (len(found.subject), found.failures) == (99, 1)


def test_nobody_has_seen_a_picture_before(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Each was asked about when answers were judged, and there are twelve of them for a hundred pairs."""
    sent: list[bytes] = []
    ask(monkeypatch, tmp_path, files=sent)
    data = open_data(f"folder:{tmp_path / 'data'}", "classification")
    known = {one.file: decode(one.file) for one in (data[place] for place in range(len(data)))}
    assert len({decode(file).tobytes() for file in sent} - {p.tobytes() for p in known.values()}) > 90
    assert all(min(abs(decode(f).astype(int) - p).max() for p in known.values()) <= 1 for f in sent)


def test_a_jpeg_stays_one_and_what_cannot_be_read_goes_as_it_is() -> None:
    rng = np.random.default_rng(0)
    picture = rng.integers(0, 256, (16, 24, 3), np.uint8)
    changed = timing._new(encode_jpeg(picture), rng)
    assert (peek(changed).format, decode(changed).shape) == ("JPEG", picture.shape)
    grey = np.repeat(picture[..., :1], 3, axis=2)
    assert np.ptp(decode(timing._new(encode_png(grey), rng)), axis=2).max() == 0
    assert timing._new(b"no picture", rng) == b"no picture"

"""Under load: a sound service passes, one that errs under load is found, and so is a cache."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import importlib.util
import itertools
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

from eval.collect import Asked
from eval.commands.under_load import command
from eval.data.tables import open_data
from eval.errors import EvalError, NotAuthorised
from eval.parity.local import opened
from eval.parity.pipeline import Pipeline
from eval.remote.recording import Sent
from eval.under_load import under_load
from eval.under_load.caching import Caching, Pair, fresh, judged
from eval.under_load.hammer import Load, hammering
from eval.under_load.watching import Counts, Watched, counted
from models.cli import ZOO
from models.decoding import encode_png
from models.results import Classification, Result
from models.scenes import scene
from tests.eval.parity.double import Double

IMAGES = 5


@cache
def digits() -> Pipeline:
    return opened(ZOO / "digits/1")


def still(sent: Sequence[Sent], users: int) -> contextlib.AbstractAsyncContextManager[Load]:
    """A load that is only said to be."""

    @contextlib.asynccontextmanager
    async def on() -> AsyncIterator[Load]:
        assert sent
        yield Load(0, {"requests": users, "failures": 0, "errors": []})

    return on()


def turned(answers: Sequence[Result]) -> list[Result]:
    return [Classification(np.roll(a.scores, 1)) for a in answers if isinstance(a, Classification)]


def checked(double: Double, **options: Any) -> Any:
    with double.served() as url:
        settings = {"limit": IMAGES, "seconds": 0.0, "users": 2, "hammer": still}
        return asyncio.run(under_load(url, "digits:test", **{**settings, **options}))


def flags(report: Any) -> dict[str, bool | None]:
    return {flag.name: flag.raised for flag in report.sections[0].flags}


def test_a_sound_service_passes() -> None:
    double = Double(digits().card, digits().answers)
    report = checked(double)
    assert report.manifest["verdict"] == "the same"
    assert report.valid
    prefix = "under_load.digits.1"
    assert report.figures[f"{prefix}.identical"] == 1
    assert report.figures[f"{prefix}.different"] == 0
    assert report.figures[f"{prefix}.accuracy_quiet"] == report.figures[f"{prefix}.accuracy_loaded"]
    assert report.figures[f"{prefix}.accuracy_difference"] == 0
    assert flags(report)["unsteady_in_quiet"] is False
    rows = report.timing[0].tables[0].rows
    assert [row["answers"] for row in rows] == [IMAGES, IMAGES]


def test_equal_answers_give_equal_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever a clock said, but for what it says of a cache: on a busy machine that may be either."""
    monkeypatch.setattr(Caching, "quicker", False)

    async def run(url: str) -> Any:
        return await under_load(url, "digits:test", limit=IMAGES, seconds=0, users=2, hammer=still)

    with Double(digits().card, digits().answers).served() as url:
        one, other = (asyncio.run(run(url)) for _ in range(2))
    assert one.to_json() == other.to_json()


def after(asks: int, changed: Callable[[Sequence[Result]], list[Result]]) -> Callable[[list[bytes]], Any]:
    """Sound for so many asks, then not."""
    count = itertools.count()
    return lambda files: changed(digits().answers(files)) if next(count) >= asks else digits().answers(files)


def test_a_picture_is_judged_by_its_worst_answer() -> None:
    sample = next(iter(open_data("digits:test", "classification").first(1)))
    right, near, wrong = (Classification(np.array(s, np.float32)) for s in ([0, 1], [1e-5, 1], [1, 0]))
    watched = [Watched(sample, right) for _ in range(4)]
    for one, answers in zip(
        watched, ([right, right], [right, near], [near, wrong], [wrong, right]), strict=True
    ):
        for answer in answers:
            one.note(Asked(sample, answer))
    assert counted(watched, 1e-4) == Counts(identical=1, within=1, different=2)
    assert [one.worst.amount for one in watched if one.worst] == pytest.approx([0, 1e-5, 1, 1])
    watched[0].note(Asked(sample, None, "busy"))
    watched[3].note(Asked(sample, None, "busy"))
    assert counted(watched, 1e-4) == Counts(within=1, different=2, errors=1)
    assert counted([Watched(sample, None)], 1e-4) == Counts(errors=1)


QUIET = 2 * IMAGES + IMAGES + 2 * 2 * IMAGES  # twice in quiet; first, and two rounds of pairs


def test_wrong_answers_under_load_are_found() -> None:
    report = checked(Double(digits().card, after(QUIET, turned)))
    assert report.manifest["verdict"] == "not the same"
    assert report.figures["under_load.digits.1.different"] == 1
    assert report.figures["under_load.digits.1.accuracy_loaded"] == 0
    assert report.figures["under_load.digits.1.accuracy_quiet"] == 1
    assert report.sections[1].tables[0].rows[0]["difference"] > 0.5
    assert report.sections[1].galleries


def test_a_service_that_changes_its_mind_in_quiet_is_flagged() -> None:
    report = checked(Double(digits().card, after(IMAGES, turned)))
    assert flags(report)["unsteady_in_quiet"] is True


def test_errors_under_load_make_it_invalid() -> None:
    def refuse(_: Sequence[Result]) -> list[Result]:
        raise ValueError("not now")

    report = checked(Double(digits().card, after(QUIET, refuse)))
    assert not report.valid
    assert report.figures["under_load.digits.1.errors"] == 1
    assert flags(report)["errors"] is True
    assert report.manifest["verdict"] == "the same"  # nothing that was answered differs


def test_without_a_load_nothing_is_claimed() -> None:
    def silent(sent: Sequence[Sent], users: int) -> contextlib.AbstractAsyncContextManager[Load]:
        @contextlib.asynccontextmanager
        async def on() -> AsyncIterator[Load]:
            yield Load(0, {"requests": 3, "failures": 3, "errors": ["503"]})

        return on()

    report = checked(Double(digits().card, digits().answers), hammer=silent)
    assert not report.valid
    assert flags(report)["no_load"] is True


def test_load_goes_nowhere_else() -> None:
    with pytest.raises(NotAuthorised, match=r"--authorised example\.org"):
        asyncio.run(under_load("http://example.org", "digits:test"))


class Cached(Double):
    """Answers repeated bytes as it did before, id and all."""

    def headers_of(self, body: bytes) -> dict[str, str]:
        key = hashlib.sha256(body).hexdigest()
        return {"x-answer": self.kept.setdefault(key, str(len(self.kept)))}

    kept: dict[str, str]


def test_a_cache_is_flagged_by_an_id_that_comes_again() -> None:
    double = Cached(digits().card, digits().answers)
    double.kept, double.headers = {}, double.headers_of
    report = checked(double)
    assert flags(report)["cached"] is True
    assert report.figures["under_load.digits.1.cached"] == 1
    (flag,) = [f for f in report.sections[0].flags if f.name == "cached"]
    assert "x-answer is another one for all fresh bytes, but came again" in flag.evidence


def test_a_cache_is_flagged_by_what_it_says() -> None:
    seen: set[bytes] = set()

    def headers(body: bytes) -> dict[str, str]:
        hit = body in seen
        seen.add(body)
        return {"X-Cache": "HIT" if hit else "MISS"}

    report = checked(Double(digits().card, digits().answers, headers=headers))
    assert flags(report)["cached"] is True


def pairs(repeated: Callable[[np.random.Generator], float], count: int = 40) -> list[Pair]:
    """Latencies as they might be."""
    rng = np.random.default_rng(3)
    noise = rng.lognormal(0, 0.3, (count, 2))
    return [Pair(0.01 * repeated(rng) * one, 0.01 * other, {}, {}, {}, True) for one, other in noise]


def test_a_cache_is_flagged_by_latency_and_chance_is_not() -> None:
    cached, sound = judged(pairs(lambda _: 0.4)), judged(pairs(lambda _: 1.0))
    assert cached.quicker
    assert cached.flag().raised is True
    assert "0." not in cached.flag().evidence  # no figure of a clock
    assert cached.ratio == pytest.approx(0.4, rel=0.3)
    low, high = cached.interval
    assert low is not None
    assert high is not None
    assert cached.ratio is not None
    assert low < cached.ratio < high < 0.9
    assert not sound.quicker
    assert sound.flag().raised is False
    assert sound.p is not None
    assert sound.p > 0.05
    assert judged([]).flag().raised is None


def test_the_permutation_test_is_exact_where_all_signs_can_be_drawn() -> None:
    """Three pairs all quicker by as much: two of eight signings are as far from 0."""
    three = [Pair(0.5, 1.0, {}, {}, {}, True)] * 3
    p = judged(three).p
    assert p == pytest.approx(2 / 8, abs=0.02)


@pytest.mark.parametrize("grey", [True, False])
def test_fresh_bytes_differ_by_one_level_of_one_pixel(grey: bool) -> None:
    image = scene(0).image
    image = np.repeat(image[..., :1], 3, axis=2) if grey else image
    rng = np.random.default_rng(0)
    seen = set()
    for _ in range(20):
        changed = fresh(image, rng)
        apart = np.abs(changed.astype(int) - image)
        assert apart.max() == 1
        assert (apart.any(axis=2)).sum() == 1
        assert bool((changed == changed[..., :1]).all()) is grey
        seen.add(encode_png(changed))
    assert len(seen) == 20


def gone(pid: int) -> bool:
    """Not there, or ended and only not yet cleared away."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_without_locust_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    double = Double(digits().card, digits().answers)
    with pytest.raises(EvalError, match=r"assay\[load\]"):
        checked(double, hammer=None)
    assert double.asked == []  # told before anything is asked


def test_locust_sends_what_was_recorded_and_is_always_ended() -> None:
    """Really Locust: its requests arrive, byte for byte, and an error in the block ends it all the same."""
    pytest.importorskip("geventhttpclient")
    double = Double(digits().card, digits().answers)
    enough = threading.Event()
    loads: list[Load] = []
    file = encode_png(np.zeros((28, 28, 3), np.uint8))
    boundary = b"--x\r\ncontent-disposition: form-data\r\n\r\n"
    body = boundary + file + b"\r\n--x--\r\n"

    def answer(files: list[bytes]) -> list[Result]:
        if len(double.asked) >= 20:
            enough.set()
        return digits().answers(files)

    double.answer = answer

    async def enter(url: str) -> None:
        headers = {"content-type": "multipart/form-data; boundary=x", "x-key": "secret"}
        async with hammering([Sent("POST", f"{url}/classify?model=digits", headers, body)], 3) as load:
            loads.append(load)
            assert await asyncio.to_thread(enough.wait, 60)
            raise EvalError("something else went wrong")

    with double.served() as url, pytest.raises(EvalError, match="something else"):
        asyncio.run(enter(url))
    (load,) = loads
    assert gone(load.pid)
    assert set(double.asked) == {body}
    assert load.told["requests"] >= 10  # the last ones may have been on their way
    assert load.told["failures"] == 0


def test_the_verb(tmp_path: Path) -> None:
    """Through the command line, with Locust: answers are wrong as soon as several are made at once."""
    pytest.importorskip("geventhttpclient")
    double = Double(digits().card, digits().answers)

    def answer(files: list[bytes]) -> list[Result]:
        threading.Event().wait(0.01)  # long enough for company, where there is any
        answers = digits().answers(files)
        return turned(answers) if double.at_once > 1 else answers

    double.answer = answer
    with double.served() as url:
        options = ["--data", "digits:test", "--limit", "12", "--users", "6", "--seconds", "1"]
        told = CliRunner().invoke(command, [url, *options, "--out", str(tmp_path), "--quiet"])
    assert told.exit_code == 1, told.output
    assert "verdict: not the same" in told.output
    assert (tmp_path / "report.html").is_file()


@pytest.mark.parametrize("kind", [signal.SIGINT, signal.SIGKILL])
def test_locust_does_not_outlive_us(kind: signal.Signals) -> None:
    """Neither an interrupt nor a kill leaves a load behind that nobody can stop."""
    pytest.importorskip("geventhttpclient")
    loaded = threading.Event()
    double = Double(digits().card, digits().answers)

    def answer(files: list[bytes]) -> list[Result]:
        if double.at_once > 2:  # more than we ask at once ourselves
            loaded.set()
        return digits().answers(files)

    double.answer = answer
    with double.served() as url:
        command = [sys.executable, "-m", "eval", "under-load", url, "--data", "digits:test"]
        options = ["--limit", "5", "--users", "6", "--seconds", "600", "--quiet"]
        with subprocess.Popen([*command, *options], stderr=subprocess.DEVNULL) as process:
            assert loaded.wait(60)
            own = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
            process.send_signal(kind)
            assert process.wait(60) != 0
        assert own
        waited = threading.Event()
        for _ in range(600):
            if all(gone(int(pid)) for pid in own):
                return
            waited.wait(0.05)
        raise AssertionError(f"Locust lives on as {own}")

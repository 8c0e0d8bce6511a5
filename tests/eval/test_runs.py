"""A run: every image asked once, whatever happens to the process, the endpoint or the order."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pytest

from eval import runs, spread
from eval.errors import DatasetError, EndpointError, EvalError, Gone, Refused
from eval.journal import alone, progress
from eval.recorded import JOURNAL, Request, recorded
from eval.report.document import Report
from eval.target import Access, Target
from models.decoding import decode, encode_png
from models.results import Classification

LABELS = ("dark", "grey", "light")
ACCESS = Access("http://127.0.0.1:1", headers={"authorization": "Bearer $TOKEN"}, card=Path("card.json"))
TARGET = Target(
    "http://127.0.0.1:1", "shade", 3, "classification", LABELS, "0" * 64, {"accuracy": (0.9, "d")}, ACCESS
)
IMAGES = 60


@dataclass
class Shade:
    """Tells how light a picture is; `trouble` may raise for the files of a request."""

    trouble: Callable[[Sequence[bytes]], None] = lambda files: None
    seed: int = 0
    asked: list[bytes] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    async def predict_files(self, files: Sequence[bytes]) -> list[Classification]:
        for _ in range(len(self.asked) * self.seed % 7):
            await asyncio.sleep(0)
        self.trouble(files)
        self.asked += files
        return [self._answer(decode(file).mean()) for file in files]

    @staticmethod
    def _answer(light: float) -> Classification:
        near = np.exp(-np.abs(np.array([40, 128, 215]) - light) / 40)
        return Classification((near / near.sum()).astype(np.float32))


@pytest.fixture
def data(tmp_path: Path) -> str:
    """Twenty pictures of each shade; some are lighter or darker than their class."""
    rng = np.random.default_rng(0)
    for label, middle in zip(LABELS, (40, 128, 215), strict=True):
        folder = tmp_path / "data" / label
        folder.mkdir(parents=True)
        for number in range(IMAGES // 3):
            level = int(np.clip(rng.normal(middle, 40), 0, 255))
            picture = np.full((6, 5 + number, 3), level, np.uint8)
            (folder / f"{number:02d}.png").write_bytes(encode_png(picture))
    return f"folder:{tmp_path / 'data'}"


@pytest.fixture
def ask(data: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Report]:
    """Evaluate an endpoint that is given in the place of a live one."""

    async def target_of(*_: object) -> Target:
        return TARGET

    monkeypatch.setattr(runs, "target_of", target_of)

    def evaluated(endpoint: Shade | None = None, name: str = data, **options: Any) -> Report:
        shade = endpoint or Shade()
        monkeypatch.setattr(spread, "endpoint_of", lambda _: shade)
        return asyncio.run(runs.evaluate(ACCESS, name, **options))

    return evaluated


def refuse(bad: bytes) -> Callable[[Sequence[bytes]], None]:
    def trouble(files: Sequence[bytes]) -> None:
        if bad in files:
            raise Refused("415 not this one")

    return trouble


def fail_after(requests: int) -> Callable[[Sequence[bytes]], None]:
    left = [requests]

    def trouble(files: Sequence[bytes]) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise EndpointError("nobody is there")

    return trouble


def accuracy(report: Report) -> float:
    value = report.figures["shade.3.accuracy"]
    assert value is not None
    return value


def test_the_report_does_not_depend_on_how_it_was_asked(ask: Callable[..., Report]) -> None:
    whole = ask()
    assert 0.5 < accuracy(whole) < 1
    for endpoint, batch, concurrency in ((Shade(), 1, 1), (Shade(seed=3), 7, 5), (Shade(seed=1), 64, 2)):
        again = ask(endpoint, batch=batch, concurrency=concurrency)
        assert again.to_json() == whole.to_json()
        assert len(endpoint.asked) == IMAGES


def test_the_clock_is_told_apart(ask: Callable[..., Report]) -> None:
    report = ask()
    assert {"started", "seconds", "request_p50_ms", "request_p99_ms"} <= report.clock.keys()
    assert not report.clock.keys() & report.manifest.keys()
    assert report.manifest["command"] == (
        f"assay evaluate {TARGET.url} --data {report.manifest['data']} "
        "--model shade --version 3 --card card.json"
    )


def test_one_refused_picture_costs_no_other_its_answer(ask: Callable[..., Report], data: str) -> None:
    bad = Path(data.partition(":")[2], "grey", "07.png").read_bytes()
    report = ask(Shade(refuse(bad)), batch=16)
    assert report.figures["shade.3.errors"] == 1
    assert not report.valid  # one of sixty is more than one in a hundred
    assert "grey/07.png" in report.to_json()
    assert "not this one" in report.to_json()


def test_errors_up_to_one_in_a_hundred_are_valid(
    ask: Callable[..., Report], data: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eval.scoring.MOST_ERRORS", 1 / IMAGES)
    bad = Path(data.partition(":")[2], "grey", "07.png").read_bytes()
    assert ask(Shade(refuse(bad))).valid


def test_an_endpoint_that_is_gone_is_not_asked_to_the_end(ask: Callable[..., Report], tmp_path: Path) -> None:
    with pytest.raises(EndpointError, match="no answer can be had: nobody is there"):
        ask(Shade(fail_after(5)), out=tmp_path / "run", batch=2, concurrency=1)
    found = progress(tmp_path / "run" / JOURNAL)
    assert found is not None
    # Ten answers; then eight requests without one: two, each of them, two, each of them, two, one of them.
    assert (found.done, found.errors, found.finished) == (15, 5, False)


def test_where_nobody_listens_nothing_more_is_asked(ask: Callable[..., Report], tmp_path: Path) -> None:
    def trouble(files: Sequence[bytes]) -> None:
        raise Gone("connection refused")

    with pytest.raises(EndpointError, match="no answer can be had: connection refused"):
        ask(Shade(trouble), out=tmp_path / "run", batch=2, concurrency=1)
    found = progress(tmp_path / "run" / JOURNAL)
    assert found is not None
    assert found.errors == 2


def test_a_run_goes_on_where_it_stopped(ask: Callable[..., Report], tmp_path: Path) -> None:
    whole, second = ask(), Shade()
    with pytest.raises(EndpointError):
        ask(Shade(fail_after(5)), out=tmp_path / "run", batch=2, concurrency=1)
    resumed = ask(second, out=tmp_path / "run", resume=True)
    assert resumed.to_json() == whole.to_json()
    assert len(second.asked) == IMAGES - 10
    third = Shade()
    assert ask(third, out=tmp_path / "run", resume=True).to_json() == whole.to_json()
    assert third.asked == []


def test_progress_is_told_of_the_whole_run(ask: Callable[..., Report], tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []
    with pytest.raises(EndpointError):
        ask(Shade(fail_after(5)), out=tmp_path / "run", batch=2, concurrency=1)
    ask(out=tmp_path / "run", resume=True, batch=10, progress=lambda *now: told.append(now))
    assert told == [(done, IMAGES) for done in (20, 30, 40, 50, 60)]
    with recorded(tmp_path / "run").journal as journal:
        started, finished = journal.marked("started"), journal.marked("finished")
        assert started is not None
        assert finished is not None
        assert 0 < started <= finished


def test_resume_begins_where_there_is_nothing(ask: Callable[..., Report], tmp_path: Path) -> None:
    assert ask(out=tmp_path / "new", resume=True).to_json() == ask().to_json()


def test_an_unfinished_run_is_not_lost(ask: Callable[..., Report], tmp_path: Path) -> None:
    with pytest.raises(EndpointError):
        ask(Shade(fail_after(5)), out=tmp_path / "run", batch=2, concurrency=1)
    with pytest.raises(EvalError, match="did not end; go on with --resume"):
        ask(out=tmp_path / "run")
    assert ask(out=tmp_path / "run", resume=True).figures["shade.3.errors"] == 0
    anew = Shade()
    ask(anew, out=tmp_path / "run")
    assert len(anew.asked) == IMAGES  # a run that ended may be repeated


def test_another_request_does_not_go_on(
    ask: Callable[..., Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(out=tmp_path / "run", limit=30)
    with pytest.raises(EvalError, match="another limit, images"):
        ask(out=tmp_path / "run", limit=31, resume=True)
    other = replace(TARGET, sha256="1" * 64)

    async def target_of(*_: object) -> Target:
        return other

    monkeypatch.setattr(runs, "target_of", target_of)
    with pytest.raises(EvalError, match="another sha256"):
        ask(out=tmp_path / "run", limit=30, resume=True)


def test_the_same_model_at_another_address_goes_on(
    ask: Callable[..., Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(out=tmp_path / "run")
    moved = replace(TARGET, url="http://127.0.0.1:2", access=replace(ACCESS, url="http://127.0.0.1:2"))

    async def target_of(*_: object) -> Target:
        return moved

    monkeypatch.setattr(runs, "target_of", target_of)
    assert ask(out=tmp_path / "run", resume=True).valid


def test_a_file_that_changed_is_noticed(ask: Callable[..., Report], data: str, tmp_path: Path) -> None:
    ask(out=tmp_path / "run")
    path = Path(data.partition(":")[2], "dark", "00.png")
    path.write_bytes(encode_png(np.zeros((3, 3, 3), np.uint8)))
    with pytest.raises(DatasetError, match=r"dark/00.png .* changed since the run began"):
        ask(out=tmp_path / "run", resume=True)


def test_a_recorded_run_gives_its_report_again(ask: Callable[..., Report], tmp_path: Path) -> None:
    told = ask(out=tmp_path / "run")
    run = recorded(tmp_path / "run")
    again = runs.reported(run)
    assert (again.to_json(), again.clock) == (told.to_json(), told.clock)
    assert [asked.place for asked in run] == list(range(IMAGES))


def test_truth_counts_in_the_digest_of_the_data(ask: Callable[..., Report], data: str) -> None:
    before = ask().manifest["data_digest"]
    root = Path(data.partition(":")[2])
    (root / "dark" / "00.png").rename(root / "grey" / "00.png")
    assert ask().manifest["data_digest"] != before


def test_what_is_asked_survives_the_journal() -> None:
    request = Request(TARGET, "digits:test", 7, ("size", "class"))
    told = json.loads(json.dumps(request.told(7)))
    assert Request.of(told) == request
    assert "$TOKEN" in json.dumps(told)  # the name of the secret, never the secret


@pytest.mark.parametrize("spoilt", [{}, {"target": 3}, {"target": {"access": {}}}])
def test_a_record_of_something_else_is_refused(spoilt: dict[str, Any]) -> None:
    with pytest.raises(EvalError, match="does not say what was asked"):
        Request.of(spoilt)


def test_a_run_of_nothing(ask: Callable[..., Report]) -> None:
    with pytest.raises(EndpointError, match="no image was answered: 503 gone"):
        ask(Shade(lambda files: _raise("503 gone")), limit=3, batch=1)


def _raise(words: str) -> None:
    raise EndpointError(words)


def test_an_answer_that_is_none_is_named(ask: Callable[..., Report]) -> None:
    class Odd(Shade):
        async def predict_files(self, files: Sequence[bytes]) -> list[Classification]:
            answers = await super().predict_files(files)
            if self.asked[0] in files:
                answers[1] = Classification(np.array([0.5, 0.5], np.float32))
            return answers

    report = ask(Odd(), concurrency=1)
    assert (report.figures["shade.3.errors"], report.valid) == (1, False)
    told = report.to_json()
    assert "dark/01.png" in told
    assert "the answer cannot be scored: there must be 3 scores, one a class, got 2" in told


def test_a_model_that_is_exchanged_meanwhile_is_noticed(
    ask: Callable[..., Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = iter([TARGET, replace(TARGET, sha256="1" * 64), replace(TARGET, sha256="1" * 64)])

    async def target_of(*_: object) -> Target:
        return next(found)

    monkeypatch.setattr(runs, "target_of", target_of)
    with pytest.raises(EndpointError, match=r"shade/3 became another model .* 0{12}, now 1{12}"):
        ask(out=tmp_path / "run")
    state = progress(tmp_path / "run" / JOURNAL)
    assert state is not None
    assert not state.finished
    with pytest.raises(EvalError, match="another sha256"):
        ask(out=tmp_path / "run", resume=True)


def test_a_model_that_is_gone_afterwards_has_answered(
    ask: Callable[..., Report], monkeypatch: pytest.MonkeyPatch
) -> None:
    found = iter([TARGET])

    async def target_of(*_: object) -> Target:
        try:
            return next(found)
        except StopIteration:
            raise EvalError("serves no version 3") from None

    monkeypatch.setattr(runs, "target_of", target_of)
    assert ask().valid


def test_two_do_not_record_in_one_folder(ask: Callable[..., Report], tmp_path: Path) -> None:
    whole = ask()

    def trouble(files: Sequence[bytes]) -> None:
        with pytest.raises(EvalError, match="another process records a run in"), alone(tmp_path / "run"):
            pass

    assert ask(Shade(trouble), out=tmp_path / "run").to_json() == whole.to_json()
    with alone(tmp_path / "run"):
        pass


def test_a_folder_that_cannot_be_is_told_in_one_line(ask: Callable[..., Report], tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(EvalError, match=r"no run can be recorded in .*choose another --out"):
        ask(out=tmp_path / "file" / "run")


def test_a_record_that_never_began_is_begun(ask: Callable[..., Report], tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / JOURNAL).write_bytes(b"")  # what a process leaves that is killed at once
    assert ask(out=tmp_path / "run").to_json() == ask().to_json()
    (tmp_path / "run" / JOURNAL).write_bytes(b"something else that is no database")
    with pytest.raises(EvalError, match="cannot be read as the record of a run"):
        ask(out=tmp_path / "run")

"""A gate on live models: attacked alike, timed side by side, and what it is when one does not answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from eval.errors import EvalError, NotAuthorised
from eval.gate.live import Live, require_live
from eval.gate.rules import read_rules
from eval.gate.run import Verdicts, gate
from eval.subject import Asking, Subject
from models.decoding import decode, encode_png
from tests.eval.recordings import classified, pictures, recording
from tests.eval.remote import speakers
from tests.eval.remote.services import Reply, Request, Service, Speak, error, said

LEVELS = {"dark": 60, "light": 195}
EACH = 30
RULES = """
require:
  errors: {at_most: 0}
  accuracy: {at_least: 0.5}
against:
  accuracy: {not_worse_by: 0.2}
  audit.robust_accuracy: {not_worse_by: 0.2}
  latency.p50_ms: {at_most_times: 10000}
audit: {epsilon: 30, attacks: [square], samples: 60, budget: 20, corruptions: [], curve: false}
latency: {pairs: 20}
"""


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    root = tmp_path_factory.mktemp("live")
    for label, level in LEVELS.items():
        (root / label).mkdir()
        for place in range(EACH):
            picture = np.full((6, 6, 3), level, np.uint8)
            picture[0, 0] = place
            (root / label / f"{place:03}.png").write_bytes(encode_png(picture))
    return f"folder:{root}"


def model(line: float) -> Speak:
    """Light is what is lighter than `line` on average."""

    def speak(request: Request) -> Reply:
        if request.method == "GET" or "/v2/" in request.path:
            return speakers.assay(request) if request.method == "GET" else error(404)
        light = [float(np.clip(0.5 + (decode(f).mean() - line) / 200, 0, 1)) for f in _files(request)]
        answers = [{"scores": [1 - share, share]} for share in light]
        return said({"model": "m", "version": 3, "task": "classification", "predictions": answers})

    return speak


def _files(request: Request) -> list[bytes]:
    return speakers.files_in(request.body)


def fails(speak: Speak, on: Callable[[int], bool]) -> Speak:
    """The same, but 500 for a request with pictures `on` that say their number in a corner."""

    def spoken(request: Request) -> Reply:
        numbers = [int(decode(file)[0, 0, 0]) for file in _files(request)] if request.method == "POST" else []
        return error(500, "a bug") if any(map(on, numbers)) else speak(request)

    return spoken


def judged(
    tmp_path: Path, data: str, subject: Speak, baseline: Speak | None = None, rules: str = RULES
) -> Verdicts:
    (tmp_path / "rules.yaml").write_text(rules)

    async def ask() -> Verdicts:
        async with (
            Service(subject).served() as one,
            Service(baseline or model(127)).served() as other,
        ):
            first, second = (Subject(None, url, "m", 3) for url in (one, other))
            asking, told = Asking(data=data, batch=4, concurrency=2), read_rules(tmp_path / "rules.yaml")
            return await gate(told, first, second, asking, out=tmp_path / "out")

    return asyncio.run(ask())


def verdicts(told: Verdicts) -> dict[str, str]:
    return {check.name: check.verdict for check in told.checks}


def test_a_good_one_passes(tmp_path: Path, data: str) -> None:
    told = judged(tmp_path, data, model(120))
    assert told.code == 0, told.checks
    assert list(verdicts(told)) == [
        *("errors", "accuracy", "accuracy against m/3", "latency.p50_ms against m/3"),
        "audit.robust_accuracy against m/3",
    ]
    assert [section.title for section in told.report.timing] == ["Latency of m/3, beside m/3"]
    for side in ("subject", "baseline"):
        assert (tmp_path / "out" / side / "journal.sqlite").is_file()
        assert (tmp_path / "out" / f"audit-{side}" / "report.html").is_file()


def test_a_less_robust_one_fails_though_it_is_as_right(tmp_path: Path, data: str) -> None:
    told = judged(tmp_path, data, model(64))  # dark pictures are 4 levels from the line
    assert told.code == 1
    found = verdicts(told)
    assert found.pop("audit.robust_accuracy against m/3") == "fail"
    assert set(found.values()) == {"pass"}
    assert told.checks[-1].message.startswith("0.5, baseline 1, difference -0.5")


def test_pictures_that_it_does_not_answer_are_its_own_fault(tmp_path: Path, data: str) -> None:
    told = judged(tmp_path, data, fails(model(127), lambda number: number == 7))
    assert told.code == 1
    found = verdicts(told)
    assert found.pop("errors") == "fail"
    assert set(found.values()) == {"inconclusive"}  # two of sixty: nothing else is decided
    assert told.checks[0].message == (
        "of 60 images, asked again while others were answered: 2, must be at most 0"
    )


def test_without_a_rule_about_errors_too_few_answers_decide_nothing(tmp_path: Path, data: str) -> None:
    rules = RULES.replace("  errors: {at_most: 0}\n", "")
    with pytest.raises(EvalError, match="2 of 60 images got no answer"):
        judged(tmp_path, data, fails(model(127), lambda number: number == 7), rules=rules)


def test_what_is_answered_the_second_time_was_disturbed_and_counts(tmp_path: Path, data: str) -> None:
    seen: dict[int, int] = {}

    def once(number: int) -> bool:
        seen[number] = seen.get(number, 0) + 1
        return number == 7 and seen[number] < 4  # with three others, by itself; then it answers

    rules = "require:\n  errors: {at_most: 0}\n  accuracy: {at_least: 0.9}"
    told = judged(tmp_path, data, fails(model(127), once), rules=rules)
    assert told.code == 0, told.checks
    assert told.checks[0].message == "0, must be at most 0"


def test_what_answered_before_and_does_not_now_is_no_fault_of_the_model(tmp_path: Path, data: str) -> None:
    asked: list[int] = []

    def later(number: int) -> bool:
        asked.append(number)
        return number == 7 or len(asked) > 70  # everything fails once the data was asked about

    with pytest.raises(EvalError, match="does not answer now what it answered before"):
        judged(tmp_path, data, fails(model(127), later), rules="require:\n  errors: {at_most: 0}")


def test_many_that_some_answer_later_decide_nothing(tmp_path: Path, data: str) -> None:
    seen: dict[int, int] = {}

    def mostly(number: int) -> bool:
        seen[number] = seen.get(number, 0) + 1
        return number % 2 == 1 and seen[number] < 6

    rules = "require:\n  errors: {at_most: 0}"
    with pytest.raises(EvalError, match="the service was disturbed"):
        judged(tmp_path, data, fails(model(127), mostly), rules=rules)


def test_failures_that_come_now_and_then_are_its_own_fault(tmp_path: Path, data: str) -> None:
    """Asked about a picture again it answers, so the run has none; the baseline answered it meanwhile."""
    asked: list[int] = []

    def now_and_then(number: int) -> bool:
        asked.append(number)
        return len(asked) > 100 and len(asked) % 150 == 0

    rules = """
require:
  errors: {at_most: 0}
against:
  latency.p50_ms: {at_most_times: 10000}
latency: {pairs: 200}
"""
    told = judged(tmp_path, data, fails(model(127), now_and_then), rules=rules)
    assert told.code == 1
    found = told.checks[0]
    assert (found.name, found.verdict) == ("errors", "fail")
    assert found.message.endswith("; 1 while it was timed, at pictures that the baseline answered")


def revisions(shas: Callable[[int], str]) -> Speak:
    """One address that leads to several: what it says of its graph depends on how often it was looked at."""
    looks: list[str] = []

    def speak(request: Request) -> Reply:
        told = model(127)(request)
        if request.path != "/models":
            return told
        looks.append(request.path)
        return Reply(200, told.body.replace(b'"sha256": "0"', f'"sha256": "{shas(len(looks))}"'.encode()))

    return speak


@pytest.mark.parametrize("from_look", [3, 7, 12])
def test_an_address_that_leads_to_another_revision_meanwhile(
    tmp_path: Path, data: str, from_look: int
) -> None:
    """Else the one would be found right, and another robust or fast; looked at at every step."""
    with pytest.raises(EvalError, match=r"now one model, now another|became another"):
        judged(tmp_path, data, revisions(lambda look: "abcd"[look >= from_look]))


def test_a_model_is_not_held_against_itself(tmp_path: Path, data: str) -> None:
    """Two versions behind one address, and nobody said which: it would always pass."""
    (tmp_path / "rules.yaml").write_text(RULES)

    async def ask() -> Verdicts:
        async with Service(model(127)).served() as url:
            sides = Subject(None, url, "m"), Subject(None, f"{url}/", None)
            return await gate(read_rules(tmp_path / "rules.yaml"), *sides, Asking(data=data))

    with pytest.raises(EvalError, match="subject and baseline are both m/3"):
        asyncio.run(ask())


@pytest.mark.parametrize("which", ["subject", "baseline"])
def test_one_that_is_gone_could_not_be_asked(tmp_path: Path, data: str, which: str) -> None:
    def gone(request: Request) -> Reply:
        return speakers.assay(request) if request.method == "GET" else error(500)

    one, other = (gone, model(127)) if which == "subject" else (model(127), gone)
    with pytest.raises(EvalError, match="500"):
        judged(tmp_path, data, one, other)


def test_a_host_that_nobody_allowed_is_refused_before_anything_is_asked(tmp_path: Path, data: str) -> None:
    (tmp_path / "rules.yaml").write_text(RULES)
    rules = read_rules(tmp_path / "rules.yaml")
    near, far = Subject(None, "http://127.0.0.1:1", "m", 3), Subject(None, "http://canary:80", "m", 3)
    for sides in ((far, near), (near, far)):
        with pytest.raises(NotAuthorised, match="--authorised canary"):
            asyncio.run(gate(rules, *sides, Asking(data=data)))
    require_live(rules, near, far, Live(Asking(), authorised=["canary"]))


def test_what_was_recorded_cannot_be_timed(tmp_path: Path) -> None:
    data = pictures(tmp_path / "data", (2, 2, 2))
    run = Subject(recording(tmp_path / "run", data, classified([0, 0, 1, 1, 2, 2])))
    (tmp_path / "rules.yaml").write_text("against:\n  latency.p50_ms: {at_most_times: 2}")
    with pytest.raises(EvalError, match="both sides must be live"):
        asyncio.run(gate(read_rules(tmp_path / "rules.yaml"), run, run, Asking()))

"""A whole audit: what it says, that it goes on where it stopped, and that nothing but the plan decides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
import pytest

from eval.auditing import beside, run
from eval.auditing.plan import Audit
from eval.checks.endpoint import endpoint_queries
from eval.errors import EndpointError, EvalError, Gone, NotAuthorised
from eval.pool import Pace
from eval.recorded import JOURNAL
from eval.report.document import Report
from eval.target import Access, Target
from models.decoding import encode_png
from models.results import Array, Classification

LABELS = ("dark", "light")
ACCESS = Access("http://127.0.0.1:1")
TARGET = Target("http://127.0.0.1:1", "shade", 3, "classification", LABELS, "0" * 64, {}, ACCESS)
ASKED = Audit(
    epsilon=30, attacks="uniform_noise,square,rays", corruptions="brightness", severities="1,5", budget=40
)


@dataclass
class Shade:
    """Tells how light a picture is, in the middle more than at its edge; gone after `most` requests."""

    most: int = 10**9
    requests: int = 0
    asked: list[bytes] = field(default_factory=list)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass

    async def predict(self, images: Sequence[Array]) -> list[Classification]:
        self.requests += 1
        if self.requests > self.most:
            raise Gone("nobody listens")
        self.asked += [image.tobytes() for image in images]
        return [self._answer(image) for image in images]

    @staticmethod
    def _answer(image: Array) -> Classification:
        middle = float(image[2:-2, 2:-2].mean()) * 0.7 + float(image.mean()) * 0.3
        light = 1 / (1 + np.exp((127.5 - middle) / 20))
        return Classification(np.array([1 - light, light], np.float32))


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> str:
    root, rng = tmp_path_factory.mktemp("data"), np.random.default_rng(0)
    for label, middle in zip(LABELS, (90, 165), strict=True):
        (root / label).mkdir()
        for number in range(12):
            level = int(np.clip(rng.normal(middle, 20), 40, 215))
            picture = np.clip(rng.normal(level, 12, (8, 7 + number % 3, 3)), 0, 255).astype(np.uint8)
            (root / label / f"{number:02}.png").write_bytes(encode_png(picture))
    return f"folder:{root}"


@pytest.fixture
def ask(data: str, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Report]:
    async def target_of(*_: object) -> Target:
        return TARGET

    def asks(endpoint: Shade, asked: Audit = ASKED, **options: Any) -> Report:
        for module in (run, beside):
            monkeypatch.setattr(module, "target_of", target_of)
            monkeypatch.setattr(module, "endpoint_of", lambda *_: endpoint)
        return asyncio.run(run.audit(ACCESS, data, asked, **options))

    return asks


def test_it_says_what_became_of_everything(ask: Callable[..., Report]) -> None:
    endpoint = Shade()
    report = ask(endpoint)
    figures = report.figures
    clean, robust = (figures[f"audit.shade.3.{name}_accuracy"] for name in ("clean", "robust"))
    assert clean is not None
    assert robust is not None
    assert 0 <= robust < clean <= 1
    assert figures["audit.shade.3.reverify_rate"] == 1
    assert figures["audit.shade.3.square.robust_accuracy"] >= robust  # type: ignore[operator]
    assert figures["audit.shade.3.corruption.brightness.5"] is not None
    assert report.valid
    titles = [section.title for section in report.sections]
    assert titles[0] == "Can this be believed?"
    assert titles[-1] == "What it cost"
    spent = report.sections[-1].tables[0].rows
    assert figures["audit.shade.3.queries"] == sum(
        int(str(row["queries"])) for row in spent if row["part"] != "all"
    )
    assert figures["audit.shade.3.queries"] == len(endpoint.asked)
    assert "--epsilon 30 --attacks uniform_noise,square,rays" in str(report.manifest["command"])


@pytest.mark.parametrize("pace", [Pace(1, 1), Pace(7, 3), Pace(64, 4)], ids=str)
def test_the_pace_changes_nothing(ask: Callable[..., Report], pace: Pace) -> None:
    assert ask(Shade(), pace=pace).to_json() == ask(Shade()).to_json()


def test_it_goes_on_where_it_stopped(ask: Callable[..., Report], tmp_path: Path) -> None:
    whole, asked, report = ask(Shade()), 0, None
    for most in (1, 9, 30, 60, 90, 10**9):
        endpoint = Shade(most)
        try:
            report = ask(endpoint, out=tmp_path, resume=True, pace=Pace(16, 2))
        except EndpointError:
            asked += len(endpoint.asked)
            continue
        asked += len(endpoint.asked)
        break
    assert report is not None
    assert report.to_json() == whole.to_json()
    most_lost = 5 * 2 * 16 + endpoint_queries(8)  # requests under way, and flags that were not all asked
    assert asked <= whole.figures["audit.shade.3.queries"] + most_lost  # type: ignore[operator]
    again = Shade(0)
    assert ask(again, out=tmp_path, resume=True).to_json() == whole.to_json()
    assert not again.asked


def test_another_audit_is_not_written_over(ask: Callable[..., Report], tmp_path: Path) -> None:
    with pytest.raises(EndpointError):
        ask(Shade(20), replace(ASKED, epsilon=31), out=tmp_path)
    with pytest.raises(EndpointError):
        ask(Shade(400), out=tmp_path)  # of the first nothing had been kept
    with pytest.raises(EvalError, match=r"did not end; go on with --resume"):
        ask(Shade(), out=tmp_path)
    with pytest.raises(EvalError, match="another epsilon"):
        ask(Shade(), replace(ASKED, epsilon=31), out=tmp_path, resume=True)
    assert (tmp_path / JOURNAL).is_file()
    ask(Shade(), out=tmp_path, resume=True)
    ask(Shade(), out=tmp_path)  # what has ended may be done again


def test_all_queries_keep_to_the_limit(ask: Callable[..., Report]) -> None:
    endpoint = Shade()
    report = ask(endpoint, replace(ASKED, max_queries=3000, budget=None, curve=False))
    assert len(endpoint.asked) <= 3000
    assert "--budget" in str(report.manifest["command"])  # who repeats it needs no limit


def test_only_hosts_that_agreed(data: str) -> None:
    with pytest.raises(NotAuthorised, match=r"--authorised elsewhere\.org"):
        asyncio.run(run.audit("http://elsewhere.org", data, ASKED))

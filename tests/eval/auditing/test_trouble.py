"""Whole audits in trouble: bad files, bad records, bad answers, and versions that are not there."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from eval.auditing import run
from eval.auditing.record import AuditRecord
from eval.auditing.subject import digest_of_data, opened
from eval.checks.endpoint import endpoint_queries
from eval.data.tables import open_data
from eval.errors import DatasetError, EndpointError, EvalError
from eval.recorded import JOURNAL, Request
from eval.report.document import Report
from eval.target import Target
from models.decoding import encode_png
from models.results import Array, Classification
from tests.eval.auditing.test_run import ASKED, LABELS, TARGET, Shade, ask, data

__all__ = ["ask", "data"]  # fixtures

AFTER_FLAGS = 400  # requests


def test_a_picture_that_cannot_be_read_is_told_before_anything_is_asked(tmp_path: Path) -> None:
    for label in LABELS:
        (tmp_path / label).mkdir()
        whole = encode_png(np.full((8, 8, 3), 90, np.uint8))
        (tmp_path / label / "0.png").write_bytes(whole if label == "dark" else whole[:40])
    broken = open_data(f"folder:{tmp_path}", "classification")
    with pytest.raises(DatasetError, match=r"light/0\.png of folder:.* cannot be read"):
        digest_of_data(broken)


def test_too_few_answers_are_told(ask: Callable[..., Report]) -> None:
    class Short(Shade):
        async def predict(self, images: Sequence[Array]) -> list[Classification]:
            return (await super().predict(images))[:-1]

    with pytest.raises(EndpointError, match="must be 1 answers, one an image, got 0"):
        ask(Short())


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE turns SET verdicts = X'00'",
        "UPDATE turns SET verdicts = verdicts || verdicts",
        "UPDATE outcomes SET facts = X'00'",
        "UPDATE outcomes SET picture = X'00' WHERE picture IS NOT NULL",
        "UPDATE found SET body = '['",
    ],
)
def test_a_damaged_record_is_told(ask: Callable[..., Report], tmp_path: Path, damage: str) -> None:
    with pytest.raises(EndpointError):
        ask(Shade(AFTER_FLAGS), out=tmp_path)
    with sqlite3.connect(tmp_path / JOURNAL) as connection:
        assert connection.execute(damage).rowcount > 0
    with pytest.raises(EvalError, match=r"damaged|is not what it asks now"):
        ask(Shade(), out=tmp_path, resume=True)


@pytest.mark.parametrize("what", ["release_of", "digest_of_data"])
def test_it_does_not_go_on_in_another_release_or_with_other_data(
    ask: Callable[..., Report], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str
) -> None:
    with pytest.raises(EndpointError):
        ask(Shade(AFTER_FLAGS), out=tmp_path)
    monkeypatch.setattr(run, what, lambda *_: "another")
    with pytest.raises(EvalError, match=r"another (release of Assay|data_digest)"):
        ask(Shade(), out=tmp_path, resume=True)


def test_nothing_kept_is_nothing_lost(ask: Callable[..., Report], tmp_path: Path) -> None:
    """What ended before it had begun, with a wrong option say, stands in nobody's way."""
    with pytest.raises(EndpointError):
        ask(Shade(3), replace(ASKED, epsilon=9), out=tmp_path)
    with AuditRecord.open(tmp_path / JOURNAL) as record:
        assert record.empty
    assert ask(Shade(), out=tmp_path).to_json() == ask(Shade()).to_json()
    with AuditRecord.open(tmp_path / JOURNAL) as record:
        assert not record.empty


def test_flags_are_counted_as_they_were_asked(ask: Callable[..., Report]) -> None:
    """On the pictures that can come to the goal, which may be fewer than the data has."""
    endpoint = Shade()
    aimed = replace(ASKED, goals="targeted:light", attacks="square", samples=15, curve=False)
    report = ask(endpoint, aimed)
    assert report.figures["audit.shade.3.queries"] == len(endpoint.asked)
    few = replace(aimed, samples=3)
    spent = next(row for row in ask(Shade(), few).sections[-1].tables[0].rows if row["part"] == "flags")
    assert spent["queries"] == endpoint_queries(3)


@pytest.mark.parametrize(
    ("own", "message"),
    [
        ({"labels": ("light", "dark")}, "must have the task and the classes"),
        ({"access": replace(TARGET.access, kind="template")}, "a template describes one"),
    ],
    ids=["classes", "template"],
)
def test_the_reference_of_mce_is_looked_at_first(
    data: str, monkeypatch: pytest.MonkeyPatch, own: dict[str, Any], message: str
) -> None:
    """Not after hours of attacks. A template would ask the same model for both versions."""

    async def target_of(_: object, __: object, number: int | None) -> Target:
        return replace(TARGET, **own) if number == 2 or "access" in own else TARGET

    monkeypatch.setattr(run, "target_of", target_of)
    asked = replace(ASKED, mce="version:2")
    for ends_before_asking in (run.audit, run.estimate):
        with pytest.raises(EvalError, match=message):
            asyncio.run(ends_before_asking(TARGET.access, data, asked))


def test_a_worker_with_other_data_attacks_nothing(tmp_path: Path) -> None:
    for label in LABELS:
        (tmp_path / label).mkdir()
        for number in range(2):
            picture = encode_png(np.full((8, 8, 3), 90 + number, np.uint8))
            (tmp_path / label / f"{number}.png").write_bytes(picture)
    request = Request(TARGET, f"folder:{tmp_path}")
    digest = digest_of_data(request.dataset())
    assert len(opened(request, "untargeted", 0, digest)) == 4
    (tmp_path / "dark" / "0.png").write_bytes(encode_png(np.full((8, 8, 3), 91, np.uint8)))
    with pytest.raises(DatasetError, match="other data for a worker"):
        opened(request, "untargeted", 1, digest)

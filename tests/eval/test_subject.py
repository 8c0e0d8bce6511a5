"""What may be compared: a folder, or an address with a model; anything else says what is missing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from eval.errors import EvalError
from eval.subject import Asking, Subject, run_of, subject_of
from tests.eval.recordings import classified, pictures, recording

URL = "http://127.0.0.1:3000"


@pytest.mark.parametrize(
    ("told", "meant"),
    [
        (f"{URL}#digits/2", Subject(None, URL, "digits", 2)),
        (f"{URL}#digits", Subject(None, URL, "digits", 7)),
        (f"{URL}#org/digits/12", Subject(None, URL, "org/digits", 12)),
        (f"{URL}#org/digits", Subject(None, URL, "org/digits", 7)),
        (f"{URL}/path#digits/1", Subject(None, f"{URL}/path", "digits", 1)),
        (URL, Subject(None, URL, "other", 7)),
        (f"{URL}#", Subject(None, URL, "other", 7)),
    ],
)
def test_an_address_names_its_model(told: str, meant: Subject) -> None:
    subject = subject_of(told, "other", 7)
    assert subject == meant
    assert subject.live


def test_a_folder_is_a_run(tmp_path: Path) -> None:
    assert subject_of(str(tmp_path)) == Subject(tmp_path)
    assert not subject_of(str(tmp_path)).live


def test_what_is_neither_is_told(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match="URL#MODEL/VERSION; there is no such folder"):
        subject_of(str(tmp_path / "none"))


def test_a_live_one_needs_data(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match="--data"):
        asyncio.run(run_of(subject_of(URL), Asking(), tmp_path))


def test_a_run_that_did_not_end_is_no_subject(tmp_path: Path) -> None:
    data = pictures(tmp_path / "data", (2, 1, 1))
    folder = recording(tmp_path / "run", data, classified([0, 0]))
    with pytest.raises(EvalError, match="toy/1 with 2 of 4 images; go on with `assay evaluate --resume`"):
        asyncio.run(run_of(Subject(folder), Asking(), tmp_path))


def test_a_folder_without_a_run_is_told(tmp_path: Path) -> None:
    with pytest.raises(EvalError, match=r"no run in .*journal\.sqlite"):
        asyncio.run(run_of(Subject(tmp_path), Asking(), tmp_path))

"""`assay report`: a run's reports again, from its record or from report.json, in every form."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from eval.cli import cli
from eval.collect import digest_of, truth_of
from eval.commands import report as verb
from eval.journal import Journal, Row
from eval.packed import pack
from eval.recorded import JOURNAL, Request
from eval.report.document import Report
from eval.report.forms import FORMS, checks_of, read_report
from eval.report.html import CLOCK
from eval.target import Access, Target
from models.results import Classification
from tests.eval.report.test_report import full

URL, COUNT = "http://127.0.0.1:1", 12
DIGITS = tuple("0123456789")
TARGET = Target(URL, "digits", 1, "classification", DIGITS, "0" * 64, {}, Access(URL))


def run(*words: object) -> Result:
    return CliRunner().invoke(cli, ["report", *map(str, words)])


def recorded_run(folder: Path) -> Path:
    """A dozen digits, every third answered wrongly."""
    request = Request(TARGET, "digits:test", COUNT)
    data = request.dataset()
    with Journal.create(folder / JOURNAL, request.told(COUNT)) as journal:
        journal.mark("started", 1000.0)
        for place, sample in enumerate(data):
            assert isinstance(sample.expected, int)
            label = (sample.expected + (place % 3 == 0)) % 10
            answer = pack(Classification((np.eye(10)[label] * 0.9 + 0.01).astype(np.float32)))
            digests = digest_of(sample.file), truth_of(sample.expected)
            row = Row(place, sample.id, *digests, answer, seconds=0.01 * (place + 1))
            journal.add([row])
        journal.mark("finished", 1002.5)
    return folder


@pytest.fixture
def written_run(tmp_path: Path) -> Path:
    """A folder with report.json and clock.json and nothing else."""
    report = full()
    (tmp_path / "report.json").write_text(report.to_json(), encoding="utf-8")
    (tmp_path / "clock.json").write_text(json.dumps(dict(report.clock)), encoding="utf-8")
    return tmp_path


def test_a_record_gives_the_whole_report_with_its_pictures_and_its_clock(tmp_path: Path) -> None:
    folder = recorded_run(tmp_path)
    done = run(folder)
    assert done.exit_code == 0, done.output
    names = ["report.html", "report.md", "report.json"]
    assert done.output.splitlines() == [f"wrote {folder / name}" for name in names]
    first = [(folder / name).read_bytes() for name in names]
    assert run(folder, "--out", tmp_path / "again").exit_code == 0
    assert [(tmp_path / "again" / name).read_bytes() for name in names] == first
    page = first[0].decode()
    assert page.count("data:image/png;base64,") == 4  # wrong answers
    (clock,) = CLOCK.findall(page)
    assert "2.5000" in clock
    assert "p50 ms" in clock
    assert "p50" not in CLOCK.sub("", page)
    figures = json.loads(first[2])["figures"]
    assert figures["digits.1.accuracy"] == pytest.approx(8 / 12)


def test_report_json_gives_all_but_pictures(written_run: Path) -> None:
    forms = [word for form in FORMS for word in ("--as", form)]
    done = run(written_run, "--out", written_run / "out", *forms)
    assert done.exit_code == 0, done.output
    assert {path.name for path in (written_run / "out").iterdir()} == {name for name, _ in FORMS.values()}
    out = {
        form: (written_run / "out" / name).read_text(encoding="utf-8") for form, (name, _) in FORMS.items()
    }
    assert out["json"] == full().to_json()
    assert "<img" not in out["html"]
    assert "seconds" in CLOCK.findall(out["html"])[0]
    assert ET.fromstring(out["junit"].encode()).attrib["failures"] == "2"
    assert out["card"].startswith("---\n")
    assert "trust" not in out["summary"]


def test_a_page_with_pictures_is_not_overwritten_by_one_without(written_run: Path) -> None:
    (written_run / "report.html").write_text("pictures", encoding="utf-8")
    done = run(written_run, "--as", "html")
    assert done.exit_code == 1
    assert "would lose its pictures; choose another --out" in done.output
    assert (written_run / "report.html").read_text(encoding="utf-8") == "pictures"
    assert run(written_run).exit_code == 0
    assert (written_run / "report.md").is_file()


@pytest.mark.parametrize(
    ("files", "why"),
    [
        ({}, "must hold the record or the report.json of a run, got neither"),
        ({"report.json": "{}"}, "must have schema 2"),
        ({"report.json": "{"}, "cannot be read"),
        ({"report.json": '{"schema": 2}'}, "cannot be read"),
        ({"report.json": full().to_json(), "clock.json": "[1"}, "cannot be read"),
        ({"report.json": full().to_json(), "clock.json": "[1]"}, "cannot be read"),
    ],
)
def test_what_is_no_run_is_told_in_one_line(tmp_path: Path, files: dict[str, str], why: str) -> None:
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    done = run(tmp_path)
    assert done.exit_code == 1
    assert why in done.output
    assert len(done.output.splitlines()) == 1


def test_a_place_that_cannot_be_written_is_told(written_run: Path) -> None:
    (written_run / "file").write_text("", encoding="utf-8")
    done = run(written_run, "--out", written_run / "file" / "below")
    assert done.exit_code == 1
    assert "cannot be written" in done.output


def test_checks_are_validity_and_flags() -> None:
    verdicts = [check.verdict for check in checks_of(full())]
    assert verdicts == ["pass", "fail", "pass", "inconclusive"]
    assert [check.verdict for check in checks_of(Report("r", {}, valid=False))] == ["fail"]


def test_the_command_offers_every_form() -> None:
    assert set(verb.FORMS) == set(FORMS)


def test_what_is_read_is_what_was_written(written_run: Path) -> None:
    assert read_report(written_run).to_json() == full().to_json()

"""Two versions of the zoo, asked through the real command line: compared, put to the gate, interrupted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from eval.journal import Journal, progress
from eval.served import ROOT, served

DATA = Path(os.environ.get("ASSAY_DATA_DIR", "../shared/data"))
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with served() as address:
        yield address


def assay(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "eval", *map(str, words), "--quiet"]
    return subprocess.run(  # our own words only
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False, env=os.environ
    )


def figures(folder: Path) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((folder / "report.json").read_text())["figures"]
    return told


def test_digits_1_and_2(url: str, tmp_path: Path) -> None:
    """What the live comparison says, the recorded one says byte for byte; and a gate on either."""
    live, again = tmp_path / "live", tmp_path / "again"
    done = assay("compare", f"{url}#digits/1", f"{url}#digits/2", "--data", "digits:test", "--out", live)
    assert done.returncode == 0, done.stderr
    told = figures(live)
    assert told["compare.images"] == 1000
    assert told["compare.lost"] + told["compare.gained"] <= told["compare.churn"] * 1000
    assert told["compare.difference.accuracy"] == pytest.approx(
        (told["compare.gained"] - told["compare.lost"]) / 1000
    )
    assert assay("compare", live / "a", live / "b", "--out", again).returncode == 0
    for name in ("report.json", "report.md"):
        assert (live / name).read_bytes() == (again / name).read_bytes()
    exits = {
        "require:\n  accuracy: {at_least: 0.9}\nagainst:\n  accuracy: {not_worse_by: 0.03}": 0,
        "require:\n  accuracy: {at_least: 0.999}": 1,
        "against:\n  accuracy: {not_worse_by: 0.0001}": 3,
        "require:\n  latency.p95_ms: {at_most: 60000}\n  errors: {at_most: 0}": 0,
        "require:\n  accurazy: {at_least: 0}": 2,
    }
    rules = tmp_path / "gate.yaml"
    for text, code in exits.items():
        rules.write_text(text)
        done = assay("gate", rules, live / "b", "--baseline", live / "a")
        assert done.returncode == code, done.stdout + done.stderr
    rules.write_text(next(iter(exits)))
    done = assay(
        "gate", rules, f"{url}#digits/2", "--baseline", live / "a", "--data", "digits:test", "--out",
        tmp_path / "gated",
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert progress(tmp_path / "gated" / "subject" / "journal.sqlite") is not None


def test_a_comparison_that_was_interrupted_goes_on(url: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    words = ["compare", f"{url}#digits/1", f"{url}#digits/2", "--data", "digits:test", "--limit", "300"]
    paced = [*words, "--out", str(out), "--quiet"]
    with subprocess.Popen(
        [sys.executable, "-m", "eval", *paced, "--max-qps", "150", "--batch", "4"], cwd=ROOT, env=os.environ
    ) as process:
        while process.poll() is None and not _half_way(out / "b" / "journal.sqlite"):
            os.sched_yield()
        process.send_signal(signal.SIGKILL)
        process.wait()
    before = progress(out / "b" / "journal.sqlite")
    assert before is not None
    assert 0 < before.done < 300
    kept = _seconds(out / "a" / "journal.sqlite"), _seconds(out / "b" / "journal.sqlite")
    refused = assay(
        *words[:2], words[2].replace("digits/2", "digits/3"), *words[3:], "--out", out, "--resume"
    )
    assert (refused.returncode, "another" in refused.stderr) == (1, True)
    resumed = assay(*words, "--out", out, "--resume")
    assert resumed.returncode == 0, resumed.stderr
    assert _seconds(out / "a" / "journal.sqlite") == kept[0]  # nothing was asked again
    assert kept[1].items() <= _seconds(out / "b" / "journal.sqlite").items()
    assert assay(*words, "--out", tmp_path / "fresh").returncode == 0
    assert (out / "report.json").read_bytes() == (tmp_path / "fresh" / "report.json").read_bytes()


def _half_way(path: Path) -> bool:
    told = progress(path)
    return told is not None and told.done >= 8


def _seconds(path: Path) -> dict[int, float]:
    """How long each answer took, which no second answer would repeat."""
    with Journal.open(path) as journal:
        return {row.place: row.seconds for row in journal.rows() if row.answer is not None}


def test_the_fragile_model_fails_where_the_robust_one_passes(url: str, tmp_path: Path) -> None:
    """The shipped example, on an audit of each: robust accuracy by the interval of its headline."""
    rules = (ROOT / "deploy" / "gate" / "robustness.yaml").read_text()
    for version, code in ((1, 1), (2, 0)):
        out, gate = tmp_path / f"audit{version}", tmp_path / f"{version}.yaml"
        gate.write_text(rules.replace("digits.2", f"digits.{version}"))
        sized = ("--epsilon", 76, "--samples", 30, "--budget", 60, "--corruptions", "")
        asked = ("--model", "digits", "--version", version, "--data", "digits:test", *sized, "--out", out)
        assert assay("audit", url, *asked).returncode == 0
        done = assay("gate", gate, out)
        assert done.returncode == code, done.stdout + done.stderr


@pytest.mark.skipif(not (DATA / "cifar10_jpeg").is_dir(), reason="needs cifar10_jpeg in $ASSAY_DATA_DIR")
def test_cifar10_1_and_2(url: str, tmp_path: Path) -> None:
    """Real photographs: the two versions differ and the report says where, with pictures."""
    archive = DATA / "cifar10_jpeg" / "test_a.tar.gz"
    sides = (f"{url}#cifar10/1", f"{url}#cifar10/2")
    more = ("--limit", 400, "--slice", "class", "--out", tmp_path)
    done = assay("compare", *sides, "--data", f"tar:{archive}", *more)
    assert done.returncode == 0, done.stderr
    told = figures(tmp_path)
    assert told["compare.images"] == 400
    assert 0 < told["compare.churn"] < 0.5
    low, high = (told[f"compare.difference.{side}.accuracy"] for side in ("low", "high"))
    assert low < told["compare.difference.accuracy"] < high
    assert "data:image/" in (tmp_path / "report.html").read_text()

"""A whole run on the digits over HTTP: a planted wreck is refused, what passed is published, proven."""

from __future__ import annotations

import hashlib
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from eval.data.tables import open_data
from eval.errors import EvalError
from eval.metrics.paired import paired_difference
from eval.optimise.gate import Verdict
from eval.optimise.keep import card_facts, keep
from eval.optimise.measure import cpus
from eval.optimise.plan import Plan, drawn
from eval.optimise.run import Optimised, optimise
from eval.report.document import Report
from eval.report.html import to_html
from eval.report.markdown import to_markdown
from eval.report.optimise import optimise_report
from models.cli import ZOO
from models.decoding import decode
from models.optimise.calibration import digest_of
from models.optimise.candidates import Candidate
from models.repository import Version, newest, open_version, read_version, versions

pytestmark = pytest.mark.slow
PLAN = Plan(
    "digits:train",
    "digits:test",
    calibration_images=32,
    limit=200,
    margin=0.05,
    rounds=5,
    seconds=0.02,
    budget=5,
    samples=8,
    faster=1.0,
    only=("int8-u8s8", "ort-format", "two-bit", "broken"),
)


def two_bits(graph: bytes) -> bytes:
    """Weights on four levels: what a careless quantiser makes."""
    model = onnx.load_from_string(graph)
    for tensor in model.graph.initializer:
        weights = numpy_helper.to_array(tensor)
        if weights.ndim >= 2 and weights.dtype.kind == "f":
            step = np.abs(weights).max() / 1.5
            coarse = (np.clip(np.floor(weights / step), -2, 1) + 0.5) * step
            tensor.CopyFrom(numpy_helper.from_array(coarse.astype(weights.dtype), tensor.name))
    data: bytes = model.SerializeToString()
    return data


@pytest.fixture(scope="module")
def version() -> Version:
    return read_version(ZOO / "digits" / "1")


@pytest.fixture(scope="module")
def done(version: Version) -> Optimised:
    graph = version.model_path.read_bytes()
    planted = [Candidate("two-bit", lambda: two_bits(graph)), Candidate("broken", lambda: b"no graph")]
    return optimise(version, PLAN, more=planted)


def test_every_candidate_has_evidence_or_a_reason(done: Optimised) -> None:
    assert [e.name for e in done.evidence] == ["fp32", "int8-u8s8", "two-bit"]
    assert done.refused.keys() == {"ort-format", "broken"}
    assert all("does not serve" in reason for reason in done.refused.values())
    for one in done.evidence:
        assert len(one.speed.images_per_s) == PLAN.rounds
        assert one.score.support == PLAN.limit
        assert one.ece is not None
    assert done.evidence[1].size_bytes < 0.6 * done.evidence[0].size_bytes  # whose kernels are float16
    assert done.sent == "raw uint8 pixels 28 x 28"
    chosen = 1 + (done.kept is not None)
    assert len(done.threads) == (2 * chosen if cpus() > 1 else 0)


def test_the_planted_wreck_is_refused_for_its_answers(done: Optimised) -> None:
    wreck, verdict = done.evidence[2], done.verdicts[2]
    assert not verdict.passed
    assert "the lower bound must be above -0.05, it is worse" in verdict.reason
    assert wreck.difference is not None
    assert wreck.difference.value is not None
    assert wreck.difference.value < -0.1
    assert wreck.robust is None  # refused already: not attacked
    assert done.kept is not wreck


def test_differences_are_those_of_the_graphs(done: Optimised, version: Version, tmp_path: Path) -> None:
    """The same answers without HTTP, compared without the run."""
    data = list(drawn(open_data(PLAN.data, "classification"), PLAN.limit, PLAN.seed))
    base = open_version(version)
    folder = tmp_path / "digits" / "2"
    shutil.copytree(version.folder, folder)
    (folder / "model.onnx").write_bytes(done.graphs["int8-u8s8"])
    sha = hashlib.sha256(done.graphs["int8-u8s8"]).hexdigest()
    facts = {"version": 2, "sha256": sha, "golden": None}
    version.card.model_copy(update=facts).write(folder / "card.json")
    images = [decode(sample.file) for sample in data]
    first, second = open_version(read_version(folder)).predict(images), base.predict(images)
    told = paired_difference("classification", version.card.labels, first, second, [s.expected for s in data])
    assert done.evidence[1].difference == told


def test_the_report_says_it_all(done: Optimised, version: Version) -> None:
    report = optimise_report(version.card, PLAN, done)
    page, text = to_html(report), to_markdown(report)
    for name in ("fp32", "int8-u8s8", "two-bit", "ort-format", "broken"):
        assert name in page
        assert name in text
    assert "Speed against accuracy" in page
    assert page.count("<circle") == 3
    again = Report.from_json(report.to_json())
    assert again.figures["optimise.digits.1.two-bit.passed"] == 0.0
    assert again.manifest["calibration_sha256"] == done.evidence[1].facts["calibration_sha256"]


@pytest.fixture
def passed(done: Optimised) -> Optimised:
    """As if int8 had been faster, which on a busy machine a net this small need not be."""
    verdicts = [Verdict(e.name == "int8-u8s8", "") for e in done.evidence]
    one = replace(done.evidence[1], robust=done.evidence[0].robust)
    return replace(done, kept=one, verdicts=verdicts)


def test_what_is_kept_proves_itself_and_carries_its_evidence(
    passed: Optimised, version: Version, tmp_path: Path
) -> None:
    shutil.copytree(version.folder, tmp_path / "digits" / "1")
    made = keep(tmp_path, version, passed, PLAN)
    found = newest(versions(tmp_path), "digits")
    assert found == made
    assert (found.card.version, found.card.claims, found.card.labels) == (2, (), version.card.labels)
    open_version(found)
    told = found.card.training
    data = drawn(open_data(PLAN.calibration, "classification"), PLAN.calibration_images, PLAN.seed)
    assert told["optimised.calibration_sha256"] == digest_of(decode(s.file) for s in data)
    assert told["optimised.calibration"] == "digits:train"
    assert told["optimised.calibration_images"] == 32
    assert told["optimised.types"] == "u8 x s8 per channel"
    assert told["optimised.from"] == "digits/1"
    assert told["optimised.from_sha256"] == version.card.sha256
    assert {"optimised.speedup", "optimised.difference_low", "optimised.robust_accuracy"} <= told.keys()
    assert told.items() >= version.card.training.items()


def test_no_picture_of_the_data_is_published(passed: Optimised, version: Version, tmp_path: Path) -> None:
    """The golden picture is that of the version it came from; so is what its proof allows, at least."""
    shutil.copytree(version.folder, tmp_path / "digits" / "1")
    made = keep(tmp_path, version, passed, PLAN)
    with np.load(made.folder / "golden.npz") as mine, np.load(version.folder / "golden.npz") as theirs:
        np.testing.assert_array_equal(mine["image"], theirs["image"])
    assert made.card.golden is not None
    assert version.card.golden is not None
    assert made.card.golden.tolerance >= version.card.golden.tolerance


def test_a_claim_is_made_of_whole_data_only(passed: Optimised, version: Version, tmp_path: Path) -> None:
    shutil.copytree(version.folder, tmp_path / "digits" / "1")
    (claim,) = keep(tmp_path, version, passed, replace(PLAN, limit=None)).card.claims
    assert (claim.metric, claim.data) == ("accuracy", "digits:test")
    assert claim.value == passed.evidence[1].score.value


def test_nothing_passed_is_not_kept(done: Optimised, version: Version, tmp_path: Path) -> None:
    none = replace(done, kept=None)
    with pytest.raises(ValueError, match="must pass the gate"):
        keep(tmp_path, version, none, PLAN)
    assert card_facts(version, none, PLAN) == {}


def test_an_unknown_candidate_is_refused(version: Version) -> None:
    with pytest.raises(EvalError, match="candidates must be some of fp32, folded"):
        optimise(version, replace(PLAN, only=("int4",)))

"""The shipped zoo through HTTP: claims hold, PyTorch agrees, the control pair is told apart."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import replace

import pytest

from eval.attacks.wave import Limits
from eval.audits import Audit, audit
from eval.claims import DATA
from eval.demo import AUDIT
from eval.parity import TOLERANCE, parity
from eval.report.document import Report
from eval.runs import evaluate
from models.cli import ZOO
from models.repository import Version, versions
from tests.e2e.processes import running_service

pytestmark = pytest.mark.slow
SHIPPED = [v for v in versions(ZOO) if v.card.name in DATA]
EACH = pytest.mark.parametrize("version", SHIPPED, ids=lambda v: f"{v.card.name}-{v.card.version}")
BARS = {
    "digits.1.accuracy": 0.97,
    "digits.2.accuracy": 0.95,
    "scenes-detector.1.ap50": 0.85,
    "scenes-detector.1.ap": 0.60,
    "scenes-segmenter.1.miou": 0.85,
}


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_service(tmp_path_factory.mktemp("home")) as url:
        yield url


@pytest.fixture(scope="module")
def reports(url: str) -> dict[str, Report]:
    """One evaluation of every version."""

    def run(version: Version) -> Report:
        name, number = version.card.name, version.card.version
        return asyncio.run(evaluate(url, DATA[name], model=name, number=number))

    return {f"{v.card.name}.{v.card.version}": run(v) for v in SHIPPED}


@EACH
def test_claims_hold(reports: dict[str, Report], version: Version) -> None:
    name = f"{version.card.name}.{version.card.version}"
    assert reports[name].valid
    assert version.card.claims
    for claim in version.card.claims:
        # A thousandth: another CPU may turn one answer in a thousand.
        assert reports[name].figures[f"{name}.{claim.metric}"] == pytest.approx(claim.value, abs=2e-3)


@pytest.mark.parametrize("figure", BARS)
def test_bars_are_cleared(reports: dict[str, Report], figure: str) -> None:
    value = reports[figure.rsplit(".", 1)[0]].figures[figure]
    assert value is not None
    assert value >= BARS[figure]


@EACH
def test_live_answers_are_pytorchs(url: str, version: Version) -> None:
    name, number = version.card.name, version.card.version
    reference = version.folder / "reference.npz"
    report = asyncio.run(parity(url, DATA[name], reference, model=name, number=number))
    (worst,) = report.figures.values()
    assert worst is not None
    assert worst <= TOLERANCE


def test_the_audit_tells_the_control_pair_apart(url: str) -> None:
    """Same seed, same budget; every success asked again on the bytes that were sent."""
    plan: Audit = replace(AUDIT, samples=60, corruptions=(), limits=Limits(budget=400))
    fragile, robust = (
        asyncio.run(audit(url, "digits:test", plan, model="digits", number=number)) for number in (1, 2)
    )
    weak, strong = (
        fragile.figures["audit.digits.1.robust_accuracy"],
        robust.figures["audit.digits.2.robust_accuracy"],
    )
    assert weak is not None
    assert strong is not None
    assert weak <= 0.15
    assert strong >= 0.60
    assert fragile.figures["audit.digits.1.reverify_rate"] == 1
    assert robust.figures["audit.digits.2.reverify_rate"] == 1

"""The shipped zoo through HTTP: claims hold, PyTorch agrees, the control pair is told apart."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from eval.auditing.plan import Audit
from eval.auditing.run import audit
from eval.claims import held_out
from eval.data.tables import located
from eval.demo import AUDIT
from eval.parity import TOLERANCE, parity
from eval.report.document import Report
from eval.runs import evaluate
from models.cli import ZOO
from models.repository import Version, versions
from tests.e2e.processes import running_service

pytestmark = pytest.mark.slow
SHIPPED = [v for v in versions(ZOO) if held_out(v.card)]
EACH = pytest.mark.parametrize("version", SHIPPED, ids=lambda v: f"{v.card.name}-{v.card.version}")
BARS = {
    "digits.1.accuracy": 0.97,
    "digits.2.accuracy": 0.95,
    "scenes-detector.1.ap50": 0.85,
    "scenes-detector.1.ap": 0.60,
    "scenes-segmenter.1.miou": 0.85,
    "scenes-detector.2.ap50": 0.85,
    "scenes-segmenter.2.miou": 0.85,
    "cifar10.1.accuracy": 0.86,
    "bccd.1.ap50": 0.80,
}


def data_of(version: Version) -> str:
    """What a version is measured on here; skips where that is in a data folder that is absent."""
    told = held_out(version.card) or ""
    if "ASSAY_DATA_DIR" in told and not Path(located("$ASSAY_DATA_DIR")).is_dir():
        pytest.skip(f"ASSAY_DATA_DIR has not {told}")
    return told


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    with running_service(tmp_path_factory.mktemp("home")) as url:
        yield url


@pytest.fixture(scope="module")
def reports(url: str) -> Callable[[str, int], Report]:
    """One evaluation of a version, made when it is asked for first."""

    @cache
    def run(name: str, number: int) -> Report:
        version = next(v for v in SHIPPED if (v.card.name, v.card.version) == (name, number))
        return asyncio.run(evaluate(url, data_of(version), model=name, number=number))

    return run


@EACH
def test_claims_hold(reports: Callable[[str, int], Report], version: Version) -> None:
    name = f"{version.card.name}.{version.card.version}"
    report = reports(version.card.name, version.card.version)
    assert report.valid
    assert version.card.claims
    for claim in version.card.claims:
        # A thousandth: another CPU may turn one answer in a thousand.
        assert report.figures[f"{name}.{claim.metric}"] == pytest.approx(claim.value, abs=2e-3)


@pytest.mark.parametrize("figure", BARS)
def test_bars_are_cleared(reports: Callable[[str, int], Report], figure: str) -> None:
    name, number, _ = figure.split(".")
    value = reports(name, int(number)).figures[figure]
    assert value is not None
    assert value >= BARS[figure]


@pytest.mark.parametrize(
    "version",
    [v for v in SHIPPED if "optimised.from" not in v.card.training],  # int8 is another function
    ids=lambda v: f"{v.card.name}-{v.card.version}",
)
def test_live_answers_are_pytorchs(url: str, version: Version) -> None:
    name, number = version.card.name, version.card.version
    reference = version.folder / "reference.npz"
    report = asyncio.run(parity(url, data_of(version), reference, model=name, number=number))
    (worst,) = report.figures.values()
    assert worst is not None
    assert worst <= TOLERANCE


def test_the_audit_tells_the_control_pair_apart(url: str) -> None:
    """Same seed, same budget; every success asked again on the bytes that were sent."""
    plan: Audit = replace(
        AUDIT, samples=60, attacks="uniform_noise,square", corruptions="", curve=False, budget=400
    )
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

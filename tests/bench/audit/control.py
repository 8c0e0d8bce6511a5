"""The fragile digits against those trained to withstand attack, by every attack of the `standard` suite."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

import numpy as np

from eval.attacks.results import result_of
from eval.auditing.plan import Audit
from eval.auditing.record import AttackBook, AuditRecord
from eval.auditing.run import audit
from eval.auditing.suites import suite_of
from eval.data.tables import open_data
from eval.metrics.paired import tango
from eval.recorded import JOURNAL
from eval.served import served
from models.decoding import decode
from models.results import Array

__all__ = ["measure"]

SAMPLES, EPSILON, BUDGET = 100, 76.0, 500


def _standing(url: str, version: int, folder: Path, names: tuple[str, ...]) -> dict[str, Array]:
    """bool `(SAMPLES,)` for each attack: who still stands, read from the record of a whole audit."""
    asked = Audit(
        epsilon=EPSILON, suite="standard", samples=SAMPLES, budget=BUDGET, corruptions="", curve=False,
        stability=False,
    )  # fmt: skip
    asyncio.run(audit(url, "digits:test", asked, model="digits", number=version, out=folder))
    images = [decode(sample.file) for sample in open_data("digits:test", "classification").first(SAMPLES)]
    with AuditRecord.open(folder / JOURNAL) as record:
        books = {name: AttackBook(record, f"untargeted/{name}", images) for name in names}
        columns = {name: book.columns() for name, book in books.items()}
        return {
            name: result_of(name, "untargeted", None, *told).standing  # type: ignore[arg-type]  # not read
            for name, told in columns.items()
        }


def measure() -> dict[str, float | int | None]:
    """`control.attacks_separating`: attacks that leave surely more standing of digits/2 than of digits/1.

    Surely: the 95 % interval of the paired difference (Tango) lies above zero.
    """
    names = suite_of("standard", "classification", "linf").attacks
    with tempfile.TemporaryDirectory() as work, served() as url:
        fragile, robust = (_standing(url, version, Path(work) / str(version), names) for version in (1, 2))
    fragile["worst case"], robust["worst case"] = (
        np.logical_and.reduce(list(standing.values())) for standing in (fragile, robust)
    )
    apart: dict[str, bool] = {}
    for name in fragile:
        one, two = fragile[name], robust[name]
        low, high = tango(int((two & ~one).sum()), int((one & ~two).sum()), len(one))
        apart[name] = low is not None and low > 0
        print(f"{name:14} standing {one.mean():.2f} and {two.mean():.2f}, difference {low:.3f} to {high:.3f}")
    return {
        "control.attacks": len(names),
        "control.attacks_separating": sum(apart[name] for name in names),
        "control.worst_case_separates": int(apart["worst case"]),
    }

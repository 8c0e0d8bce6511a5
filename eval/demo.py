"""`make demo`: serve the zoo, ask it about a photograph, evaluate and audit it live, write the report.

Everything goes through the front door: the service is a process of its own, reached over HTTP.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from eval.auditing.plan import Audit
from eval.auditing.run import audit
from eval.console import bar, save, show
from eval.errors import EvalError
from eval.parity import parity
from eval.remote.assay import AssayEndpoint, describe
from eval.report.document import Gallery, Report, Section, Table, merged
from eval.report.pictures import picture
from eval.runs import evaluate
from eval.served import ROOT, served
from models.decoding import decode
from models.recipes.carriers import MissingCarrier, carried

__all__ = ["main", "summary"]

EPSILON = 76.0  # 0.3 of the range, in whole levels
AUDIT = Audit(epsilon=EPSILON)  # the quick suite
# name in summary.json -> name of the figure that was measured
FIGURES = {
    "digits.1.accuracy": "digits.1.accuracy",
    "digits.2.accuracy": "digits.2.accuracy",
    "scenes_detector.ap50": "scenes-detector.1.ap50",
    "scenes_detector.ap": "scenes-detector.1.ap",
    "scenes_segmenter.miou": "scenes-segmenter.1.miou",
    "audit.digits.1.robust_accuracy": "audit.digits.1.robust_accuracy",
    "audit.digits.2.robust_accuracy": "audit.digits.2.robust_accuracy",
}


async def photographs(url: str) -> Report:
    """What imagenet/1 says of the two photographs that scikit-learn carries."""
    labels = next(m["labels"] for m in await describe(url) if m["name"] == "imagenet")
    rows, items = [], []
    async with AssayEndpoint[Any](url, task="classification", model="imagenet") as endpoint:
        for name in ("flower.jpg", "china.jpg"):
            path = carried("sklearn", f"datasets/images/{name}", distribution="scikit-learn")
            (answer,) = await endpoint.predict_files([path.read_bytes()])
            best = [(labels[i], float(answer.scores[i])) for i in answer.top(3)]
            rows += [{"photograph": name, "class": label, "score": score} for label, score in best]
            items.append([picture(decode(path.read_bytes())[::4, ::4], f"{best[0][0]} ({best[0][1]:.2f})")])
    section = Section(
        "Two photographs asked about imagenet/1",
        "A real 1,000-class model on real photographs, through the same front door.",
        tables=[Table(rows, "Best three classes")],
        galleries=[Gallery("What it sees", items)],
    )
    return Report("Photographs", {}, [section])


async def _runs(url: str, quiet: bool) -> list[Report]:
    """Every part of the demo, in the order of the page."""
    with bar(quiet) as tell:
        reports = [await photographs(url)]
        for model, number, data in (
            ("digits", 1, "digits:test"),
            ("digits", 2, "digits:test"),
            ("scenes-detector", 1, "scenes:test:500"),
            ("scenes-segmenter", 1, "scenes:test:500"),
        ):
            progress = tell(f"evaluate {model}/{number}")
            reports.append(await evaluate(url, data, model=model, number=number, progress=progress))
            reference = ROOT / "models" / "zoo" / model / str(number) / "reference.npz"
            reports.append(await parity(url, data, reference, model=model, number=number))
        for number in (1, 2):
            reports.append(await audit(url, "digits:test", AUDIT, model="digits", number=number, tell=tell))
    return reports


def summary(report: Report, seconds: float) -> dict[str, float | None]:
    """The flat figures of the demo; null for what was not measured."""
    told = {name: report.figures.get(figure) for name, figure in FIGURES.items()}
    claimed, fooled = (
        sum(v for k, v in report.figures.items() if k.startswith("audit.") and k.endswith(f".{n}") and v)
        for n in ("claimed", "fooled")
    )
    parities = [v for k, v in report.figures.items() if k.startswith("parity.digits") and v is not None]
    return {
        **told,
        "audit.reverify_rate": fooled / claimed if claimed else None,
        "parity.max_abs_difference": max(parities, default=None),
        "seconds": round(seconds, 3),
        **{k: v for k, v in sorted(report.figures.items()) if k not in told},
    }


def _glance(reports: list[Report]) -> Section:
    """One figure of everything that was measured, on one screen; of an audit, how robust it is."""
    cards = []
    for section in (section for report in reports for section in report.sections if section.headlines):
        told = next(h for h in section.headlines if h.title != "clean accuracy")
        cards.append(replace(told, title=section.title, note=told.title))
    return Section("At a glance", headlines=cards)


def main() -> int:
    """Run the demo; 0 when every part ran, 1 with one line when something broke."""
    parser = argparse.ArgumentParser(prog="python -m eval.demo", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("runs/demo"), help="folder for report and summary")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    options = parser.parse_args()
    began = time.monotonic()
    try:
        with served() as url:
            Console().print(f"serving the zoo on {url}")
            reports = asyncio.run(_runs(url, options.quiet))
    except (EvalError, MissingCarrier) as error:
        Console(stderr=True).print(f"Error: {error}", soft_wrap=True, markup=False)
        return 1
    seconds = time.monotonic() - began
    manifest = {key: reports[-1].manifest[key] for key in ("url", "assay")}
    report = merged("Assay demo: the shipped zoo, measured live", manifest, reports)
    clock = {**reports[1].clock, "seconds": round(seconds, 1)}
    report = replace(report, sections=[_glance(reports), *report.sections], clock=clock)
    show(report)
    save(report, options.out)
    told = json.dumps(summary(report, seconds), indent=2, allow_nan=False) + "\n"
    (options.out / "summary.json").write_text(told, encoding="utf-8")
    Console().print(f"wrote {options.out}/report.html and summary.json in {seconds:.0f} s", soft_wrap=True)
    return 0 if report.valid else 1


if __name__ == "__main__":
    sys.exit(main())

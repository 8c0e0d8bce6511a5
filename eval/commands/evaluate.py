"""`assay evaluate`: every score of a live model."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from eval.commands.options import QUIET, one_line_errors, which

__all__ = ["command"]


@click.command(name="evaluate")
@which
@click.option("--limit", type=click.IntRange(min=1), help="Use only the first N images.")
@click.option(
    "--batch", type=click.IntRange(1, 128), default=16, show_default=True, help="Images in one request."
)
@click.option(
    "--concurrency", type=click.IntRange(1, 256), default=4, show_default=True, help="Requests at once."
)
@QUIET
@one_line_errors
def command(url: str, data: str, out: Path | None, quiet: bool, **options: Any) -> None:
    """Accuracy, precision, recall, F1; COCO AP; mIoU: of one model at URL, with 95 % intervals.

    The files are sent as they are. The result does not depend on --batch or --concurrency.
    """
    from eval.console import bar, finish
    from eval.runs import evaluate as run  # keeps `--help` fast

    with bar(quiet) as tell:
        report = asyncio.run(run(url, data, **options, progress=tell("evaluate")))
    finish(report, out)

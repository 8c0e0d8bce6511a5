"""`assay parity`: is what is served what was trained?"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import click

from eval.commands.options import FOLDER, QUIET, access_of, one_line_errors, reaching, which

__all__ = ["command"]


@click.command(name="parity", short_help="Is what is served what was trained?")
@which
@click.option(
    "--onnx",
    type=FOLDER,
    help="Folder of the version that should be served (model.onnx, card.json), run here. Where answers "
    "differ, the skew is looked for; versions beside it are suspects too.",
)
@click.option(
    "--reference",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="reference.npz of the version: what PyTorch answered at export.",
)
@click.option("--torch", is_flag=True, help="Also run the graph of --onnx with PyTorch.")
@click.option(
    "--limit", type=click.IntRange(min=1), help="The first N images; by default the reference's, or all."
)
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=1e-4,
    show_default=True,
    help="Largest difference of a probability, a box (1 - IoU), or share of pixels, that is none.",
)
@reaching
@QUIET
@one_line_errors
def command(url: str, data: str, out: Path | None, quiet: bool, **options: Any) -> None:
    """Is what is served what was trained? The difference to the ONNX file, to PyTorch, and its cause.

    Exit codes: 0 the same, 1 not the same, 3 not valid.
    """
    from eval.console import bar, finish
    from eval.parity.run import SAME
    from eval.parity.run import parity as run

    access = access_of(url, options)
    with bar(quiet) as tell:
        report = asyncio.run(run(access, data, **options, progress=tell("hypotheses")))
    for section in report.sections:
        click.echo(f"{section.title}: {section.text}")
    finish(report, out)
    click.echo(f"verdict: {report.manifest['verdict']}")
    if report.manifest["verdict"] != SAME:
        sys.exit(1)

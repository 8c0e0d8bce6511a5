"""`assay explain`: what answers rest on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from eval.commands.options import FOLDER, QUIET, REPORTS, access_of, folder_for, one_line_errors, reaching

__all__ = ["command"]


@click.command(name="explain", short_help="What answers rest on: heat maps, and curves that test them.")
@click.argument("url")
@click.argument(
    "images",
    nargs=-1,
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="IMAGE...",
)
@click.option("--model", help="Name of the model; not needed when only one is served.")
@click.option("--version", "number", type=click.IntRange(min=1), help="The latest by default.")
@click.option(
    "--method",
    type=click.Choice(["rise", "occlusion", "grad-cam"]),
    default="rise",
    show_default=True,
    help="rise and occlusion only ask; grad-cam needs PyTorch and --twin.",
)
@click.option("--class", "label", help="Name of the class to explain; what the answer says most by default.")
@click.option(
    "--queries",
    type=click.IntRange(min=1),
    default=1000,
    show_default=True,
    help="Pictures asked about for each map, at most.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of every draw; same seed, same map.")
@click.option(
    "--twin", type=FOLDER, help="Folder of the served version (model.onnx, card.json), for grad-cam."
)
@reaching
@folder_for(REPORTS)
@QUIET
@one_line_errors
def command(url: str, images: tuple[Path, ...], out: Path | None, quiet: bool, **options: Any) -> None:
    """What the answers to IMAGE... rest on: a heat map for each, with the curves that test it."""
    from eval.console import bar, finish
    from eval.explain import Plan
    from eval.explain import explain as run
    from eval.report.explain import lines

    access = access_of(url, options)
    model, number = options.pop("model"), options.pop("number")
    with bar(quiet) as tell:
        report = asyncio.run(
            run(access, images, Plan(**options), model=model, number=number, progress=tell("explain"))
        )
    for line in lines(report):
        click.echo(line)
    finish(report, out)

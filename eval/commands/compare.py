"""`assay compare`: two versions on the same images."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from eval.commands.options import DATA, QUIET, access_of, folder_for, one_line_errors, reaching

__all__ = ["asking_of", "command", "sides"]


def sides(command: Any) -> Any:
    """How the live ones among the subjects are asked; `asking_of` makes an Asking of it."""
    for option in (
        click.option("--resume", is_flag=True, help="Go on with the runs in --out where they stopped."),
        click.option("--concurrency", type=click.IntRange(1, 256), default=4, show_default=True,
                     help="Requests at once."),
        click.option("--batch", type=click.IntRange(1, 128), default=16, show_default=True,
                     help="Images in one request."),
        click.option("--slice", "slices", multiple=True, metavar="NAME",
                     help="Tell parts of the data apart: class, size, brightness, objects or any column. "
                     "May be repeated."),
        click.option("--limit", type=click.IntRange(min=1), help="Ask about the first N images only."),
        click.option("--version", "number", type=click.IntRange(min=1),
                     help="Of an address without #MODEL/VERSION; the latest by default."),
        click.option("--model", help="Of an address without #MODEL."),
        click.option("--data", help=f"What live subjects are asked about: {DATA}."),
        reaching,
    ):  # fmt: skip
        command = option(command)
    return command


def asking_of(options: dict[str, Any]) -> Any:
    """Take what `sides` adds out of `options`, but model and version. Raises click.UsageError."""
    from eval.subject import Asking

    told = dict(options)
    access_of("", told)  # a header that is none is told before anything is asked
    spoken = {name: options.pop(name) for name in options.keys() - told.keys()}
    asked = {
        name: options.pop(name) for name in ("data", "limit", "slices", "batch", "concurrency", "resume")
    }
    return Asking(access=lambda url: access_of(url, dict(spoken)), **asked)


@click.command(name="compare", short_help="What one version does better and worse than another.")
@click.argument("before")
@click.argument("after")
@sides
@click.option(
    "--resamples", type=click.IntRange(min=1), default=1000, show_default=True, help="Of the bootstrap."
)
@folder_for("Folder for the report and for the runs of live subjects.")
@QUIET
@one_line_errors
def command(before: str, after: str, out: Path | None, resamples: int, quiet: bool, **options: Any) -> None:
    """What AFTER does better and worse than BEFORE: flips, exact McNemar, paired intervals of every score.

    Each is the folder of a run (`assay evaluate --out`) or URL#MODEL/VERSION, which is asked about --data
    first. Both must be about the same images.

    \b
    assay compare runs/1 runs/2 --out runs/compared
    assay compare http://127.0.0.1:3000#digits/1 http://127.0.0.1:3000#digits/2 --data digits:test
    """
    from eval.compare import compare as run
    from eval.console import bar, finish
    from eval.subject import subject_of

    if options["resume"] and out is None:
        raise click.UsageError("--resume needs --out, the folder of the runs that are to go on")
    model, number = options.pop("model"), options.pop("number")
    one, other = (subject_of(told, model, number) for told in (before, after))
    with bar(quiet) as tell:
        report = asyncio.run(run(one, other, asking_of(options), out=out, resamples=resamples, tell=tell))
    finish(report, out)

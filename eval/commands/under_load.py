"""`assay under-load`: do answers stay the same under load?"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import click

from eval.commands.options import QUIET, access_of, one_line_errors, reaching, which

__all__ = ["command"]


@click.command(name="under-load", short_help="Are the answers under load those given in quiet?")
@which
@click.option(
    "--users", type=click.IntRange(1, 1000), default=8, show_default=True, help="Users of Locust at once."
)
@click.option(
    "--seconds", type=click.FloatRange(min=0), default=20, show_default=True,
    help="How long they ask; longer where not every picture has been asked once by then.",
)  # fmt: skip
@click.option("--limit", type=click.IntRange(min=1), help="Use only the first N images.")
@click.option(
    "--tolerance",
    type=click.FloatRange(min=0),
    default=1e-4,
    show_default=True,
    help="Largest difference of a probability, a box (1 - IoU), or share of pixels, that is none.",
)
@click.option(
    "--concurrency", type=click.IntRange(1, 256), default=2, show_default=True,
    help="Requests of ours at once, beside the load.",
)  # fmt: skip
@click.option("--seed", type=int, default=0, show_default=True, help="Of every draw.")
@click.option(
    "--authorised",
    multiple=True,
    metavar="HOST",
    help="A host beside this machine whose owner agreed to be loaded; may be repeated.",
)
@reaching
@QUIET
@one_line_errors
def command(url: str, data: str, out: Path | None, quiet: bool, **options: Any) -> None:
    """Are the answers under load those given in quiet? And does a cache give them?

    Load comes from Locust (the `load` extra) and goes only to loopback and cluster-internal hosts, unless
    --authorised. Exit codes: 0 the same, 1 not the same, 3 not valid.
    """
    from eval.console import bar, finish
    from eval.under_load.run import under_load as run
    from eval.under_load.showing import SAME

    access = access_of(url, options)
    with bar(quiet) as tell:
        report = asyncio.run(run(access, data, **options, progress=tell("under load")))
    finish(report, out)
    click.echo(f"verdict: {report.manifest['verdict']}")
    if report.manifest["verdict"] != SAME:
        sys.exit(1)

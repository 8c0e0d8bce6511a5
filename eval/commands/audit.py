"""`assay audit`: attack and corruption."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from eval.commands.options import QUIET, one_line_errors, which

__all__ = ["command"]


@click.command(name="audit", short_help="Robust accuracy under attack and corruption.")
@which
@click.option(
    "--epsilon",
    type=click.FloatRange(1, 1_000_000),
    default=8,
    show_default=True,
    help="How far a value may move, in levels of 255 (76 is 0.3); with --norm l2, how far all may together.",
)
@click.option(
    "--norm",
    type=click.Choice(["linf", "l2", "spatial"]),
    default="linf",
    show_default=True,
    help="What is limited: the largest change of a value, the root of the sum of squares, or --degrees and "
    "--pixels.",
)
@click.option(
    "--degrees",
    type=click.FloatRange(0, 180),
    default=30,
    show_default=True,
    help="How far a picture may be turned, with --norm spatial.",
)
@click.option(
    "--pixels",
    type=click.FloatRange(0, 10_000),
    default=3,
    show_default=True,
    help="How far it may be shifted along each side, with --norm spatial.",
)
@click.option("--attacks", default="uniform_noise,square", show_default=True, help="Names, comma-separated.")
@click.option(
    "--corruptions",
    default="gaussian_noise,gaussian_blur,brightness,contrast,jpeg",
    show_default=True,
    help="Names, comma-separated; five severities each; `common` is ImageNet-C's 15, `extra` its other 4. "
    "Empty for none.",
)
@click.option(
    "--samples", type=click.IntRange(min=1), default=100, show_default=True, help="The first N images."
)
@click.option(
    "--budget",
    type=click.IntRange(min=3),
    default=500,
    show_default=True,
    help="Queries (images asked about) for each image and attack.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of every draw; same seed, same result.")
@click.option(
    "--batch", type=click.IntRange(1, 128), default=64, show_default=True, help="Images in one request."
)
@click.option(
    "--in-flight", type=click.IntRange(1, 256), default=4, show_default=True, help="Requests at once."
)
@click.option(
    "--max-queries", type=click.IntRange(min=3), help="Most queries of one attack, over all images."
)
@click.option("--max-qps", type=click.FloatRange(min=0.1), help="Most queries a second.")
@click.option(
    "--authorised",
    multiple=True,
    metavar="HOST",
    help="A host beside this machine whose owner agreed to be attacked; may be repeated.",
)
@QUIET
@one_line_errors
def command(url: str, data: str, out: Path | None, quiet: bool, **options: Any) -> None:
    """Robust accuracy of one classifier at URL under attack and corruption.

    Pictures move on whole 8-bit levels within --epsilon (or turn and shift, with --norm spatial) and are
    sent losslessly; every success is asked again on the same bytes. Only loopback and cluster-internal
    hosts, unless --authorised.
    """
    from eval.audits import audit as run
    from eval.audits import plan_of
    from eval.console import bar, finish

    model, number = options.pop("model"), options.pop("number")
    plan = plan_of(**options)
    with bar(quiet) as tell:
        report = asyncio.run(run(url, data, plan, model=model, number=number, progress=tell("audit")))
    finish(report, out)

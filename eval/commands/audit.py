"""`assay audit`: attack and corruption."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from eval.commands.options import FOLDER, QUIET, access_of, one_line_errors, reaching, told_to_stop, which

__all__ = ["command"]


def _what(command: Any) -> Any:
    """What is attacked with; the suite says what is not told."""
    for option in (
        click.option("--seed", type=int, default=0, show_default=True, help="Same seed, same result."),
        click.option(
            "--mce", metavar="alexnet|version:N",
            help="Whose errors mCE divides by: published ones (1,000 classes and all severities of `common` "
            "only; not comparable with leaderboards), or another served version's on the same pictures.",
        ),
        click.option("--surrogate", is_flag=True, help="--twin may be another model than the one served."),
        click.option(
            "--twin", type=FOLDER,
            help="Folder of the served version (model.onnx, card.json): adds gradient attacks on a PyTorch "
            "twin of it, which must first prove itself.",
        ),
        click.option("--stability/--no-stability", default=None, help="Estimate stability under noise."),
        click.option("--curve/--no-curve", default=None, help="A security curve as epsilon grows."),
        click.option("--severities", help="Severities of each corruption, comma-separated, of 1,2,3,4,5."),
        click.option(
            "--corruptions",
            help="Names, comma-separated; `common` is ImageNet-C's 15, `extra` its other 4, `quick` five. "
            "Empty for none.",
        ),
        click.option(
            "--budget", type=click.IntRange(min=3),
            help="Queries (images asked about) for each image and attack.",
        ),
        click.option(
            "--samples", type=click.IntRange(min=1),
            help="The first N images, in the order of the data; a folder comes class by class.",
        ),
        click.option(
            "--goal", "goals",
            help="What attacks are after, comma-separated: untargeted or targeted[:CLASS]; vanish[:any], "
            "fabricate[:N] or mislabel of a detector; pixels[:SHARE] or erase[:CLASS] of a segmenter.",
        ),
        click.option("--attacks", help="Names, comma-separated; a wrong one lists them."),
        click.option(
            "--suite", type=click.Choice(["quick", "standard", "thorough"]), default="quick",
            show_default=True,
            help="Attacks, corruptions, images and budgets that go together; all below change a part of it.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def _threat(command: Any) -> Any:
    """How far a picture may be moved."""
    for option in (
        click.option(
            "--pixels", type=click.FloatRange(0, 10_000), default=3, show_default=True,
            help="How far it may be shifted along each side, with --norm spatial.",
        ),
        click.option(
            "--degrees", type=click.FloatRange(0, 180), default=30, show_default=True,
            help="How far a picture may be turned, with --norm spatial.",
        ),
        click.option(
            "--norm", type=click.Choice(["linf", "l2", "spatial"]), default="linf", show_default=True,
            help="What is limited: the largest change of a value, the root of the sum of squares, or "
            "--degrees and --pixels.",
        ),
        click.option(
            "--epsilon", type=click.FloatRange(1, 1_000_000), default=8, show_default=True,
            help="How far a value may move, in levels of 255 (76 is 0.3); with --norm l2, how far all may "
            "together.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def _pace(command: Any) -> Any:
    """How hard is asked; the result does not depend on it."""
    for option in (
        click.option(
            "--resume", is_flag=True, help="Go on with the audit in --out where it stopped, or begin it."
        ),
        click.option("--dry-run", is_flag=True, help="Only say how many queries it takes, and how long."),
        click.option(
            "--authorised", multiple=True, metavar="HOST",
            help="A host beside this machine whose owner agreed to be attacked; may be repeated.",
        ),
        click.option("--max-queries", type=click.IntRange(min=3), help="Most queries of the whole audit."),
        click.option(
            "--ray", metavar="ADDRESS", help="Attack from a Ray cluster (`local` starts one of --workers)."
        ),
        click.option(
            "--workers", type=click.IntRange(1, 64), default=1, show_default=True,
            help="Processes that attack.",
        ),
        click.option(
            "--in-flight", "concurrency", type=click.IntRange(1, 256), default=4, show_default=True,
            help="Requests at once, of each worker.",
        ),
        click.option(
            "--batch", type=click.IntRange(1, 128), default=64, show_default=True,
            help="Images in one request.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def _in_vain(options: Mapping[str, Any]) -> None:
    """Refuse what the other options make idle, for a report would not say that it was not heard."""
    norm, spatial = options["norm"], options["norm"] == "spatial"
    context = click.get_current_context()
    for name, idle in (("epsilon", spatial), ("degrees", not spatial), ("pixels", not spatial)):
        if idle and context.get_parameter_source(name) is not ParameterSource.DEFAULT:
            raise click.UsageError(f"--{name} says nothing with --norm {norm}; leave it out")
    if options["surrogate"] and options["twin"] is None:
        raise click.UsageError("--surrogate needs --twin, the folder of the other model")


@click.command(name="audit", short_help="Robust accuracy under attack and corruption.")
@which
@reaching
@_threat
@_what
@_pace
@QUIET
@one_line_errors
def command(
    url: str, data: str, out: Path | None, quiet: bool, resume: bool, dry_run: bool, **options: Any
) -> None:
    """How a model at URL stands up to attack and corruption: robust accuracy, mAP or mIoU under attack.

    Pictures move on whole 8-bit levels within --epsilon (or turn and shift, with --norm spatial) and are
    sent losslessly; every success is asked again on the same bytes. The result does not depend on --batch,
    --in-flight, --workers or --ray. With --out everything is recorded as it comes: an audit that was
    interrupted goes on with --resume. Only loopback and cluster-internal hosts, unless --authorised.
    """
    from eval.auditing.plan import Audit
    from eval.auditing.run import audit, estimate
    from eval.console import bar, finish, show_table
    from eval.pool import Pace

    if resume and out is None:
        raise click.UsageError("--resume needs --out, the folder of the audit that is to go on")
    _in_vain(options)
    access = access_of(url, options)
    told = {name: options.pop(name) for name in ("model", "number")}
    pace = Pace(**{name: options.pop(name) for name in ("batch", "concurrency", "workers", "ray")})
    asked = Audit(**options)
    if dry_run:
        show_table(asyncio.run(estimate(access, data, asked, **told, pace=pace)).table())
        return
    with told_to_stop(), bar(quiet) as tell:
        report = asyncio.run(audit(access, data, asked, **told, pace=pace, out=out, resume=resume, tell=tell))
    finish(report, out)

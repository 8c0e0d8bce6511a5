"""`assay evaluate`: every score of a live model."""

from __future__ import annotations

import asyncio
import signal
import sys
from pathlib import Path
from typing import Any

import click

from eval.commands.options import FILE, QUIET, access_of, one_line_errors, reaching, told_to_stop, which
from eval.errors import EvalError

__all__ = ["command"]


@click.command(name="evaluate", short_help="Every score of a live model, with 95 % intervals.")
@which
@reaching
@click.option(
    "--map", "mapping", type=FILE, help="`OLD: NEW` lines: what the model calls the data's classes."
)
@click.option("--limit", type=click.IntRange(min=1), help="Use only the first N images.")
@click.option(
    "--slice",
    "slices",
    multiple=True,
    metavar="NAME",
    help="Score parts of the data apart: class, size, brightness, objects or any column. May be repeated.",
)
@click.option(
    "--batch", type=click.IntRange(1, 128), default=16, show_default=True, help="Images in one request."
)
@click.option(
    "--concurrency", type=click.IntRange(1, 256), default=4, show_default=True, help="Requests at once."
)
@click.option(
    "--workers", type=click.IntRange(1, 64), default=1, show_default=True, help="Processes that ask."
)
@click.option(
    "--ray",
    metavar="ADDRESS",
    help="Ask from the workers of a Ray cluster (`local` starts one of --workers).",
)
@click.option("--resume", is_flag=True, help="Go on with the run in --out where it stopped.")
@QUIET
@one_line_errors
def command(url: str, data: str, out: Path | None, quiet: bool, **options: Any) -> None:
    """Accuracy, precision, recall, F1; COCO AP; mIoU: of one model at URL, with 95 % intervals.

    The files are sent as they are. The result does not depend on --batch, --concurrency, --workers or
    --ray. With --out every answer is recorded as it comes: a run that was interrupted goes on with --resume.
    """
    from eval import journal
    from eval.console import bar, finish
    from eval.data.mapping import read_mapping
    from eval.recorded import JOURNAL
    from eval.runs import evaluate as run  # keeps `--help` fast

    if options["resume"] and out is None:
        raise click.UsageError("--resume needs --out, the folder of the run that is to go on")
    access, names = access_of(url, options), options.pop("mapping")
    mapping = None if names is None else read_mapping(names)
    going = [0, 0]  # done, total
    try:
        with told_to_stop(), bar(quiet) as tell:
            shown = tell("evaluate")

            def progress(*now: int) -> None:
                going[:] = now
                shown(*now)

            report = asyncio.run(run(access, data, mapping=mapping, out=out, **options, progress=progress))
    except EvalError as error:
        done, total = going
        more = f"; {done} of {total} images were asked about, go on with --resume"
        told = out is not None and done < total and "--resume" not in str(error)
        raise type(error)(f"{error}{more if told else ''}") from error
    except KeyboardInterrupt as stop:
        kept = "without --out nothing is kept" if out is None else "go on with the same command and --resume"
        found = None if out is None else journal.progress(out / JOURNAL)
        done, total = (found.done, found.total) if found else going
        click.echo(f"stopped at {done} of {total or 'all'} images; {kept}", err=True)
        sys.exit(128 + (stop.args[0] if stop.args else signal.SIGINT))
    finish(report, out)

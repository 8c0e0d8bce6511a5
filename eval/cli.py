"""`assay`: parse, call, print. No arithmetic lives here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from eval.errors import EvalError

__all__ = ["cli"]

DATA = (
    "digits:test, scenes:test:500, folder:DIR, tar:FILE, csv:FILE, coco:JSON,IMAGES, voc:ROOT[,LIST], "
    "yolo:IMAGES,LABELS[,NAMES] or masks:IMAGES,MASKS[,NAMES]"
)


FOLDER = click.Path(file_okay=False, path_type=Path)
QUIET = click.option("--quiet", is_flag=True, help="No progress bar.")


def _one_line_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Show an EvalError as `Error: ...` with exit code 1; let bugs keep their traceback."""

    @wraps(command)
    def wrapper(**options: object) -> None:
        try:
            command(**options)
        except EvalError as error:
            raise click.ClickException(str(error)) from error

    return wrapper


def _which(command: Callable[..., None]) -> Callable[..., None]:
    """The options that every run has."""
    for option in (
        click.argument("url"),
        click.option("--data", required=True, help=f"What to ask about: {DATA}."),
        click.option("--model", help="Name of the model; not needed when only one is served."),
        click.option("--version", "number", type=click.IntRange(min=1), help="The latest by default."),
        click.option("--out", type=FOLDER, help="Folder for report.html, report.json and report.md."),
    ):
        command = option(command)
    return command


@click.group(
    epilog="Exit codes: 0 done, 1 it could not be done (one line says why), 2 wrong usage, 3 done but not "
    "valid: over 1 % of the images got no answer."
)
@click.version_option(package_name="assay")
def cli() -> None:
    """Measure a live vision endpoint: how right it is, and how it stands up to attack.

    \b
    assay models http://127.0.0.1:3000
    assay evaluate http://127.0.0.1:3000 --model digits --data digits:test
    assay audit http://127.0.0.1:3000 --model digits --data digits:test --epsilon 76
    """


@cli.command()
@click.argument("url")
@_one_line_errors
def models(url: str) -> None:
    """What the service at URL serves."""
    from eval.console import show_models
    from eval.remote.assay import describe

    show_models(asyncio.run(describe(url)))


@cli.command()
@_which
@click.option("--limit", type=click.IntRange(min=1), help="Use only the first N images.")
@click.option(
    "--batch", type=click.IntRange(1, 128), default=16, show_default=True, help="Images in one request."
)
@click.option(
    "--concurrency", type=click.IntRange(1, 256), default=4, show_default=True, help="Requests at once."
)
@QUIET
@_one_line_errors
def evaluate(url: str, data: str, out: Path | None, quiet: bool, **options: Any) -> None:
    """Accuracy, precision, recall, F1; COCO AP; mIoU: of one model at URL, with 95 % intervals.

    The files are sent as they are. The result does not depend on --batch or --concurrency.
    """
    from eval.console import bar, finish
    from eval.runs import evaluate as run  # keeps `--help` fast

    with bar(quiet) as tell:
        report = asyncio.run(run(url, data, **options, progress=tell("evaluate")))
    finish(report, out)


@cli.command()
@_which
@click.option(
    "--epsilon",
    type=click.FloatRange(1, 255),
    default=8,
    show_default=True,
    help="How far a value may move, in levels of 255 (76 is 0.3).",
)
@click.option("--attacks", default="uniform_noise,square", show_default=True, help="Names, comma-separated.")
@click.option(
    "--corruptions",
    default="gaussian_noise,gaussian_blur,brightness,contrast,jpeg",
    show_default=True,
    help="Names, comma-separated; five severities each. Empty for none.",
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
@_one_line_errors
def audit(url: str, data: str, out: Path | None, quiet: bool, **options: Any) -> None:
    """Robust accuracy of one classifier at URL under attack and corruption.

    Pictures move on whole 8-bit levels within --epsilon and are sent losslessly; every success is
    asked again on the same bytes. Only loopback and cluster-internal hosts, unless --authorised.
    """
    from eval.audits import audit as run
    from eval.audits import plan_of
    from eval.console import bar, finish

    model, number = options.pop("model"), options.pop("number")
    plan = plan_of(**options)
    with bar(quiet) as tell:
        report = asyncio.run(run(url, data, plan, model=model, number=number, progress=tell("audit")))
    finish(report, out)


@cli.command()
@_which
@click.option(
    "--reference",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="reference.npz of the version: what PyTorch answered at export.",
)
@_one_line_errors
def parity(url: str, data: str, out: Path | None, **options: Any) -> None:
    """Is what is served what was trained? The largest difference to PyTorch's own answers."""
    from eval.console import finish
    from eval.parity import parity as run

    finish(asyncio.run(run(url, data, **options)), out)


@cli.command()
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
@click.option("--out", type=FOLDER, help="Folder for report.html, report.json and report.md.")
@QUIET
@_one_line_errors
def explain(url: str, images: tuple[Path, ...], out: Path | None, quiet: bool, **options: Any) -> None:
    """What the answers to IMAGE... rest on: a heat map for each, with the curves that test it."""
    from eval.console import bar, finish
    from eval.explain import Plan
    from eval.explain import explain as run
    from eval.report.explain import lines

    model, number = options.pop("model"), options.pop("number")
    with bar(quiet) as tell:
        report = asyncio.run(
            run(url, images, Plan(**options), model=model, number=number, progress=tell("explain"))
        )
    for line in lines(report):
        click.echo(line)
    finish(report, out)

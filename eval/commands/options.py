"""Options that several verbs share, and how their failures are told."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

import click

from eval.errors import EvalError
from eval.target import Access

__all__ = ["DATA", "FILE", "FOLDER", "QUIET", "access_of", "one_line_errors", "reaching", "which"]

DATA = (
    "digits:test, scenes:test:500, folder:DIR, tar:FILE, csv:FILE, jsonl:FILE, coco:JSON,IMAGES[,masks], "
    "voc:ROOT[,LIST], yolo:IMAGES,LABELS[,NAMES][,masks] or masks:IMAGES,MASKS[,NAMES]"
)
FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
QUIET = click.option("--quiet", is_flag=True, help="No progress bar.")


def one_line_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Show an EvalError as `Error: ...` with exit code 1; let bugs keep their traceback."""

    @wraps(command)
    def wrapper(**options: object) -> None:
        try:
            command(**options)
        except EvalError as error:
            raise click.ClickException(str(error)) from error

    return wrapper


def which(command: Callable[..., None]) -> Callable[..., None]:
    """URL, data, model and folder of a run."""
    for option in (
        click.argument("url"),
        click.option("--data", required=True, help=f"What to ask about: {DATA}."),
        click.option("--model", help="Name of the model; not needed when only one is served."),
        click.option("--version", "number", type=click.IntRange(min=1), help="The latest by default."),
        click.option("--out", type=FOLDER, help="Folder for report.html, report.json and report.md."),
    ):
        command = option(command)
    return command


def reaching(command: Callable[..., None]) -> Callable[..., None]:
    """How an endpoint that need not be ours is spoken to; `access_of` makes an Access of it."""
    for option in (
        click.option("--max-qps", type=click.FloatRange(min=0.1), help="Most images a second."),
        click.option(
            "--timeout", "timeout_s", type=click.FloatRange(min=0.1), default=60.0, show_default=True,
            help="Seconds until one attempt is given up.",
        ),
        click.option(
            "--header", "headers", multiple=True, metavar="NAME=VALUE",
            help="Sent with every request; $VARIABLE in VALUE is read from the environment. May be repeated.",
        ),
        click.option("--card", type=FILE, help="Model card (JSON) to interpret raw tensors with."),
        click.option("--template", type=FILE, help="YAML that describes any JSON API."),
        click.option(
            "--endpoint", "kind", type=click.Choice(["auto", "assay", "oip", "template"]), default="auto",
            show_default=True, help="The protocol that is spoken at URL.",
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def access_of(url: str, options: dict[str, Any]) -> Access:
    """Take what `reaching` adds out of `options`. Raises click.BadParameter for a header that is none."""
    told = {name: options.pop(name) for name in ("kind", "template", "card", "timeout_s", "max_qps")}
    headers = {}
    for header in options.pop("headers"):
        name, equals, value = header.partition("=")
        if not equals or not name.strip():
            raise click.BadParameter(f"a header must be NAME=VALUE, got {header!r}")
        headers[name.strip()] = value
    return Access(url, headers=headers, **told)

"""Options that several verbs share, and how their failures are told."""

from __future__ import annotations

import contextlib
import signal
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from functools import wraps
from pathlib import Path
from typing import Any, NoReturn

import click

from eval.errors import EvalError
from eval.target import Access

__all__ = [
    "DATA",
    "FILE",
    "FOLDER",
    "QUIET",
    "REPORTS",
    "access_of",
    "folder_for",
    "one_line_errors",
    "reaching",
    "stopped",
    "told_to_stop",
    "which",
]

DATA = (
    "digits:test, scenes:test:500, folder:DIR, tar:FILE, csv:FILE, jsonl:FILE, coco:JSON,IMAGES[,masks], "
    "voc:ROOT[,LIST], yolo:IMAGES,LABELS[,NAMES][,masks] or masks:IMAGES,MASKS[,NAMES]"
)
FOLDER = click.Path(file_okay=False, path_type=Path)
REPORTS = "Folder for report.html, report.json and report.md."
FILE = click.Path(exists=True, dir_okay=False, path_type=Path)
QUIET = click.option("--quiet", is_flag=True, help="No progress bar.")


def one_line_errors(command: Callable[..., None]) -> Callable[..., None]:
    """Show an EvalError, or a file that cannot be read or written, as `Error: ...` with exit code 1.

    Bugs keep their traceback.
    """

    @wraps(command)
    def wrapper(**options: object) -> None:
        try:
            command(**options)
        except EvalError as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            if error.filename is None:
                raise
            raise click.ClickException(f"{error.filename}: {error.strerror}") from error
        except KeyboardInterrupt as stop:
            stopped(options, stop.args[0] if stop.args else signal.SIGINT)

    return wrapper


def stopped(options: Mapping[str, object], number: int = signal.SIGINT) -> NoReturn:
    """End after a signal (an interrupt with 130), and say how to go on; `options` are the command's."""
    kept = "resume" in options and options.get("out") is not None
    click.echo(
        f"stopped; {'go on with the same command and --resume' if kept else 'nothing is kept'}", err=True
    )
    sys.exit(128 + number)


def folder_for(told: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """--out; a folder that takes no files is told before anything is asked, not after hours of it."""
    return click.option("--out", type=FOLDER, callback=_takes_files, help=told)


def _takes_files(_: click.Context, __: click.Parameter, folder: Path | None) -> Path | None:
    if folder is not None:
        try:
            there = next(one for one in (folder, *folder.parents) if one.exists())
            with tempfile.TemporaryFile(dir=there):
                pass
        except OSError as error:
            raise click.BadParameter(f"nothing can be written to {folder}: {error.strerror}") from error
    return folder


def which(command: Callable[..., None]) -> Callable[..., None]:
    """URL, data, model and folder of a run."""
    for option in (
        click.argument("url"),
        click.option("--data", required=True, help=f"What to ask about: {DATA}."),
        click.option("--model", help="Name of the model; not needed when only one is served."),
        click.option("--version", "number", type=click.IntRange(min=1), help="The latest by default."),
        folder_for(REPORTS),
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


@contextlib.contextmanager
def told_to_stop() -> Iterator[None]:
    """SIGTERM is what an interrupt at the keyboard is, meanwhile."""
    if threading.current_thread() is not threading.main_thread():  # only that one may say what signals do
        yield
        return

    told: list[int] = []

    def leave(number: int, _: object) -> None:
        told.append(number)
        signal.raise_signal(signal.SIGINT)  # an event loop takes that one in good order

    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    except KeyboardInterrupt as stop:
        raise KeyboardInterrupt(*told[:1]) from stop
    finally:
        signal.signal(signal.SIGTERM, before)

"""`assay data`: is a data set fit to measure with, which kinds are read, and official sets to fetch."""

from __future__ import annotations

import json
import sys
from inspect import cleandoc
from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from eval.commands.options import DATA, FILE, FOLDER, QUIET, one_line_errors
from models.card import TaskName

if TYPE_CHECKING:
    from eval.data.check import Checked

__all__ = ["command"]

MOST_ROWS = 12


@click.group(name="data", short_help="Check data, list its kinds, fetch official sets.")
def command() -> None:
    """Check data before you measure with it, list what can be read, fetch official sets."""


@command.command(short_help="Hold every picture of DATA against its labels.")
@click.argument("data")
@click.option("--task", type=click.Choice(get_args(TaskName)), required=True, help="What the data is for.")
@click.option(
    "--map", "mapping", type=FILE, help="`OLD: NEW` lines: other names for classes, null drops one."
)
@click.option("--against", help="Data that must not share pictures with it, such as what you trained on.")
@click.option("--limit", type=click.IntRange(min=1), help="Look at the first N images only.")
@click.option("--threads", type=click.IntRange(1, 256), help="One for each core by default.")
@click.option(
    "--json", "to", type=click.Path(dir_okay=False, path_type=Path), help="Write all of it here too."
)
@QUIET
@one_line_errors
def check(
    data: str, task: TaskName, mapping: Path | None, against: str | None, limit: int | None,
    threads: int | None, to: Path | None, quiet: bool,
) -> None:  # fmt: skip
    """Decode every picture of DATA and hold it against its labels. Ends with 1 when something is broken.

    Broken is what a run would stumble over or count wrongly. Warnings are for you to look at.
    """
    from eval.console import bar
    from eval.data.check import check as run
    from eval.data.mapping import read_mapping
    from eval.data.tables import open_data

    opened = open_data(data, task).first(limit)
    if mapping is not None:
        opened = opened.mapped(read_mapping(mapping))
    with bar(quiet) as tell:
        other = open_data(against, task) if against else None
        found = run(opened, against=other, threads=threads, progress=tell("check"))
    _show(found)
    if to is not None:
        to.write_text(json.dumps(found.to_json(), indent=1, allow_nan=False) + "\n", encoding="utf-8")
    if found.broken:
        sys.exit(1)


check.help = f"{cleandoc(check.help or '')}\n\nDATA is one of {DATA}."


def _show(found: Checked) -> None:
    from rich.console import Console
    from rich.table import Table

    from eval.data.faults import BROKEN, KINDS

    console = Console()
    speed = f"{found.looked / found.seconds:,.0f} images/s" if found.seconds else ""
    console.print(
        f"{found.name}, {found.task}: {found.images:,} images, {speed}", markup=False, soft_wrap=True
    )
    faults = Table("", "what", "times", "images", title="found", title_justify="left")
    faults.add_column("such as", overflow="fold")
    for each in found.found:
        colour = "red" if each.severity == BROKEN else "yellow"
        means = f"{KINDS[each.kind][1]} ({each.kind})"
        row = f"{each.count:,}", f"{len(each.pictures) or ''}", "\n".join(map(_plain, each.examples))
        faults.add_row(f"[{colour}]{each.severity}[/]", means, *row)
    console.print(faults if found.found else "nothing wrong")
    what = {"classification": "pictures", "detection": "objects", "segmentation": "pixels"}[found.task]
    classes = Table("class", "pictures with it", what, title="classes", title_justify="left")
    for name, images, count in _ends([row for row in found.classes if row[1]]):
        classes.add_row(
            _plain(name), f"{images:,}" if images >= 0 else "", f"{count:,}" if count >= 0 else ""
        )
    console.print(classes)
    sizes = [f"{w} x {h}: {n:,}" for (w, h), n in list(found.sizes.items())[:MOST_ROWS]]
    more = f" and {len(found.sizes) - MOST_ROWS} more" if len(found.sizes) > MOST_ROWS else ""
    console.print(f"sizes (width x height): {'; '.join(sizes)}{more}", markup=False, soft_wrap=True)


def _ends(rows: list[tuple[str, int, int]]) -> list[tuple[str, int, int]]:
    """The most and the least frequent of many."""
    if len(rows) <= 2 * MOST_ROWS:
        return rows
    return [*rows[:MOST_ROWS], (f"... {len(rows) - 2 * MOST_ROWS} more", -1, -1), *rows[-MOST_ROWS:]]


def _plain(text: str) -> str:
    """Text that rich shows as it is."""
    from rich.markup import escape

    return escape(text)


@command.command(name="list", short_help="The kinds of data, and the official sets.")
@one_line_errors
def show() -> None:
    """The kinds of data that can be read, and the official sets that `get` fetches."""
    from rich.console import Console
    from rich.table import Table

    from eval.data.sets import SETS

    kinds = Table("data", title="kinds", title_justify="left")
    for kind in DATA.replace(" or ", ", ").split(", "):
        kinds.add_row(_plain(kind))
    sets = Table("name", "what", "to fetch", "licence", title="official sets", title_justify="left")
    for name, one in SETS.items():
        megabytes = sum(file.size for file in one.files) / 1e6
        sets.add_row(name, one.what, f"{megabytes:,.0f} MB", one.licence)
    Console().print(kinds)
    Console().print(sets)


@command.command(short_help="Fetch an official set from those who publish it.")
@click.argument("name")
@click.option("--into", type=FOLDER, required=True, help="The set becomes the folder NAME in it.")
@click.option("--accept-licence", is_flag=True, help="Say yes to the terms that are shown.")
@click.option(
    "--from",
    "given",
    type=click.Path(exists=True, path_type=Path),
    help="The archive, or the folder of all of them, if you have it already; same checksum.",
)
@click.option("--cache", type=FOLDER, help="Where archives stay: $ASSAY_CACHE_DIR, else ~/.cache/assay.")
@one_line_errors
def get(
    name: str, into: Path, accept_licence: bool, given: Path | None, cache: Path | None
) -> None:  # fmt: skip
    """Fetch the official data set NAME, one of `assay data list`, from those who publish it.

    Only over https, believed only by its checksum; a download that was cut goes on where it stopped. The
    archive is unpacked without links and without names that lead elsewhere; no pickle is read.
    """
    from eval.data.obtain import obtain
    from eval.data.sets import SETS
    from eval.errors import DatasetError

    if name not in SETS:
        raise DatasetError(f"the set must be one of {', '.join(SETS)}, got {name!r}")
    wanted = SETS[name]
    click.echo(f"{name}: {wanted.what}")
    for file in wanted.files:
        click.echo(f"source   {file.url} ({file.size / 1e6:,.1f} MB)")
    click.echo(f"licence  {wanted.licence} ({wanted.stated})")
    click.echo(f"note     {wanted.notes}")
    if not accept_licence and not (into / name).exists():
        _ask(name)
    folder = obtain(name, wanted, into, cache=cache, given=given)
    click.echo(f"made     {folder}")
    for task, reads in wanted.reads:
        click.echo(f"use      --data {reads.replace('{}', str(folder))}  ({task})")


def _ask(name: str) -> None:
    from eval.errors import DatasetError

    if not sys.stdin.isatty():
        raise DatasetError(f"the terms of {name} must be accepted: add --accept-licence")
    if not click.confirm("Do you accept these terms?", err=True):
        raise DatasetError(f"the terms of {name} were not accepted; nothing was fetched")

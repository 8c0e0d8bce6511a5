"""What the command line shows: a progress bar while it runs, tables when it is done."""

from __future__ import annotations

import contextlib
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Column, Table

from eval.attacks import wave
from eval.errors import EvalError
from eval.report import document
from eval.report.document import Report
from eval.report.html import to_html
from eval.report.markdown import shown, to_markdown

__all__ = ["bar", "finish", "save", "show", "show_models", "show_table"]

INVALID = 3
WIDEST = 24  # letters of a cell


@contextlib.contextmanager
def bar(quiet: bool) -> Iterator[Callable[[str], Callable[..., None]]]:
    """Gives, for a name, what a run reports its progress to; on stderr, silent when it is no terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.fields[told]}"),
        TimeRemainingColumn(),
    )
    with Progress(
        *columns, console=Console(stderr=True), disable=quiet or not sys.stderr.isatty()
    ) as shown_bar:

        def named(name: str) -> Callable[..., None]:
            tasks: dict[str, Any] = {}

            def tell(done: int | wave.Progress, total: int = 0) -> None:
                text = f"{done}/{total}"
                what = name
                if isinstance(done, wave.Progress):
                    what, total = done.attack, done.samples
                    going = done.samples - done.finished
                    text = f"{done.fooled} fooled, {going} going on, {done.queries} queries"
                    done = done.finished
                if what not in tasks:
                    tasks[what] = shown_bar.add_task(what, told="")
                shown_bar.update(tasks[what], completed=done, total=total, told=text)

            return tell

        yield named


def save(report: Report, folder: Path) -> None:
    """report.json, report.md and report.html; clock.json, what a clock said.

    Raises:
        EvalError: they cannot be written.
    """
    told = json.dumps(dict(report.clock), indent=2, allow_nan=False) + "\n"
    files = {
        "report.json": report.to_json(),
        "report.md": to_markdown(report),
        "report.html": to_html(report),
        "clock.json": told,
    }
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
    except OSError as error:
        raise EvalError(f"the report cannot be written to {folder}: {error.strerror}") from error


def _console() -> Console:
    """Prints names and paths as they are: `[b]` and `:x:` are no markup in them."""
    return Console(markup=False, emoji=False)


def show(report: Report) -> None:
    """Key figures and raised flags of every section; of an audit what to know of them, too."""
    console = _console()
    for section in report.sections:
        table = Table("figure", "value", "95 % interval", "n", title=section.title, title_justify="left")
        for h in section.headlines:
            interval = "" if h.low is None else f"{shown(h.low)} to {shown(h.high)}"
            table.add_row(h.title, shown(h.value), interval, f"{h.support:,}")
        if section.headlines:
            console.print(table)
        elif section.flags:
            console.print(f"{section.title} {section.text}".rstrip())
        if section.standing or section.flags:  # of an audit: what speaks against its numbers
            for line in section.advice:
                console.print(f"note: {line}")
        for flag in section.flags:
            if flag.raised:
                console.print(f"flag {flag.name}", style="bold red", end=": ")
                console.print(f"{flag.evidence}. {flag.means} {flag.do}")


def finish(report: Report, out: Path | None) -> None:
    """Show a report, save it where it was asked for, and end with 3 when it is not valid."""
    show(report)
    if out is not None:
        save(report, out)
        _console().print(f"wrote {out / 'report.html'}, report.json, report.md", soft_wrap=True)
    if not report.valid:
        Console(stderr=True).print("not valid: over 1 % of the images got no answer")
        sys.exit(INVALID)


def show_table(told: document.Table) -> None:
    """A table of a report, and its note; words too long for a column are told below."""
    names = list(dict.fromkeys(name for row in told.rows for name in row))
    long = [n for n in names[1:] if any(len(shown(row.get(n))) > WIDEST for row in told.rows)]
    kept = [name for name in names if name not in long]
    heads = [name.replace(" ", "\n") for name in kept]  # narrow, so that the first column keeps its words
    table = Table(*heads, title=told.title, title_justify="left")
    for row in told.rows:
        table.add_row(*(_cell(row.get(name)) for name in kept))
    console = _console()
    console.print(table)
    for name in long:
        same: dict[str, list[str]] = {}
        for row in told.rows:
            if row.get(name):
                same.setdefault(shown(row[name]), []).append(str(row[names[0]]))
        for words, of in same.items():
            console.print(f"{name} of {'; '.join(of)}: {words}")
    if told.note:
        console.print(told.note)


def _cell(value: document.Cell) -> str:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return f"{value:,}" if whole else shown(value)


def show_models(served: Sequence[Mapping[str, Any]]) -> None:
    """One line for each version."""
    table = Table(Column("model", no_wrap=True), "task", "classes", "input", "state", "claims")
    for m in served:
        claims = ", ".join(f"{c['metric']} {c['value']:.4f}" for c in m["claims"])
        size = f"{m['input']['height']} x {m['input']['width']}"
        state = m["state"] if not m["error"] else f"{m['state']}: {m['error']}"
        table.add_row(f"{m['name']}/{m['version']}", m["task"], str(len(m["labels"])), size, state, claims)
    _console().print(table)

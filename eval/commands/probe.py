"""`assay probe`: what an endpoint is and what it can do."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from eval.commands.options import access_of, one_line_errors, reaching
from eval.errors import EvalError

if TYPE_CHECKING:
    from rich.table import Table

    from eval.remote.probe import Described, Probe

__all__ = ["command", "models_table"]


@click.command(name="probe", short_help="What an endpoint is, what it can do, how to ask it.")
@click.argument("url")
@click.option("--model", help="Name of the model to ask; the first that is ready by default.")
@reaching
@click.option("--json", "as_json", is_flag=True, help="Tell it as JSON.")
@one_line_errors
def command(url: str, model: str | None, as_json: bool, **options: Any) -> None:
    """What the endpoint at URL is and what it can do, by a dozen harmless requests.

    Ends with the command to try next.
    """
    import orjson

    from eval.remote.probe import probe  # keeps `--help` fast

    found = asyncio.run(probe(access_of(url, options), model))
    served = sorted({m.name for m in found.models})
    if model is not None and model not in served:
        raise EvalError(f"{url} serves no model {model!r}; it serves {', '.join(served) or 'none'}")
    if as_json:
        click.echo(orjson.dumps(asdict(found), option=orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS).decode())
    else:
        _show(found)


def _show(found: Probe) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    facts = Table(show_header=False, title=escape(found.url), title_justify="left")
    for name, value in _facts(found).items():
        facts.add_row(name, escape(value))
    console = Console()
    console.print(facts)
    console.print(models_table(found.models))
    click.echo(f"Next: {found.next}")


def models_table(models: Sequence[Described]) -> Table:
    """One line for each model."""
    from rich.markup import escape
    from rich.table import Column, Table

    table = Table(Column("model", no_wrap=True), "versions", "ready", "takes", "inputs", "outputs")
    for m in models:
        ports = "\n".join(m.inputs), "\n".join(m.outputs)
        table.add_row(*map(escape, (m.name, ", ".join(m.versions), _said(m.ready), m.takes, *ports)))
    return table


def _said(fact: bool | None) -> str:
    return {True: "yes", False: "no", None: "unknown"}[fact]


def _facts(found: Probe) -> dict[str, str]:
    """What is known, in words."""
    facts = {"protocol": f"{found.protocol} {found.server} {found.version}".strip()}
    if found.extensions:
        facts["extensions"] = ", ".join(found.extensions)
    facts["wants to know who asks"] = _said(found.auth)
    answers = found.answers
    if answers is None:
        return facts | {"asked": "no model that is ready and tells what it takes; --card may tell it"}
    taken = [str(count) for count, fine in answers.batches.items() if fine]
    facts |= {"asked": answers.model, "images at once": f"{', '.join(taken) or 'none'} answered"}
    if answers.trouble:
        facts["trouble"] = answers.trouble
    if answers.binary is not None:
        facts["binary tensors"] = _said(answers.binary)
    if answers.slowest_ms is not None:
        facts |= {
            "slowest of five": f"{answers.slowest_ms} ms",
            "same answer every time": _said(answers.deterministic),
            "what is no picture": answers.refusal,
        }
    return facts

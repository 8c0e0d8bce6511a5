"""`assay`: the table of verbs. Each is a file of `eval.commands`, which parses, calls and prints."""

from __future__ import annotations

import click

from eval.commands import (
    audit,
    compare,
    data,
    evaluate,
    explain,
    gate,
    models,
    parity,
    probe,
    report,
    under_load,
)

__all__ = ["cli"]

VERBS = (models, probe, evaluate, compare, gate, audit, parity, under_load, explain, report, data)


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


for verb in VERBS:
    cli.add_command(verb.command)

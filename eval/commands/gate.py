"""`assay gate`: may this version go on?"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import click

from eval.commands.compare import asking_of, sides
from eval.commands.options import FOLDER, QUIET, folder_for, stopped
from eval.errors import EvalError

__all__ = ["command"]

FILE = click.Path(dir_okay=False, path_type=Path)
COULD_NOT = 2


@click.command(
    name="gate",
    short_help="Pass, fail or open, by a YAML file of rules.",
    epilog="Exit codes: 0 every rule passes, 1 one fails, 3 one is open (more images would decide), "
    "2 it could not be asked.",
)
@click.argument("rules", type=FILE)
@click.argument("subject")
@click.option(
    "--baseline", help="What the rules under `against` compare with: a folder or URL#MODEL/VERSION."
)
@click.option(
    "--report",
    "reports",
    multiple=True,
    type=FOLDER,
    metavar="DIR",
    help="Folder of an audit (or another report.json) whose figures the rules name. May be repeated.",
)
@sides
@click.option("--junit", type=FILE, help="Write the verdicts as JUnit XML.")
@click.option("--summary", type=FILE, help="Write them as Markdown, for a pull request or a build's summary.")
@folder_for("Folder for the report and for the runs of live subjects.")
@QUIET  # fmt: skip
def command(
    rules: Path,
    subject: str,
    baseline: str | None,
    junit: Path | None,
    summary: Path | None,
    **options: Any,
) -> None:
    """Does SUBJECT keep every rule of the YAML file RULES? By confidence intervals: pass, fail or open.

    SUBJECT is the folder of a run (`assay evaluate --out`) or URL#MODEL/VERSION, which is asked about --data
    first.

    \b
    assay gate gate.yaml runs/2 --baseline runs/1 --junit gate.xml
    """
    from eval.report.document import Check

    if options["resume"] and options["out"] is None:
        raise click.UsageError("--resume needs --out, the folder of the runs that are to go on")
    told = dict(options)
    try:
        _judge(rules, subject, baseline, junit, summary, options)
    except KeyboardInterrupt:
        _write(junit, summary, subject, [Check("gate", "error", "it was stopped before it was decided")])
        stopped(told)
    except (EvalError, OSError) as error:
        click.echo(f"Error: {error}", err=True)
        _write(junit, summary, subject, [Check("gate", "error", str(error))])
        sys.exit(COULD_NOT)


def _judge(
    rules: Path,
    subject: str,
    baseline: str | None,
    junit: Path | None,
    summary: Path | None,
    options: dict[str, Any],
) -> None:
    from eval.console import bar, save
    from eval.gate.rules import read_rules
    from eval.gate.run import gate
    from eval.subject import subject_of

    model, number = options.pop("model"), options.pop("number")
    out, quiet, reports = (options.pop(name) for name in ("out", "quiet", "reports"))
    asking, told = asking_of(options), read_rules(rules)
    one = subject_of(subject, model, number)
    other = None if baseline is None else subject_of(baseline, model, number)
    with bar(quiet) as tell:
        verdicts = asyncio.run(gate(told, one, other, asking, reports=reports, out=out, tell=tell))
    for check in verdicts.checks:
        click.echo(f"{check.verdict:12}  {check.name}: {check.message}")
    if out is not None:
        save(verdicts.report, out)
    _write(junit, summary, verdicts.name, verdicts.checks)
    sys.exit(verdicts.code)


def _write(junit: Path | None, summary: Path | None, name: str, checks: Any) -> None:
    """Both files, also when the gate could not be asked: whoever reads them must not find the last one's."""
    from eval.report.junit import junit as to_junit
    from eval.report.markdown import pull_request_summary

    failed = False
    for path, text in ((junit, to_junit(f"gate {name}", checks)), (summary, pull_request_summary(checks))):
        if path is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            except OSError as error:
                click.echo(f"Error: {path} cannot be written: {error.strerror}", err=True)
                failed = True
    if failed:
        sys.exit(COULD_NOT)

"""`assay gate`: may this version go on?"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from eval.commands.compare import asking_of, sides
from eval.commands.options import FOLDER, QUIET, folder_for, stopped, told_to_stop
from eval.errors import EvalError

if TYPE_CHECKING:
    from eval.report.document import Check

__all__ = ["command"]

FILE = click.Path(dir_okay=False, path_type=Path)
FORMS = ("junit", "summary", "message")
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
@click.option(
    "--authorised",
    multiple=True,
    metavar="HOST",
    help="A host beside this machine and this cluster whose owner agreed to be attacked; may be repeated.",
)
@click.option("--junit", type=FILE, help="Write the verdicts as JUnit XML.")
@click.option("--summary", type=FILE, help="Write them as Markdown, for a pull request or a build's summary.")
@click.option("--message", type=FILE, help="Write them as a few lines, for a pod's termination message.")
@folder_for("Folder for the report and for the runs of live subjects.")
@QUIET  # fmt: skip
def command(
    rules: Path,
    subject: str,
    baseline: str | None,
    **options: Any,
) -> None:
    """Does SUBJECT keep every rule of the YAML file RULES? By confidence intervals: pass, fail or open.

    SUBJECT is the folder of a run (`assay evaluate --out`) or URL#MODEL/VERSION, which is asked about --data
    first; where the rules say so, it and --baseline are attacked alike, and timed side by side.

    \b
    assay gate gate.yaml runs/2 --baseline runs/1 --junit gate.xml
    """
    if options["resume"] and options["out"] is None:
        raise click.UsageError("--resume needs --out, the folder of the runs that are to go on")
    told, files = dict(options), {name: options.pop(name) for name in FORMS}
    try:
        with told_to_stop():
            _judge(rules, subject, baseline, files, options)
    except KeyboardInterrupt as stop:
        with _undecided(files, subject, "it was stopped before it was decided"):
            stopped(told, stop.args[0] if stop.args else signal.SIGINT)
    except (EvalError, OSError) as error:
        with _undecided(files, subject, str(error)):
            click.echo(f"Error: {error}", err=True)
    except Exception as bug:
        with _undecided(files, subject, f"a bug: {type(bug).__name__}: {bug}"):
            traceback.print_exc()


@contextlib.contextmanager
def _undecided(files: Mapping[str, Path | None], subject: str, why: str) -> Iterator[None]:
    """Write that there is no verdict, and end so whatever happens: by itself Python would end with 1, which
    says that a rule failed."""
    code = COULD_NOT
    try:
        try:
            yield
        finally:
            from eval.report.document import Check

            _write(files, subject, [Check("gate", "error", why)])
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else COULD_NOT
    except Exception:
        traceback.print_exc()
    sys.exit(code)


def _judge(
    rules: Path,
    subject: str,
    baseline: str | None,
    files: Mapping[str, Path | None],
    options: dict[str, Any],
) -> None:
    from eval.console import bar, save
    from eval.gate.rules import read_rules
    from eval.gate.run import gate
    from eval.subject import subject_of

    model, number = options.pop("model"), options.pop("number")
    out, quiet = options.pop("out"), options.pop("quiet")
    more = {name: options.pop(name) for name in ("reports", "authorised")}
    asking, told = asking_of(options), read_rules(rules)
    one = subject_of(subject, model, number)
    other = None if baseline is None else subject_of(baseline, model, number)
    with bar(quiet) as tell:
        verdicts = asyncio.run(gate(told, one, other, asking, out=out, tell=tell, **more))
    for check in verdicts.checks:
        click.echo(f"{check.verdict:12}  {check.name}: {check.message}")
    if out is not None:
        save(verdicts.report, out)
    _write(files, verdicts.name, verdicts.checks)
    sys.exit(verdicts.code)


def _write(files: Mapping[str, Path | None], name: str, checks: Sequence[Check]) -> None:
    """Every file, also when the gate could not be asked: whoever reads them must not find the last one's."""
    from eval.gate.brief import brief
    from eval.report.junit import junit
    from eval.report.markdown import pull_request_summary

    texts = {
        "junit": junit(f"gate {name}", checks),
        "summary": pull_request_summary(checks),
        "message": brief(name, checks),
    }
    failed = False
    for form, text in texts.items():
        if (path := files[form]) is not None:
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text, encoding="utf-8")
            except OSError as error:
                click.echo(f"Error: {path} cannot be written: {error.strerror}", err=True)
                failed = True
    if failed:
        sys.exit(COULD_NOT)

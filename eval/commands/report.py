"""`assay report`: the reports of a run again, in any form."""

from __future__ import annotations

from pathlib import Path

import click

from eval.commands.options import FOLDER, one_line_errors

__all__ = ["command"]

FORMS = ("html", "md", "json", "junit", "card", "summary")


@click.command(name="report", short_help="The reports of a run again, in any form.")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--out", type=FOLDER, help="Where to write; FOLDER itself by default.")
@click.option(
    "--as",
    "forms",
    multiple=True,
    type=click.Choice(FORMS),
    help="junit: JUnit XML of validity and trust flags; card: a model card; summary: for a pull request. "
    "May be repeated. By default html, md and json of a record, and md of a report.json.",
)
@click.option(
    "--mlflow", metavar="WHERE", help="Also log to MLflow: a URI, an experiment, or URI#EXPERIMENT."
)
@one_line_errors
def command(folder: Path, out: Path | None, forms: tuple[str, ...], mlflow: str | None) -> None:
    """Write the reports of the run in FOLDER again.

    From the record of an evaluation: every score is computed anew, and the data must still be there. Else
    from report.json, which holds everything but the pictures.
    """
    from eval.errors import EvalError
    from eval.gate.audited import is_audit
    from eval.recorded import JOURNAL, recorded
    from eval.report.forms import read_report, written
    from eval.runs import reported

    kept = (folder / JOURNAL).is_file() and not is_audit(folder)
    forms = forms or (FORMS[:3] if kept else ("md",))
    place = out or folder
    if kept:
        run = recorded(folder)
        with run.journal:
            report = reported(run)
    else:
        if "html" in forms and place.resolve() == folder.resolve():
            raise EvalError(
                f"{folder} has no record, so its page would lose its pictures; choose another --out"
            )
        report = read_report(folder)
    for path in written(report, place, forms):
        click.echo(f"wrote {path}")
    if mlflow is not None:
        from eval.report.tracking import log_to_mlflow

        click.echo(f"MLflow run {log_to_mlflow(report, place, mlflow)}")

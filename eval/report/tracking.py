"""A report as a run of MLflow, for those who keep their runs there. MLflow is imported only here."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from pathlib import Path
from typing import Any

from eval.errors import EvalError
from eval.report.document import Report

__all__ = ["log_to_mlflow"]

EXPERIMENT = "assay"
FORBIDDEN = re.compile(r"[^\w\-. :/]", re.ASCII)  # in names, by MLflow
LONGEST = 6000  # characters of a parameter, at most
BATCH = 900  # metrics in one request; MLflow takes 1,000


def log_to_mlflow(report: Report, folder: Path | None, where: str) -> str:
    """Keep figures as metrics, the manifest as parameters and the files of `folder` as artifacts.

    Figures that are undefined are left out: MLflow has no null. What a clock said becomes tags.

    Args:
        where: a tracking URI (`http://...`, `sqlite:///...`, `file:...`), an experiment, or both as
            `URI#EXPERIMENT`. Left out, the URI is MLflow's own choice and the experiment `assay`.

    Returns:
        The id of the run.

    Raises:
        EvalError: MLflow is not installed, or would not take it.
    """
    try:
        mlflow: Any = import_module("mlflow")
    except ImportError as error:
        raise EvalError("--mlflow needs MLflow, which is not installed: pip install mlflow-skinny") from error
    uri, experiment = _place(where)
    try:
        client = mlflow.MlflowClient(tracking_uri=uri)
        found = client.get_experiment_by_name(experiment)
        number = found.experiment_id if found else client.create_experiment(experiment)
        run = client.create_run(number, run_name=report.title).info.run_id
        _log(client, mlflow.entities, run, report)
        if folder is not None:
            client.log_artifacts(run, str(folder))
        client.set_terminated(run, "FINISHED" if report.valid else "FAILED")
    except (mlflow.exceptions.MlflowException, OSError) as error:
        message = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise EvalError(f"MLflow at {uri or 'its own place'} did not take the run: {message}") from error
    return str(run)


def _place(where: str) -> tuple[str | None, str]:
    uri, _, experiment = where.partition("#")
    if "://" in uri or uri.startswith(("file:", "databricks")):
        return uri, experiment or EXPERIMENT
    return None, where or EXPERIMENT


def _log(client: Any, entities: Any, run: str, report: Report) -> None:
    tags: Mapping[str, object] = {"valid": report.valid, **report.clock}
    metrics = [
        entities.Metric(_name(name), float(value), 0, 0)
        for name, value in report.figures.items()
        if value is not None
    ]
    params = [entities.Param(_name(name), str(value)[:LONGEST]) for name, value in report.manifest.items()]
    kept = [entities.RunTag(_name(name), str(value)) for name, value in tags.items()]
    client.log_batch(run, params=params, tags=kept)
    for start in range(0, len(metrics), BATCH):
        client.log_batch(run, metrics=metrics[start : start + BATCH])


def _name(name: str) -> str:
    return FORBIDDEN.sub("_", name)[:250]

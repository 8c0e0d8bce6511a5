"""Runs kept in MLflow: with a stand-in that has its rules, and with the real one where it is installed."""

from __future__ import annotations

import importlib.util
import sys
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from eval.errors import EvalError
from eval.report.document import Report
from eval.report.tracking import log_to_mlflow

REPORT = Report(
    "digits/1 on digits:test",
    {"model": "digits/1", "images": 400, "note": None, "odd ✓ name@": "x"},
    figures={"digits.1.accuracy": 0.98, "digits.1.kappa": None, "a@b": 1},
    clock={"started": "2026-01-01T00:00:00+00:00"},
)


class MlflowException(Exception):
    """As MLflow's."""


@dataclass
class Client:
    """Keeps what it is told; refuses the names that MLflow refuses."""

    tracking_uri: str | None
    told: dict[str, Any] = field(default_factory=dict)
    experiments: dict[str, str] = field(default_factory=dict)

    def get_experiment_by_name(self, name: str) -> Any:
        return SimpleNamespace(experiment_id=self.experiments[name]) if name in self.experiments else None

    def create_experiment(self, name: str) -> str:
        if name == "refused":
            raise MlflowException("no room\nfor it")
        self.experiments[name] = "7"
        return "7"

    def create_run(self, experiment: str, run_name: str) -> Any:
        self.told.update(experiment=experiment, run_name=run_name)
        return SimpleNamespace(info=SimpleNamespace(run_id="run-1"))

    def log_batch(self, run: str, metrics: Any = (), params: Any = (), tags: Any = ()) -> None:
        assert run == "run-1"
        assert len(metrics) <= 1000
        for kind, rows in (("metrics", metrics), ("params", params), ("tags", tags)):
            for key, value in rows:
                assert all(c.isascii() and (c.isalnum() or c in "_-. :/") for c in key), key
                self.told.setdefault(kind, {})[key] = value

    def log_artifacts(self, run: str, folder: str) -> None:
        self.told["folder"] = folder

    def set_terminated(self, run: str, status: str) -> None:
        self.told["status"] = status


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    one = Client(None)

    def made(tracking_uri: str | None) -> Client:
        one.tracking_uri = tracking_uri
        return one

    module: Any = ModuleType("mlflow")
    module.MlflowClient = made
    module.exceptions = SimpleNamespace(MlflowException=MlflowException)
    pair = lambda key, value, *_: (key, value)  # noqa: E731
    module.entities = SimpleNamespace(Metric=pair, Param=pair, RunTag=pair)
    monkeypatch.setitem(sys.modules, "mlflow", module)
    return one


def test_everything_finds_its_place(client: Client, tmp_path: Path) -> None:
    assert log_to_mlflow(REPORT, tmp_path, "http://127.0.0.1:5000#vision") == "run-1"
    assert client.tracking_uri == "http://127.0.0.1:5000"
    assert client.experiments == {"vision": "7"}
    assert client.told == {
        "experiment": "7",
        "run_name": "digits/1 on digits:test",
        "metrics": {"digits.1.accuracy": 0.98, "a_b": 1.0},
        "params": {"model": "digits/1", "images": "400", "note": "None", "odd _ name_": "x"},
        "tags": {"valid": "True", "started": "2026-01-01T00:00:00+00:00"},
        "folder": str(tmp_path),
        "status": "FINISHED",
    }


@pytest.mark.parametrize(
    ("where", "uri", "experiment"),
    [
        ("vision", None, "vision"),
        ("", None, "assay"),
        ("sqlite:///runs.db", "sqlite:///runs.db", "assay"),
        ("file:runs#x", "file:runs", "x"),
    ],
)
def test_where(client: Client, where: str, uri: str | None, experiment: str) -> None:
    log_to_mlflow(REPORT, None, where)
    assert (client.tracking_uri, list(client.experiments)) == (uri, [experiment])
    assert "folder" not in client.told


def test_an_invalid_run_has_failed_and_many_figures_fit(client: Client) -> None:
    many = {f"figure {i}": float(i) for i in range(2500)}
    log_to_mlflow(Report("r", {}, figures=many, valid=False), None, "x")
    assert client.told["status"] == "FAILED"
    assert client.told["metrics"] == many


def test_a_refusal_is_one_line(client: Client) -> None:
    with pytest.raises(EvalError, match=r"^MLflow at its own place did not take the run: no room$"):
        log_to_mlflow(REPORT, None, "refused")


def test_without_mlflow_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(EvalError, match="pip install mlflow-skinny"):
        log_to_mlflow(REPORT, None, "x")


@pytest.mark.skipif(importlib.util.find_spec("mlflow") is None, reason="MLflow is not installed")
def test_a_real_mlflow_keeps_it(tmp_path: Path) -> None:
    mlflow = importlib.import_module("mlflow")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "report.json").write_text(REPORT.to_json(), encoding="utf-8")
    uri = f"sqlite:///{tmp_path / 'runs.db'}"
    client = mlflow.MlflowClient(tracking_uri=uri)
    client.create_experiment("vision", artifact_location=(tmp_path / "kept").as_uri())
    run = client.get_run(log_to_mlflow(REPORT, tmp_path / "out", f"{uri}#vision"))
    assert run.info.status == "FINISHED"
    assert run.data.metrics == {"digits.1.accuracy": 0.98, "a_b": 1.0}
    assert run.data.params["model"] == "digits/1"
    assert [file.path for file in client.list_artifacts(run.info.run_id)] == ["report.json"]

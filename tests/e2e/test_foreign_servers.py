"""Servers that are none of ours are evaluated by options and a template alone, to the last digit.

The stock servers come from an environment of their own, because they must not bend ours: `make
.venv-peers/ready` makes it from `requirements/peers.txt`.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from eval.cli import cli
from eval.data.tables import open_data
from eval.metrics.tables import metric_for
from models.card import ModelCard
from models.decoding import decode
from models.runtime import OnnxRunner
from models.tasks import TASKS, Predictor
from tests.e2e.processes import ROOT, _wait

DIGITS = ROOT / "models" / "zoo" / "digits" / "1"
FOREIGN = Path(__file__).parent / "foreign"
PEERS = ROOT / ".venv-peers" / "bin" / "python"
IMAGES, BATCH = 100, 8
TEMPLATE = """
name: digits
task: classification
labels: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
request: {path: /predict, body: json, images: 8, json: {images: ["{base64}"]}}
answer: {each: "$.results", scores: "$.probabilities"}
"""


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextlib.contextmanager
def running(folder: Path, command: Sequence[str], port: int, until: str) -> Iterator[str]:
    """The address of a process that listens at `port`; ended again."""
    environment = {**os.environ, "DIGITS": str(DIGITS / "model.onnx"), "PYTHONPATH": str(FOREIGN)}
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        try:
            _wait(f"http://127.0.0.1:{port}{until}", process, folder / "log")
            yield f"http://127.0.0.1:{port}"
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def peers() -> str:
    if not PEERS.exists():
        pytest.skip(".venv-peers is not there: `make .venv-peers/ready` makes it")
    return str(PEERS)


def expected() -> dict[str, float | None]:
    """Every score in this process: no server, no HTTP."""
    card = ModelCard.read(DIGITS / "card.json")
    runner = OnnxRunner(
        (DIGITS / "model.onnx").read_bytes(), input_name=card.input.name, outputs=card.outputs, threads=1
    )
    predictor = Predictor(TASKS[card.task](card), runner, BATCH)
    data = open_data("digits:test", card.task).in_classes_of(card.labels).first(IMAGES)
    samples = list(data)
    answers = predictor.predict([decode(sample.file) for sample in samples])
    metrics = metric_for(card.task, data.labels)
    for metric in metrics:
        metric.update(answers, [sample.expected for sample in samples])
    return {s.name: s.value for metric in metrics for s in metric.compute() if ".class." not in s.name}


def evaluated(url: str, folder: Path, *options: str) -> dict[str, Any]:
    words = ["evaluate", url, "--data", "digits:test", "--limit", str(IMAGES), "--batch", str(BATCH)]
    result = CliRunner().invoke(cli, [*words, "--quiet", "--out", str(folder / "out"), *options])
    assert result.exit_code == 0, result.output
    figures: dict[str, Any] = json.loads((folder / "out" / "report.json").read_text())["figures"]
    return {name.removeprefix("digits.").removeprefix("1."): value for name, value in figures.items()}


def same(figures: dict[str, Any]) -> None:
    told = expected()
    assert figures.pop("errors") == 0
    assert {"accuracy", "nll_loss"} <= figures.keys() & told.keys()
    assert {name: value for name, value in figures.items() if name in told} == {
        name: value for name, value in told.items() if name in figures
    }
    assert figures["accuracy"] == pytest.approx(0.97, abs=0.03)


def template(folder: Path) -> str:
    path = folder / "api.yaml"
    path.write_text(TEMPLATE)
    return str(path)


def plain(app: str, port: int) -> list[str]:
    return ["-m", "uvicorn", f"{app}:app", "--app-dir", str(FOREIGN), "--port", str(port)]


def test_a_plain_json_server(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, [sys.executable, *plain("plain_starlette", port)], port, "/health") as url:
        same(evaluated(url, tmp_path, "--template", template(tmp_path)))


def test_a_plain_fastapi_server(tmp_path: Path) -> None:
    port = free_port()
    with running(tmp_path, [peers(), *plain("plain_fastapi", port)], port, "/health") as url:
        same(evaluated(url, tmp_path, "--template", template(tmp_path)))
        told = CliRunner().invoke(cli, ["probe", url, "--template", template(tmp_path), "--json"])
        answers = json.loads(told.output)["answers"]
        assert answers["batches"] == {"1": True, "2": True, "8": True}
        assert answers["deterministic"]


def test_a_stock_mlserver(tmp_path: Path) -> None:
    """The protocol is found out; only the card is named."""
    port, others = free_port(), [free_port(), free_port()]
    settings = {"host": "127.0.0.1", "http_port": port, "grpc_port": others[0], "metrics_port": others[1]}
    (tmp_path / "settings.json").write_text(json.dumps({**settings, "parallel_workers": 0}))
    model = {
        "name": "digits",
        "implementation": "on_mlserver.Runtime",
        "inputs": [{"name": "images", "datatype": "FP32", "shape": [-1, 1, 28, 28]}],
        "outputs": [{"name": "logits", "datatype": "FP32", "shape": [-1, 10]}],
    }
    (tmp_path / "model-settings.json").write_text(json.dumps(model))
    command = [str(Path(peers()).with_name("mlserver")), "start", "."]
    with running(tmp_path, command, port, "/v2/models/digits/ready") as url:
        same(evaluated(url, tmp_path, "--card", str(DIGITS / "card.json")))
        told = json.loads(CliRunner().invoke(cli, ["probe", url, "--json"]).output)
        assert (told["protocol"], told["server"], told["models"][0]["takes"]) == (
            "oip",
            "mlserver",
            "tensors",
        )
        assert told["answers"]["batches"] == {"1": True, "2": True, "8": True}


def test_a_stock_kserve(tmp_path: Path) -> None:
    """It says of its model neither what goes in nor what comes out: the card does."""
    port = free_port()
    command = [peers(), str(FOREIGN / "on_kserve.py"), "--http_port", str(port)]
    with running(tmp_path, command, port, "/v2/models/digits/ready") as url:
        same(evaluated(url, tmp_path, "--model", "digits", "--card", str(DIGITS / "card.json")))
        words = ["probe", url, "--card", str(DIGITS / "card.json"), "--json"]
        told = json.loads(CliRunner().invoke(cli, words).output)
        assert (told["protocol"], told["server"]) == ("oip", "kserve")
        assert told["answers"]["deterministic"]


def test_the_figures_can_differ(tmp_path: Path) -> None:
    """Two names changed round: what is equal above is not equal by chance."""
    port, path = free_port(), tmp_path / "api.yaml"
    path.write_text(TEMPLATE.replace("[0, 1,", "[1, 0,"))
    with running(tmp_path, [sys.executable, *plain("plain_starlette", port)], port, "/health") as url:
        figures = evaluated(url, tmp_path, "--template", str(path))
    accuracy = expected()["accuracy"]
    assert accuracy is not None
    assert 0.6 < figures["accuracy"] < accuracy - 0.1

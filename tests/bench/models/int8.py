"""What int8 is worth live: a ResNet-18-sized net and the CIFAR-10 classifier beside their float forms.

The float form that counts is the graph as it is shipped; folded offline it is no faster any more.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from eval.optimise.evidence import Evidence
from eval.optimise.gate import not_inferior
from eval.optimise.plan import Plan
from eval.optimise.run import optimise
from eval.optimise.speed import Way, in_turn, request_of
from eval.served import served
from models.card import InputSpec
from models.cli import ZOO
from models.optimise.calibration import calibration_of
from models.optimise.candidates import SCHEMES
from models.optimise.graph import folded
from models.optimise.quantise import quantised
from models.publish import publish
from models.repository import Version, newest, versions
from tests.bench.serving.material import photograph
from tests.bench.serving.nets import RESNET18_FACTS, SEED, resnet18

__all__ = ["measure"]

DATA = Path(os.environ.get("ASSAY_DATA_DIR", "../shared/data"))
CIFAR = DATA / "cifar10_jpeg"
PUBLISHED = DATA / "models" / "cifar10_resnet20.onnx"
LABELS = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
INT8 = "int8-u8s8"  # the plain scheme, for both nets: nothing is chosen by what it is measured on
ROUNDS, SECONDS, BATCH, CONNECTIONS = 7, 1.0, 32, 4
BAR, MARGIN = 2.5, 0.01


def measure() -> dict[str, float | None]:
    """Throughput of int8 over float, live, and what it costs in accuracy; null where data is absent."""
    return {"int8.resnet18.speedup": _resnet18(), **_cifar10()}


def _resnet18() -> float:
    rng = np.random.default_rng(SEED)
    pixels = rng.integers(0, 256, (BATCH, 224, 224, 3)).astype(np.uint8)
    graph = resnet18()
    with tempfile.TemporaryDirectory() as folder:
        root, golden = Path(folder), photograph(480, 640)
        first = publish(root, graph, RESNET18_FACTS, golden_image=golden)
        name, spec = first.card.name, first.card.input
        calibration = calibration_of("random", first.card, list(pixels[:16]))
        int8 = quantised(folded(graph), spec.name, calibration, SCHEMES[INT8])
        publish(root, int8, {**RESNET18_FACTS, "version": 2}, golden_image=golden)
        with served(model_repository=root, poll_s=0) as url:
            asks = request_of(spec.name, pixels), request_of(spec.name, pixels[:1])
            ways = {str(v): Way(url, f"/v2/models/{name}/versions/{v}/infer", *asks) for v in (1, 2)}
            speeds = in_turn(ways, rounds=ROUNDS, seconds=SECONDS, connections=CONNECTIONS)
    times = speeds["2"].times(speeds["1"])
    ratio = speeds["2"].ratio(speeds["1"])
    print(f"resnet18 at 224: int8 {ratio:.2f} x fp32, rounds {min(times):.2f} to {max(times):.2f}; bar {BAR}")
    return ratio


def _cifar10() -> Mapping[str, float | None]:
    nothing: dict[str, float | None] = {"int8.cifar10.speedup": None, "int8.cifar10.accuracy_drop": None}
    archives = CIFAR / "train.tar.gz", CIFAR / "test_a.tar.gz"
    if not all(path.is_file() for path in archives):
        print(f"ASSAY_DATA_DIR has no {CIFAR.name}: int8 of the CIFAR-10 net is not measured")
        return nothing
    plan = Plan(
        f"tar:{archives[0]}",
        f"tar:{archives[1]}",
        calibration_images=256,
        margin=MARGIN,
        rounds=ROUNDS,
        seconds=SECONDS,
        batch=64,
        connections=CONNECTIONS,
        samples=0,
        only=("folded", INT8),
    )
    with tempfile.TemporaryDirectory() as folder:
        version = _classifier(Path(folder))
        if version is None:
            print("there is no CIFAR-10 net, neither in the zoo nor in ASSAY_DATA_DIR: int8 is not measured")
            return nothing
        done = optimise(version, plan)
    fp32, plain, int8 = done.evidence
    for one in done.evidence:
        print(f"cifar10 {one.name}: {one.speed.ratio(fp32.speed):.2f} x, {_told(one)}")
    allowed = int8.difference is not None and not_inferior(int8.difference, MARGIN)
    ratio, beside = int8.speed.ratio(fp32.speed), int8.speed.ratio(plain.speed)
    verdict = "passes" if allowed else "is refused by"
    print(f"cifar10/1: int8 {ratio:.2f} x fp32, {beside:.2f} x folded; bar {BAR}; it {verdict} the gate")
    drop = -int8.difference.value if int8.difference and int8.difference.value is not None else None
    return {
        "int8.cifar10.speedup": ratio,
        "int8.cifar10.speedup_over_folded": beside,
        "int8.cifar10.accuracy_drop": drop,
        "int8.cifar10.passes_gate": int(allowed),
    }


def _told(one: Evidence) -> str:
    gap = one.difference
    interval = f", {gap.value:+.4f} ({gap.low:+.4f} to {gap.high:+.4f})" if gap else ""
    return f"accuracy {one.score.value:.4f}{interval}, {one.speed.latency_ms:.2f} ms"


def _classifier(folder: Path) -> Version | None:
    """The zoo's own; else the published ResNet-20, given a card here; else nothing."""
    if (ZOO / "cifar10").is_dir():
        return newest([v for v in versions(ZOO) if "optimised.from" not in v.card.training], "cifar10")
    if not PUBLISHED.is_file():
        return None
    facts: dict[str, Any] = {
        "name": "cifar10-resnet20",
        "version": 1,
        "task": "classification",
        "family": "logits",
        "input": InputSpec(name="input", height=32, width=32),
        "outputs": ("t110",),
        "labels": LABELS,
        "licence": "BSD-2-Clause",
        "source": PUBLISHED.name,
        "max_batch": 64,
    }
    return publish(folder, PUBLISHED.read_bytes(), facts, golden_image=photograph(32, 32))


if __name__ == "__main__":
    print(measure())

"""Measure deployment: `python -m tests.bench.deploy [case ...]`; flat, `runs/bench/deploy.json`."""

from __future__ import annotations

import sys
from functools import partial
from importlib import import_module

from eval.served import ROOT
from tests.bench.cases import Figures, run

OUT = ROOT / "runs" / "bench" / "deploy.json"
NAMES = ("image", "smoke", "manifests", "memory", "capacity", "load", "gate", "alerts", "network_faults")


def _measure(name: str) -> Figures:
    """By name, so that a case whose tools are absent does not keep the others from being measured."""
    return dict(import_module(f"tests.bench.deploy.{name}").measure())


if __name__ == "__main__":
    sys.exit(run("tests.bench.deploy", __doc__, {name: partial(_measure, name) for name in NAMES}, OUT))

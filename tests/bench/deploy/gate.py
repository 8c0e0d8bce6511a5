"""Three bad canaries and a good one through the Job of components/gate, to its verdict."""

from __future__ import annotations

import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from eval.served import served
from tests.bench.cases import Figures
from tests.deploy.gate_job import Outcome, container_engine, judged
from tests.deploy.gate_models import SLOW_S, USUAL_S, canaries, rules, slowed

__all__ = ["measure"]

BAD = {"worse": "accuracy", "fragile": "audit.robust_accuracy", "slow": "latency.p50_ms"}
GOOD_RUNS = 4  # each with another seed of the attacks
DATA = "digits:test"
PAIRS = "100"  # before the first look: both take 20 ms, or one 60


def measure() -> Figures:
    """How many of three bad canaries are stopped, and for the right reason; how often a good one passes."""
    began, blocked, passed = time.monotonic(), 0, 0
    if container_engine() is None:
        print("no image of these sources (make image): the Job's pod is a process", file=sys.stderr)
    with _services() as (stable, canary), tempfile.TemporaryDirectory() as place:
        for name, rule in BAD.items():
            model = "good" if name == "slow" else name
            took_s = SLOW_S if name == "slow" else USUAL_S
            with slowed(canary, took_s) as late:
                outcome = _judged(Path(place) / name, stable, late, model, seed=0)
            right = (
                outcome.result == "Failed"
                and outcome.codes == [1]
                and f"fail: {rule}" in outcome.pods[-1].message
            )
            blocked += right
            _tell(name, outcome)
        for seed in range(GOOD_RUNS):
            with slowed(canary, USUAL_S) as late:
                outcome = _judged(Path(place) / f"good-{seed}", stable, late, "good", seed=seed)
            passed += outcome.result == "Complete"
            _tell(f"good, seed {seed}", outcome)
    return {
        "gate.bad_canaries": len(BAD),
        "gate.blocked": blocked,
        "gate.good_passed": int(passed == GOOD_RUNS),
        "gate.good_runs": GOOD_RUNS,
        "gate.good_runs_passed": passed,
        "gate.in_container": int(container_engine() is not None),
        "gate.seconds": round(time.monotonic() - began, 1),
    }


@contextlib.contextmanager
def _services() -> Iterator[tuple[str, str]]:
    """What is served now, and the canaries: two processes."""
    with tempfile.TemporaryDirectory() as root:
        there = canaries(Path(root) / "canaries")
        now = Path(root) / "stable"
        now.mkdir()
        (now / "digits").symlink_to(there / "digits")
        with (
            served(model_repository=now) as stable,
            served(model_repository=there) as canary,
            slowed(stable, USUAL_S) as late,
        ):
            yield late, canary


def _judged(place: Path, stable: str, canary: str, model: str, seed: int) -> Outcome:
    services = {"assay": stable, "assay-canary": canary}
    told = {"CANARY_MODEL": model, "STABLE_MODEL": "digits", "DATA": DATA, "MAX_QPS": 100_000}
    return judged(place, rules(seed=str(seed), pairs=PAIRS), services, container_engine(), **told)


def _tell(name: str, outcome: Outcome) -> None:
    said = outcome.pods[-1].message or outcome.pods[-1].told[-2000:]
    print(f"{name}: {outcome.result}, exit codes {outcome.codes}\n{said}", file=sys.stderr)

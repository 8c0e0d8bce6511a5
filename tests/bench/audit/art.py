"""The same audit of the same live endpoint by ART and by us: how long, how many queries, how small."""

from __future__ import annotations

import asyncio
import json
import subprocess
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from eval.attacks.base import Attack, Threat
from eval.attacks.goals.classification import untargeted
from eval.attacks.hopskipjump import HopSkipJump
from eval.attacks.results import AttackResult
from eval.attacks.square import Square
from eval.attacks.wave import Limits, attack_all
from eval.remote.access import endpoint_of
from eval.served import ROOT, served
from tests.bench.audit.material import Subject, subject_of

__all__ = ["measure"]

PYTHON = ROOT / ".venv-art" / "bin" / "python"
ROUNDS, IMAGES, EPSILON, BUDGET = 3, 100, 48.0, 300
# HopSkipJump: pictures, queries of each, those of ours to come to ART's result, and no limit in L2.
SEARCHED, SEARCH_BUDGET, FEWER, ANYWHERE = 20, 1000, (125, 250, 500), 1e5


Timed = tuple[AttackResult, float]


def ours(
    subject: Subject, attack: Attack, threat: Threat, budget: int, seed: int
) -> tuple[AttackResult, float]:
    """What it came to, and in how many seconds, the connections' opening among them."""

    async def run() -> Timed:
        began = time.perf_counter()
        async with endpoint_of(subject.target) as endpoint:
            goals = untargeted(subject.labels)
            result = await attack_all(
                attack, endpoint, subject.images, goals, threat=threat, limits=Limits(budget), seed=seed
            )
        return result, time.perf_counter() - began

    return asyncio.run(run())


def art(subject: Subject, folder: Path, **plan: Any) -> dict[str, Any]:
    """The same by ART, in its own environment; what it printed."""
    pictures = folder / "pictures.npz"
    np.savez(pictures, images=np.stack(subject.images), labels=np.array(subject.labels))
    target = subject.target
    told = {
        "url": target.url, "model": target.model, "version": target.version, "classes": len(target.labels),
        "pictures": str(pictures), "epsilon": EPSILON, "together": False, "seed": 0, **plan,
    }  # fmt: skip
    line = [str(PYTHON), "-m", "tests.bench.audit.on_art"]
    done = subprocess.run(line, input=json.dumps(told), capture_output=True, text=True, check=False, cwd=ROOT)
    if done.returncode:
        raise RuntimeError(f"ART ended with {done.returncode}: {done.stderr[-1000:]}")
    read: dict[str, Any] = json.loads(done.stdout)
    return read


def _together(subject: Subject, folder: Path) -> dict[str, float]:
    """Square on all pictures at once: as many proposals of each picture by both."""
    rates, walls = [], []
    for seed in range(ROUNDS):
        result, seconds = ours(subject, Square(), Threat("linf", EPSILON), BUDGET, seed)
        theirs = art(subject, folder, attack="square", together=True, iterations=BUDGET - 3, seed=seed)
        rate = int(result.queries.sum()) / seconds
        rates.append(rate / (theirs["queries"] / theirs["seconds"]))
        walls.append(theirs["seconds"] / seconds)
        print(
            f"square        ours {seconds:6.2f} s, {rate:7.0f} queries/s; "
            f"ART {theirs['seconds']:6.2f} s, {theirs['queries'] / theirs['seconds']:7.0f} queries/s"
        )
    return {
        "throughput.vs_art.square.queries_per_second": float(np.median(rates)),
        "throughput.vs_art.square.seconds": float(np.median(walls)),
    }


def _searched(subject: Subject, folder: Path) -> dict[str, float]:
    """HopSkipJump, L2: with the same queries of each picture, and until pictures as near are found."""
    few = replace(subject, images=subject.images[:SEARCHED], labels=subject.labels[:SEARCHED])
    threat, rows = Threat("l2", ANYWHERE), []
    for seed in range(ROUNDS):
        theirs = art(few, folder, attack="hopskipjump", budget=SEARCH_BUDGET, seed=seed)
        wanted = float(np.median([row["nearest"] or np.inf for row in theirs["rows"]]))
        result, seconds = ours(few, HopSkipJump(), threat, SEARCH_BUDGET, seed)
        reached = seconds
        for budget in FEWER:
            less, shorter = ours(few, HopSkipJump(), threat, budget, seed)
            if np.median(less.perturbations) <= wanted:
                reached = shorter
                break
        rate, other = int(result.queries.sum()) / seconds, theirs["queries"] / theirs["seconds"]
        own = float(np.median(result.perturbations))
        rows.append((rate / other, theirs["seconds"] / seconds, theirs["seconds"] / reached, own / wanted))
        print(
            f"hopskipjump   ours {seconds:6.2f} s, {rate:7.0f} queries/s, median L2 {own:.0f}; ART "
            f"{theirs['seconds']:6.2f} s, {other:7.0f} queries/s, median L2 {wanted:.0f}, "
            f"which we had in {reached:.2f} s"
        )
    names = ("queries_per_second", "seconds_same_budget", "seconds", "size")
    medians = np.median(rows, axis=0).tolist()
    return {f"throughput.vs_art.hopskipjump.{n}": m for n, m in zip(names, medians, strict=True)}


def _to_break(subject: Subject, folder: Path) -> dict[str, float | int]:
    """Queries until a picture is broken, median of those that both break with the same budget.

    ART's Square asks three times about each proposal. `proposals` counts each once, as if it did not.
    """
    result, _ = ours(subject, Square(), Threat("linf", EPSILON), BUDGET, 0)
    theirs = art(subject, folder, attack="square", iterations=BUDGET, budget=BUDGET)
    generous = art(subject, folder, attack="square", iterations=BUDGET, budget=3 * BUDGET)
    own = np.where(result.fooled, result.queries_to_fool - 1, 0)  # its own check is no search

    def compared(rows: list[Any], queries: float) -> float:
        first = np.array([row["first"] or 0 for row in rows])
        both = (own > 0) & (first > 0)
        return float(np.median(own[both]) / np.median(np.ceil(first[both] / queries)))

    broken = [sum(row["first"] is not None for row in run["rows"]) for run in (theirs, generous)]
    print(
        f"square broke {int(result.fooled.sum())} of {IMAGES}, ART {broken[0]}, with thrice the queries "
        f"{broken[1]}"
    )
    return {
        "queries_to_break.vs_art": compared(theirs["rows"], 1),
        "queries_to_break.vs_art.proposals": compared(generous["rows"], 3),
        "broken.ours": int(result.fooled.sum()),
        "broken.art": broken[0],
    }


def measure() -> dict[str, float | int | None]:
    """`throughput.vs_art`: ART's seconds over ours to the same result; of two attacks, the lower ratio."""
    if not PYTHON.exists():
        print("throughput.vs_art: null, .venv-art is not there; `make bench-audit` makes it")
        return {"throughput.vs_art": None, "queries_to_break.vs_art": None}
    with tempfile.TemporaryDirectory() as work, served() as url:
        subject = subject_of(url, "digits", 1, "digits:test", IMAGES)
        folder = Path(work)
        told: dict[str, Any] = {**_together(subject, folder), **_searched(subject, folder)}
        told |= _to_break(subject, folder)
    told["throughput.vs_art"] = min(v for k, v in told.items() if k.endswith(".seconds"))
    return told

"""Three ways to train the same net, under the audit at hand: as usual, against PGD, by TRADES.

    python -m tests.bench.models.robust [REPOSITORY] [SAMPLES]

Everything is asked of a live service. The smaller radius is there so that the normal net keeps something
to divide by; at the larger one, which the robust nets were trained for, it has nothing left.
"""

from __future__ import annotations

import asyncio
import sys
from dataclasses import replace
from pathlib import Path

from eval.auditing.plan import Audit
from eval.auditing.run import audit
from eval.demo import EPSILON
from eval.runs import evaluate
from eval.served import served
from models.cli import ZOO

__all__ = ["EPSILONS", "WAYS", "measure"]

WAYS = {1: "normal", 2: "pgd", 3: "trades"}  # version of `digits` -> how it was trained
ASKED = Audit(attacks="uniform_noise,square", corruptions="", budget=500, curve=False)
EPSILONS = (EPSILON / 2, EPSILON)  # levels; the ratio is taken at the first


def measure(repository: Path = ZOO, *, samples: int = 200) -> dict[str, float | None]:
    """Flat figures `robust.*`: clean accuracy, robust accuracy by radius, and their ratio to normal.

    Clean accuracy is of all 1,000 held-out digits, robust accuracy of the first `samples`: the worst of
    uniform noise and Square, 500 queries a picture. `robust.ratio` is of PGD to normal at 38 levels, None
    where the normal net has nothing left.
    """
    with served(model_repository=repository) as url:
        found = asyncio.run(_measured(url, samples))
    normal = found[f"robust.normal.accuracy_{EPSILONS[0]:g}"]
    for way, figure in (("pgd", "robust.ratio"), ("trades", "robust.trades.ratio")):
        strong = found[f"robust.{way}.accuracy_{EPSILONS[0]:g}"]
        found[figure] = strong / normal if normal and strong is not None else None
    return found


async def _measured(url: str, samples: int) -> dict[str, float | None]:
    found: dict[str, float | None] = {}
    for number, way in WAYS.items():
        report = await evaluate(url, "digits:test", model="digits", number=number)
        found[f"robust.{way}.clean_accuracy"] = report.figures[f"digits.{number}.accuracy"]
        for epsilon in EPSILONS:
            plan = replace(ASKED, epsilon=epsilon, samples=samples)
            told = await audit(url, "digits:test", plan, model="digits", number=number)
            figure = told.figures[f"audit.digits.{number}.robust_accuracy"]
            found[f"robust.{way}.accuracy_{epsilon:g}"] = figure if told.valid else None
    return found


if __name__ == "__main__":
    given = sys.argv[1:]
    for name, value in measure(
        Path(given[0]) if given else ZOO, samples=int((given[1:] or ["200"])[0])
    ).items():
        print(f"{name:32} {value}")

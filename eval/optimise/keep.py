"""Publishes the candidate that passed as the next version, its evidence on the card."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from eval.optimise.plan import Plan
from eval.optimise.run import Optimised, facts_of, tolerance_of
from models.card import Claim
from models.publish import publish
from models.repository import Version, versions
from models.results import Array
from models.runtime import OnnxRunner
from models.tasks import TASKS

__all__ = ["card_facts", "keep"]

PREFIX = "optimised"


def keep(root: Path, version: Version, done: Optimised, plan: Plan) -> Version:
    """`<root>/<name>/<next number>/`, proven like any version.

    Raises:
        ValueError: nothing passed.
        models.repository.RepositoryError: the written version does not prove itself.
    """
    if done.kept is None:
        raise ValueError("a candidate must pass the gate to be kept, none did")
    name = version.card.name
    number = 1 + max(v.card.version for v in versions(root) if v.card.name == name)
    facts = facts_of(version, number)
    score = done.kept.score
    if score.value is not None and plan.limit is None:  # a claim is of the whole data set it names
        images = done.kept.difference.support if done.kept.difference else score.support
        facts["claims"] = [Claim(metric=score.name, value=score.value, support=images, data=plan.data)]
    facts["training"] = {**version.card.training, **card_facts(version, done, plan)}
    graph, golden = done.graphs[done.kept.name], done.golden
    tolerance = max(tolerance_of(version), _apart(version, graph, golden))
    return publish(root, graph, facts, golden_image=golden, tolerance=tolerance)


def card_facts(version: Version, done: Optimised, plan: Plan) -> dict[str, str | int | float]:
    """How the kept graph was made and what was measured, flat, each name `optimised.*`."""
    one, base = done.kept, done.evidence[0]
    if one is None:
        return {}
    told: dict[str, str | int | float | None] = {
        "from": f"{version.card.name}/{version.card.version}",
        "from_sha256": version.card.sha256,
        "candidate": one.name,
        **one.facts,
        "measured_on": plan.data,
        "images": one.difference.support if one.difference else None,
        "margin": plan.margin,
        "seed": plan.seed,
        "speedup": round(one.speed.ratio(base.speed), 3),
        f"{one.score.name}": one.score.value,
    }
    if one.difference is not None:
        told |= {
            "difference": one.difference.value,
            "difference_low": one.difference.low,
            "difference_high": one.difference.high,
        }
    if one.ece is not None and base.ece is not None:
        told |= {"ece_error": one.ece, "ece_error_from": base.ece}
    if one.robust is not None and base.robust is not None:
        told |= {
            "epsilon": plan.epsilon,
            "robust_images": len(one.robust.standing),
            "robust_accuracy": one.robust.accuracy,
            "robust_accuracy_from": base.robust.accuracy,
            "corrupted_accuracy": one.robust.corrupted,
            "corrupted_accuracy_from": base.robust.corrupted,
        }
    return {f"{PREFIX}.{key}": value for key, value in told.items() if value is not None}


def _apart(version: Version, graph: bytes, image: Array) -> float:
    """The largest difference of a raw output from the original's.

    What rounding does on this machine is a fair measure of what other rounding may do on another.
    """
    card = version.card
    batch = TASKS[card.task](card).prepare(image)[None]
    mine, theirs = (
        OnnxRunner(data, input_name=card.input.name, outputs=card.outputs).run(batch)
        for data in (graph, version.model_path.read_bytes())
    )
    pairs = zip(mine, theirs, strict=True)
    return max(float(np.abs(a.astype(np.float64) - b.astype(np.float64)).max(initial=0)) for a, b in pairs)

"""When not to believe an audit: flags that are raised, not raised, or could not be measured.

After Carlini et al. 2019, "On evaluating adversarial robustness", arXiv 1902.06705, in forms
that need nothing but the endpoint's answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from eval.attacks.results import MOST_ERRORS, AttackResult
from eval.endpoint import Endpoint
from models.results import Array, Classification

__all__ = ["Flag", "attack_flags", "endpoint_flags"]

REPEATS = 5
SAME_SCORES = 1e-4  # relative change of the scores that still counts as the same answer
FEW_LEVELS = 1e-3  # scores on a grid this coarse hide the search's progress


@dataclass(frozen=True, slots=True)
class Flag:
    """One reason for doubt.

    Attributes:
        name: short and stable.
        raised: None where it could not be measured.
        evidence: what was measured.
        means: what a raised flag says of the numbers.
        do: what to do then.
    """

    name: str
    raised: bool | None
    evidence: str
    means: str
    do: str


async def endpoint_flags(endpoint: Endpoint[Classification], images: Sequence[Array]) -> list[Flag]:
    """Ask a few images several times: is the endpoint deterministic, are its scores whole?

    *not_deterministic*: raised if the label changes, or the scores by more than 1e-4 of their
    length, when the same bytes are asked 5 times, alone and in company.
    *rounded_scores*: raised if every score is a multiple of 0.001.
    """
    if not images:
        return []
    together = list(await endpoint.predict(list(images)))
    worst, flips = 0.0, 0
    for _ in range(REPEATS - 1):
        for image, first in zip(images, together, strict=True):
            (again,) = await endpoint.predict([image])
            flips += again.label != first.label
            change = np.linalg.norm(again.scores - first.scores) / np.linalg.norm(first.scores)
            worst = max(worst, float(change))
    scores = np.concatenate([answer.scores for answer in together]).astype(np.float64)
    grid = float(np.abs(scores / FEW_LEVELS - np.round(scores / FEW_LEVELS)).max())
    return [
        Flag(
            "not_deterministic",
            flips > 0 or worst > SAME_SCORES,
            f"{flips} label changes and at most {worst:.1e} relative change in "
            f"{REPEATS} asks of {len(images)} images, alone and together",
            "One lucky answer can look like a success, and one unlucky answer like robustness.",
            "Ask each final picture several times and take the majority; average scores in the search.",
        ),
        Flag(
            "rounded_scores",
            grid < 1e-3,
            f"scores are {'' if grid < 1e-3 else 'not '}multiples of {FEW_LEVELS:g}",
            "The search cannot see small progress, so the attack is weaker than the budget suggests.",
            "Serve full scores for the audit, or use decision-based attacks.",
        ),
    ]


def attack_flags(results: Sequence[AttackResult]) -> list[Flag]:
    """What the results themselves give away.

    *noise_as_good*: raised if noise fooled at least as many as the strongest search.
    *not_reverified*: raised if a claimed success was right again on the same bytes.
    *errors*: raised if more than 1 % of the samples got no answer.
    *no_progress*: raised if a search left the margin of nearly every standing sample unmoved.
    """
    noise = [r for r in results if "noise" in r.attack]
    searches = [r for r in results if "noise" not in r.attack]
    return [
        _noise_as_good(noise, searches),
        _not_reverified(results),
        _errors(results),
        _no_progress(searches),
    ]


def _noise_as_good(noise: Sequence[AttackResult], searches: Sequence[AttackResult]) -> Flag:
    means = "The search did no better than chance: it failed, and robust accuracy is too high."
    do = "Check epsilon and budget; try another attack."
    if not noise or not searches:
        return Flag("noise_as_good", None, "needs a noise attack and a search", means, do)
    floor = max(int(r.fooled.sum()) for r in noise)
    best = max(int(r.fooled.sum()) for r in searches)
    share = f"noise fooled {floor}, the strongest search {best}"
    return Flag("noise_as_good", floor >= best and floor > 0, share, means, do)


def _not_reverified(results: Sequence[AttackResult]) -> Flag:
    claimed, fooled = (sum(int(getattr(r, name).sum()) for r in results) for name in ("claimed", "fooled"))
    return Flag(
        "not_reverified",
        claimed > fooled if claimed else None,
        f"{fooled} of {claimed} claimed successes were wrong again on the same bytes",
        "The endpoint changes its mind; the rest are counted as failures of the attack.",
        "See not_deterministic.",
    )


def _errors(results: Sequence[AttackResult]) -> Flag:
    failed, asked = sum(int(r.errors.sum()) for r in results), sum(map(len, results))
    return Flag(
        "errors",
        failed > MOST_ERRORS * asked if asked else None,
        f"{failed} of {asked} samples got no answer",
        "The run is invalid: what failed is neither robust nor fooled.",
        "Lower --in-flight or --batch, look at the service's log, and run again.",
    )


def _no_progress(searches: Sequence[AttackResult]) -> Flag:
    means = "The objective is flat: the model may mask it (saturated or rounded scores), not resist."
    do = "Look at the scores of one image along the search; try a decision-based attack."
    kept = [r for r in searches if r.standing.any()]
    if not kept:
        return Flag("no_progress", None, "no search left a sample standing", means, do)
    still = [float((r.best_margin >= r.start_margin)[r.standing].mean()) for r in kept]
    return Flag(
        "no_progress", max(still) > 0.9, f"{max(still):.2f} of standing margins never fell", means, do
    )

"""Square on the lattice needs as many queries as Square in floating point, and succeeds as often."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

from eval.attacks.base import Attack, Threat
from eval.attacks.goals.classification import untargeted
from eval.attacks.square import Square
from eval.attacks.square_l2 import SquareL2
from eval.attacks.wave import Limits, attack_all
from models.results import Array
from tests.eval.attacks.references import Bent, square_l2, square_linf

SIZE, COUNT, BUDGET = 11, 200, 120
SHAPE = (SIZE, SIZE, 3)


def asked_by_ours(attack: Attack, threat: Threat, net: Bent, images: list[Array], labels: list[int]) -> Array:
    """Pictures asked about before the last check; the budget and one more without success."""
    told = attack_all(
        attack, net, images, untargeted(labels), threat=threat, limits=Limits(BUDGET + 2), seed=3
    )
    result = asyncio.run(told)
    assert result.clean_correct.all()
    return np.where(result.fooled, result.queries - 2, BUDGET + 1)


def largest_gap(one: Array, other: Array) -> float:
    """Kolmogorov-Smirnov: of two empirical distributions."""
    at = np.unique(np.concatenate([one, other]))
    shares = [np.searchsorted(np.sort(asked), at, side="right") / len(asked) for asked in (one, other)]
    return float(np.abs(shares[0] - shares[1]).max())


@pytest.mark.parametrize(
    ("attack", "reference", "threat"),
    [
        (Square(), square_linf, Threat("linf", 4)),
        (Square(start=0.1), square_linf, Threat("linf", 5)),
        (SquareL2(), square_l2, Threat("l2", 80)),
        (SquareL2(start=0.1), square_l2, Threat("l2", 80)),
    ],
    ids=["linf", "linf from small windows", "l2", "l2 from small windows"],
)
def test_success_and_queries_are_those_of_the_paper(
    attack: Square | SquareL2, reference: Callable[..., int | None], threat: Threat
) -> None:
    rng = np.random.default_rng(1)
    net = Bent(SHAPE)
    images = [rng.integers(0, 256, SHAPE, dtype=np.uint8) for _ in range(COUNT)]
    labels = [net.answer(image).label for image in images]
    ours = asked_by_ours(attack, threat, net, images, labels)
    theirs = np.array(
        [
            reference(image, net.margin_of(label), threat.epsilon, BUDGET, attack.start, seed) or BUDGET + 1
            for seed, (image, label) in enumerate(zip(images, labels, strict=True))
        ]
    )
    found = (ours <= BUDGET).mean(), (theirs <= BUDGET).mean()
    assert 0.5 < found[1] < 0.97  # else there is nothing to tell apart
    assert np.median(theirs) > 5
    assert abs(found[0] - found[1]) < 1.96 * np.sqrt(2 * found[1] * (1 - found[1]) / COUNT)
    assert largest_gap(ours, theirs) < 1.36 * np.sqrt(2 / COUNT)  # 5 % level

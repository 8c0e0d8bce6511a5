"""Toward one class: what is known in closed form is found, and another class is no success."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from eval.attacks.base import Threat
from eval.attacks.goals.classification import Targeted, untargeted
from eval.whitebox.attacks.apgd import ApgdDlrT
from eval.whitebox.attacks.base import WhiteBox
from eval.whitebox.attacks.losses import Aim, cross_entropy, dlr
from eval.whitebox.attacks.tables import WHITE_BOX
from eval.whitebox.node import Unsupported
from eval.whitebox.transfer import found_on
from models.results import Array

pytestmark = pytest.mark.torch
SHAPE = (5, 6, 3)
WEIGHTS = np.random.default_rng(0).normal(0, 0.02, (6, 90))
EACH = pytest.mark.parametrize("attack", WHITE_BOX.values(), ids=WHITE_BOX)


def linear(pictures: Tensor) -> Tensor:
    return pictures.double().flatten(1) @ torch.from_numpy(WEIGHTS).T


def pictures(count: int) -> list[Array]:
    """Far enough from 0 and 255 that clipping decides nothing."""
    rng = np.random.default_rng(3)
    return [rng.integers(100, 156, SHAPE, dtype=np.uint8) for _ in range(count)]


def two_of_four(points: Tensor) -> Tensor:
    """Two classes that matter, and two that are always far below."""
    logits = linear(points)[:, :2]
    low = logits.mean(dim=1, keepdim=True)
    return torch.cat([logits, low - 500, low - 500], dim=1)


@EACH
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_closed_form_is_found_and_nothing_below(attack: WhiteBox, norm: str) -> None:
    """Between two classes the nearest picture of the other lies at the margin by the dual norm."""
    for image in pictures(4):
        logits = WEIGHTS[:2] @ image.ravel()
        truth = int(logits.argmax())
        apart = np.linalg.norm(WEIGHTS[0] - WEIGHTS[1], 1 if norm == "linf" else 2)
        edge = float(np.ptp(logits) / apart)
        goal = Targeted(truth, 1 - truth)
        if norm == "linf":
            threats = [(Threat("linf", math.floor(edge) + more), bool(more)) for more in (0, 1)]
        else:  # rounding half a level of 90 values costs little of the margin; see `Pgd` for its 2 %
            enough = edge * 1.02 if attack.name == "pgd" else edge + 1
            threats = [(Threat("l2", edge - 1e-6), False), (Threat("l2", enough), True)]
        for threat, reached in threats:
            if threat.epsilon >= 1:
                found = found_on(two_of_four, [image], [goal], threat, attack, 0)
                assert found.fooled.tolist() == [reached], (edge, threat)


@EACH
def test_only_the_wanted_class_counts(attack: WhiteBox) -> None:
    images = pictures(8)
    ranks = [np.argsort(WEIGHTS @ image.ravel())[::-1] for image in images]
    goals = [Targeted(int(rank[0]), int(rank[i % 5 + 1])) for i, rank in enumerate(ranks)]
    far, near = (found_on(linear, images, goals, Threat("linf", e), attack, 0) for e in (90, 1))
    for goal, picture, margin in zip(goals, far.pictures, far.margins, strict=True):
        logits = WEIGHTS @ picture.ravel()
        others = np.delete(logits, goal.target).max()
        assert margin == pytest.approx(others - logits[goal.target], abs=1e-9)
        assert (margin < 0) == (int(logits.argmax()) == goal.target)
    assert far.fooled.sum() >= 7
    assert near.fooled.sum() < far.fooled.sum()
    assert (far.margins <= near.margins).all()


@EACH
def test_company_with_other_goals_changes_nothing(attack: WhiteBox) -> None:
    (image,) = pictures(1)
    truth, *others = (int(c) for c in np.argsort(WEIGHTS @ image.ravel())[::-1])
    goals = [*untargeted([truth]), Targeted(truth, others[0]), Targeted(truth, others[4])]
    threat = Threat("linf", 20)
    found = found_on(linear, [image] * 3, goals, threat, attack, 0, ["a"] * 3)
    for goal, picture in zip(goals, found.pictures, strict=True):
        (alone,) = found_on(linear, [image], [goal], threat, attack, 0, ["a"]).pictures
        assert np.array_equal(picture, alone)
    assert not np.array_equal(found.pictures[1], found.pictures[2])


def test_losses_are_the_papers() -> None:
    z, y, t = torch.tensor([[5.0, 1.0, 3.0, 2.0]]).double(), torch.tensor([0]), torch.tensor([3])
    aim = Aim(y, t)
    entropy = torch.nn.functional.cross_entropy(z, t)
    assert torch.nn.functional.softplus(-cross_entropy(z, aim)).tolist() == pytest.approx([entropy.item()])
    assert dlr(z, aim).tolist() == pytest.approx([-(5 - 2) / (5 - (2 + 1) / 2)])
    assert aim.margins(z).tolist() == [3]
    with pytest.raises(Unsupported, match="needs 4 classes, got 3"):
        dlr(z[:, :3], Aim(y, torch.tensor([2])))


def test_every_attempt_goes_to_the_wanted_class() -> None:
    """Without a wish the likeliest is tried first, and here that leads the wrong way."""

    def stairs(points: Tensor) -> Tensor:
        x = points.double().mean((1, 2, 3))
        return torch.stack([x * 0 + 10, x * 0 + 9, x - 123, x * 0, x * 0], dim=1)

    image = np.full(SHAPE, 128, np.uint8)
    attack = ApgdDlrT(steps=10, attempts=1)
    goals = [*untargeted([0]), Targeted(0, 2), Targeted(0, 3)]
    found = found_on(stairs, [image] * 3, goals, Threat("linf", 8), attack, 0)
    assert found.fooled.tolist() == [False, True, False]

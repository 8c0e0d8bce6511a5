"""Every loss is its formula in NumPy, and becomes its neighbour at its limit."""

from __future__ import annotations

from functools import partial
from typing import get_args, get_type_hints

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from models.export.courses.classify import Classes
from models.export.losses import (
    CLASS_LOSSES,
    box_loss,
    dice_loss,
    distillation,
    focal_loss,
    generalised_cross_entropy,
    heat_loss,
    mean_squared_error,
    pixel_loss,
    soft_labels,
)
from models.results import Array

pytestmark = pytest.mark.torch
IGNORE = 255


def softmax(logits: Array) -> Array:
    odds = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(odds / odds.sum(axis=1, keepdims=True))


def drawn(seed: int, *, hard: bool = False) -> tuple[Array, Array]:
    """Logits and soft labels of five points and four classes."""
    rng = np.random.default_rng(seed)
    soft = np.eye(4)[rng.integers(0, 4, 5)] if hard else softmax(rng.normal(size=(5, 4)))
    return rng.normal(size=(5, 4)) * 3, soft


FORMULAS = {
    "cross_entropy": lambda p, y: -(y * np.log(p)).sum(axis=1).mean(),
    "mean_squared_error": lambda p, y: ((p - y) ** 2).sum(axis=1).mean(),
    "generalised_cross_entropy": lambda p, y: (y * (1 - p**0.7) / 0.7).sum(axis=1).mean(),
    "focal": lambda p, y: -(y * (1 - p) ** 2 * np.log(p)).sum(axis=1).mean(),
}


@pytest.mark.parametrize("name", CLASS_LOSSES)
@given(seed=st.integers(0, 10**6))
@settings(max_examples=10, deadline=None)
def test_class_losses_are_their_formulas(name: str, seed: int) -> None:
    logits, soft = drawn(seed)
    got = CLASS_LOSSES[name](torch.from_numpy(logits), torch.from_numpy(soft))
    assert float(got) == pytest.approx(FORMULAS[name](softmax(logits), soft), rel=1e-6)


def test_a_recipe_may_name_every_loss() -> None:
    assert set(get_args(get_type_hints(Classes)["loss"])) == set(CLASS_LOSSES)


def test_limits_of_the_class_losses() -> None:
    logits, soft = (torch.from_numpy(a) for a in drawn(1, hard=True))
    entropy = functional.cross_entropy(logits, soft)
    torch.testing.assert_close(
        generalised_cross_entropy(logits, soft, power=1e-7), entropy, rtol=1e-5, atol=0
    )
    absolute = (soft * (1 - logits.softmax(dim=1))).sum(dim=1).mean()
    torch.testing.assert_close(generalised_cross_entropy(logits, soft, power=1.0), absolute)
    torch.testing.assert_close(focal_loss(logits, soft, gamma=0.0), entropy)
    assert focal_loss(logits, soft, gamma=2.0) < entropy


def test_a_wrong_label_pulls_less_at_the_generalised_cross_entropy() -> None:
    logits = torch.tensor([[-6.0, 6.0]], requires_grad=True)
    soft = torch.tensor([[1.0, 0.0]])
    pulls = [
        float(torch.autograd.grad(rule(logits, soft), logits)[0].abs().max())
        for rule in (generalised_cross_entropy, functional.cross_entropy)
    ]
    assert pulls[0] < 0.01 < pulls[1]


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.5])
def test_soft_labels_are_the_formula(smoothing: float) -> None:
    soft = soft_labels(torch.tensor([2, 0]), 4, smoothing)
    wanted = (1 - smoothing) * np.eye(4)[[2, 0]] + smoothing / 4
    np.testing.assert_allclose(soft.numpy(), wanted, rtol=1e-6)
    np.testing.assert_allclose(soft.sum(dim=1).numpy(), 1, rtol=1e-6)


@pytest.mark.parametrize("temperature", [1.0, 4.0])
def test_distillation_is_the_softened_divergence(temperature: float) -> None:
    rng = np.random.default_rng(4)
    student, teacher = rng.normal(size=(2, 6, 3)) * 4
    p, q = softmax(teacher / temperature), softmax(student / temperature)
    wanted = temperature**2 * (p * np.log(p / q)).sum(axis=1).mean()
    tell = partial(distillation, temperature=temperature)
    got = tell(torch.from_numpy(student), torch.from_numpy(teacher))
    assert float(got) == pytest.approx(wanted, rel=1e-9)
    assert float(tell(torch.from_numpy(teacher), torch.from_numpy(teacher))) == pytest.approx(0, abs=1e-12)


def test_heat_loss_is_its_formula() -> None:
    rng = np.random.default_rng(5)
    logits, heat = rng.normal(size=(2, 3, 4, 5)), rng.uniform(0, 0.9, (2, 3, 4, 5))
    heat[0, 1, 2, 3] = heat[1, 0, 0, 0] = 1
    p: Array = 1 / (1 + np.exp(-logits))
    total = 0.0
    for place in np.ndindex(*heat.shape):
        if heat[place] == 1:
            total -= float((1 - p[place]) ** 2 * np.log(p[place]))
        else:
            total -= float((1 - heat[place]) ** 4 * p[place] ** 2 * np.log(1 - p[place]))
    got = heat_loss(torch.from_numpy(logits), torch.from_numpy(heat))
    assert float(got) == pytest.approx(total / 2, rel=1e-9)  # two centres


def overlap(one: Array, other: Array) -> float:
    """Generalised IoU of two xyxy boxes, the slow way."""
    left, top = np.maximum(one[:2], other[:2])
    right, bottom = np.minimum(one[2:], other[2:])
    inner = max(0.0, right - left) * max(0.0, bottom - top)
    union = sum(float(np.prod(b[2:] - b[:2])) for b in (one, other)) - inner
    hull = float(np.prod(np.maximum(one[2:], other[2:]) - np.minimum(one[:2], other[:2])))
    return float(inner / union - (hull - union) / hull)


def test_box_loss_is_the_generalised_overlap() -> None:
    rng = np.random.default_rng(6)
    told, wanted = rng.uniform(1, 20, (2, 2, 4, 3, 3))
    weight = rng.uniform(0, 1, (2, 3, 3))
    weight[0, 0] = 0
    total = 0.0
    for n, y, x in np.ndindex(2, 3, 3):
        boxes = [np.array([-b[0], -b[1], b[2], b[3]]) for b in (told[n, :, y, x], wanted[n, :, y, x])]
        total += float(weight[n, y, x]) * (1 - overlap(boxes[0], boxes[1]))
    got = box_loss(*(torch.from_numpy(a) for a in (told, wanted, weight)))
    assert float(got) == pytest.approx(total / weight.sum(), rel=1e-9)
    same = torch.from_numpy(told)
    assert float(box_loss(same, same, torch.from_numpy(weight))) == pytest.approx(0, abs=1e-12)


def test_dice_is_its_formula_and_leaves_out_what_is_ignored() -> None:
    rng = np.random.default_rng(7)
    logits, labels = rng.normal(size=(2, 3, 4, 4)), rng.integers(0, 3, (2, 4, 4))
    labels[0, 0] = IGNORE
    p, counted = softmax(logits), labels != IGNORE
    shares = []
    for c in range(3):
        truth = (labels == c) & counted
        both = (p[:, c] * truth).sum()
        each = (p[:, c] * counted).sum() + truth.sum()
        shares.append((2 * both + 1) / (each + 1))
    got = dice_loss(torch.from_numpy(logits), torch.from_numpy(labels))
    assert float(got) == pytest.approx(1 - np.mean(shares), rel=1e-9)
    other = logits.copy()
    other[0, :, 0] += rng.normal(size=(3, 4)) * 9
    again = dice_loss(torch.from_numpy(other), torch.from_numpy(labels))
    assert float(again) == pytest.approx(float(got), rel=1e-12)


def test_pixel_loss_weighs_classes_and_leaves_out_what_is_ignored() -> None:
    rng = np.random.default_rng(8)
    logits, labels = rng.normal(size=(1, 2, 3, 3)), rng.integers(0, 2, (1, 3, 3))
    labels[0, 0, 0] = IGNORE
    weight, total, share = np.array([1.0, 3.0]), 0.0, 0.0
    for y, x in np.ndindex(3, 3):
        c = labels[0, y, x]
        if c != IGNORE:
            total -= weight[c] * np.log(softmax(logits)[0, c, y, x])
            share += weight[c]
    arguments = torch.from_numpy(logits), torch.from_numpy(labels)
    assert float(pixel_loss(*arguments, weight=torch.from_numpy(weight))) == pytest.approx(total / share)
    assert float(pixel_loss(*arguments)) != pytest.approx(total / share)


def test_mixed_labels_cost_what_their_parts_cost() -> None:
    """Cross entropy is linear in the label: mixup's two ways of writing it are one."""
    logits, soft = (torch.from_numpy(a) for a in drawn(9, hard=True))
    pair, share = torch.tensor([3, 0, 4, 1, 2]), 0.3
    mixed = functional.cross_entropy(logits, share * soft + (1 - share) * soft[pair])
    parts = share * functional.cross_entropy(logits, soft)
    parts += (1 - share) * functional.cross_entropy(logits, soft[pair])
    torch.testing.assert_close(mixed, parts)
    assert mean_squared_error(logits, soft) > 0

"""Auto-PGD against the paper's algorithm, written down once more, slowly, one picture at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from eval.attacks.base import Threat, draws
from eval.attacks.goals.classification import untargeted
from eval.whitebox.attacks.apgd import ApgdCe, checkpoints
from eval.whitebox.attacks.base import Landscape
from eval.whitebox.attacks.losses import Aim, Loss, margins
from eval.whitebox.attacks.steps import Pgd
from eval.whitebox.transfer import found_on
from models.results import Array

pytestmark = pytest.mark.torch
SHAPE = (3, 4, 3)
RNG = np.random.default_rng(11)
FIRST, SECOND = RNG.normal(0, 0.05, (36, 16)), RNG.normal(0, 1.5, (16, 5))


def logits(pictures: Tensor) -> Tensor:
    """A small net that waves, so that steps fall as well as rise."""
    return torch.sin(pictures.flatten(1) @ torch.from_numpy(FIRST)) @ torch.from_numpy(SECOND)


def ce(z: Tensor, y: int) -> Tensor:
    return -torch.log(torch.exp(z[y]) / torch.exp(z).sum())


def gap(z: Tensor, y: int) -> Tensor:
    return max(z[i] for i in range(len(z)) if i != y) - z[y]


@dataclass(frozen=True)
class Margin(ApgdCe):
    """The same walk on another loss. The ratio is constant where the true class is third: no direction."""

    def loss(self, land: Landscape, attempt: int) -> Loss:
        return lambda z, aim: -margins(z, aim.labels)


def slow(origin: Array, y: int, start: Array, norm: str, radius: float, steps: int, loss: Any) -> list[Array]:
    """Algorithm 1: the points x(0), x(1) ... at which f is computed."""

    def f(x: Array) -> tuple[float, Array]:
        point = torch.from_numpy(x[None]).requires_grad_()
        value = loss(logits(point)[0], y)
        (slope,) = torch.autograd.grad(value, point)
        return value.item(), slope[0].numpy()

    def project(x: Array) -> Array:
        delta = x - origin
        if norm == "linf":
            delta = np.clip(delta, -radius, radius)
        elif (length := math.sqrt((delta**2).sum())) > radius:
            delta = delta * (radius / length)
        inside: Array = np.clip(origin + delta, 0, 255)
        return inside

    def ahead(x: Array, slope: Array, eta: float) -> Array:
        unit = np.sign(slope) if norm == "linf" else slope / math.sqrt((slope**2).sum())
        return project(x + eta * unit)

    p = [Fraction(0), Fraction(22, 100)]
    while p[-1] <= 1:
        p.append(p[-1] + max(p[-1] - p[-2] - Fraction(3, 100), Fraction(6, 100)))
    w = [math.ceil(share * steps) for share in p if share <= 1]
    eta, x, fs, slopes = 2.0 * radius, [start], [], []
    fs.append(f(start)[0])
    slopes.append(f(start)[1])
    x.append(ahead(start, slopes[0], eta))
    told = [start, x[1]]
    value, slope = f(x[1])
    fs.append(value)
    slopes.append(slope)
    best = int(fs[1] > fs[0])
    top, top_x, top_slope = fs[best], x[best], slopes[best]
    eta_at, top_at = {0: eta}, {0: top}
    for k in range(1, steps):
        z = ahead(x[k], slopes[k], eta)
        new = project(x[k] + 0.75 * (z - x[k]) + 0.25 * (x[k] - x[k - 1]))
        told.append(new)
        value, slope = f(new)
        if value > top:
            top, top_x, top_slope = value, new, slope
        if k in w:
            j = w.index(k)
            eta_at[k], top_at[k] = eta, top
            rises = sum(fs[i + 1] > fs[i] for i in range(w[j - 1], w[j]))
            first = rises < 0.75 * (w[j] - w[j - 1])
            second = eta_at[w[j - 1]] == eta_at[w[j]] and top_at[w[j - 1]] == top_at[w[j]]
            if first or second:
                eta, new, value, slope = eta / 2, top_x, top, top_slope
        x.append(new)
        fs.append(value)
        slopes.append(slope)
    return told


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("attack", [ApgdCe(steps=40), Margin(steps=23), Margin(steps=100)], ids=str)
def test_every_point_is_the_papers(norm: str, attack: ApgdCe) -> None:
    rng = np.random.default_rng(5)
    origin = rng.integers(0, 256, (6, *SHAPE)).astype(np.float64)
    labels = [0, 1, 2, 3, 4, 0]
    seen: list[Array] = []

    def watched(pictures: Tensor) -> Tensor:
        seen.append(pictures.detach().numpy().copy())
        return logits(pictures)

    told = [draws(0, str(i), attack.name) for i in range(6)]
    radius = 20.0 if norm == "linf" else 12.0  # in L2 the last digits grow from step to step
    land = Landscape(
        watched,
        torch.from_numpy(origin),
        Aim(torch.tensor(labels)),
        "linf" if norm == "linf" else "l2",
        radius,
        told,
    )
    start = land.anywhere(0).numpy()
    attack.climb(land, 0)
    assert len(seen) == attack.steps + 1
    for i, label in enumerate(labels):
        want = slow(
            origin[i], label, start[i], norm, radius, attack.steps, gap if isinstance(attack, Margin) else ce
        )
        np.testing.assert_allclose([points[i] for points in seen], want, atol=1e-6)


def test_the_checkpoints_of_a_hundred_steps() -> None:
    assert checkpoints(100) == [22, 41, 57, 70, 80, 87, 93, 99]
    assert checkpoints(10) == [3, 5, 6, 7, 8, 9, 10, 10]


@pytest.mark.parametrize("threat", [Threat("linf", 6), Threat("l2", 25)], ids=str)
def test_it_goes_further_than_equal_steps(threat: Threat) -> None:
    """On a net that waves, as many steps of its own choice as PGD takes; on average, and in how many fall."""
    rng = np.random.default_rng(2)
    images = [rng.integers(0, 256, SHAPE, dtype=np.uint8) for _ in range(60)]
    labels = [int(logits(torch.from_numpy(image[None]).double())[0].argmax()) for image in images]
    pgd, apgd = (
        found_on(lambda x: logits(x.double()), images, untargeted(labels), threat, attack, 0)
        for attack in (Pgd(steps=30), ApgdCe(steps=30))
    )
    assert apgd.fooled.sum() >= pgd.fooled.sum() > 10
    assert apgd.margins.mean() < pgd.margins.mean()

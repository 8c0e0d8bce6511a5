"""Each setting changes a step as its formula says; the formulas are written out by hand here."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.export.train import optimiser_of, rate_at, train
from models.results import Array
from tests.models.export.conftest import PLAIN, Weights

pytestmark = pytest.mark.torch
Fitted = Callable[..., Weights]
GRADIENTS = np.random.default_rng(0).normal(size=(5, 2, 3)).astype(np.float32)
START = np.random.default_rng(1).normal(size=(2, 3)).astype(np.float32)
RATE, DECAY = 0.1, 0.3


def sgd(w: Array, gradients: Array) -> Array:
    """Nesterov momentum 0.9 with L2 decay."""
    speed = np.zeros_like(w)
    for gradient in gradients:
        g = gradient + DECAY * w
        speed = 0.9 * speed + g
        w = w - RATE * (g + 0.9 * speed)
    return w


def adam(w: Array, gradients: Array, *, decoupled: bool) -> Array:
    """Kingma and Ba, algorithm 1; the decay in the gradient, or beside it (Loshchilov and Hutter)."""
    m = v = np.zeros_like(w)
    for t, gradient in enumerate(gradients, start=1):
        g = gradient if decoupled else gradient + DECAY * w
        w = w - RATE * DECAY * w if decoupled else w
        m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g**2
        w = w - RATE * (m / (1 - 0.9**t)) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)
    return w


BY_HAND: dict[str, Callable[[Array, Array], Array]] = {
    "sgd": sgd,
    "adam": lambda w, g: adam(w, g, decoupled=False),
    "adamw": lambda w, g: adam(w, g, decoupled=True),
}


@pytest.mark.parametrize("name", BY_HAND)
def test_steps_and_decay_are_the_formulas(name: Any) -> None:
    net = nn.Linear(3, 2)
    with torch.no_grad():
        net.weight.copy_(torch.from_numpy(START))
        net.bias.copy_(torch.ones(2))
    optimiser = optimiser_of(net, replace(PLAIN, optimiser=name, rate=RATE, decay=DECAY))
    for gradient in GRADIENTS:
        net.weight.grad, net.bias.grad = torch.from_numpy(gradient), torch.zeros(2)
        optimiser.step()
    np.testing.assert_allclose(net.weight.detach().numpy(), BY_HAND[name](START, GRADIENTS), rtol=2e-5)
    assert net.bias.tolist() == [1, 1]  # no decay, and its gradient is 0


def test_the_decays_are_not_the_same() -> None:
    coupled, decoupled = (adam(START, GRADIENTS, decoupled=d) for d in (False, True))
    assert np.abs(coupled - decoupled).max() > 0.01


def test_decay_makes_weights_smaller(fitted: Fitted) -> None:
    for name in BY_HAND:
        free, decayed = (fitted(f"{name}{d}", optimiser=name, decay=d)["weight"].norm() for d in (0.0, 0.5))
        assert decayed < free


@pytest.mark.parametrize("clip", [0.05, 0.5, 1e6])
def test_the_gradient_is_clipped_to_its_norm(fitted: Fitted, clip: float) -> None:
    """Plain descent moves by rate times the gradient: over one step, that is how long it was."""
    once = {"optimiser": "sgd", "momentum": 0.0, "rate": 1.0, "epochs": 1, "batch": 64}
    torch.manual_seed(PLAIN.seed)
    start = nn.Linear(3, 2)
    before = torch.cat([start.weight.detach().ravel(), start.bias.detach()])

    def length(**words: object) -> float:
        found = fitted(f"{words}", **once, **words)
        return float((torch.cat([found["weight"].ravel(), found["bias"]]) - before).norm())

    whole = length()
    assert 0.5 < whole < 10
    assert length(clip=clip) == pytest.approx(min(clip, whole), rel=1e-5)


def test_accumulated_batches_are_one_big_batch(fitted: Fitted) -> None:
    words = {"optimiser": "sgd", "momentum": 0.0, "rate": 0.5, "epochs": 3}
    many = fitted("many", batch=8, accumulate=8, **words)
    one = fitted("one", batch=64, **words)
    for name in one:
        torch.testing.assert_close(many[name], one[name])
    small = fitted("small", batch=8, **words)
    assert not torch.allclose(small["weight"], one["weight"], atol=1e-2)


def test_what_is_left_of_an_epoch_makes_a_step_too(fitted: Fitted) -> None:
    """Eight batches by threes: the last two are not lost, nor kept for the next epoch."""
    words = {"optimiser": "sgd", "momentum": 0.0, "rate": 0.5, "epochs": 1}
    assert not torch.equal(
        fitted("a", accumulate=3, **words)["weight"], fitted("b", accumulate=9, **words)["weight"]
    )
    torch.manual_seed(PLAIN.seed)
    assert not torch.equal(fitted("c", accumulate=9, **words)["weight"], nn.Linear(3, 2).weight)


def test_warm_up_rises_evenly_to_the_peak() -> None:
    settings = replace(PLAIN, warmup=0.25, schedule="cosine")
    assert [rate_at(step, 40, settings) for step in range(10)] == pytest.approx(
        [i / 10 for i in range(1, 11)]
    )
    assert max(rate_at(step, 40, settings) for step in range(40)) == 1


@pytest.mark.parametrize(
    ("schedule", "half", "end"), [("cosine", 0.505, 0.01), ("linear", 0.505, 0.01), ("constant", 1.0, 1.0)]
)
def test_schedules_fall_as_they_are_called(schedule: Any, half: float, end: float) -> None:
    settings = replace(PLAIN, warmup=0.0, schedule=schedule)
    steps = 10_001  # the first is the warm-up
    rates = [rate_at(step, steps, settings) for step in range(steps + 1)]
    assert rates[0] == rates[1] == 1
    assert rates[5001] == pytest.approx(half)
    assert rates[-1] == pytest.approx(end)
    quarter = {"cosine": 0.01 + 0.99 * (1 + math.cos(math.pi / 4)) / 2, "linear": 0.7525, "constant": 1.0}
    assert rates[2501] == pytest.approx(quarter[schedule])


def test_the_rate_of_a_training_is_the_schedules(fitted: Fitted, tmp_path: Path) -> None:
    """Plain descent on a constant slope: the way that was gone is the sum of the rates."""

    def batches(_: int) -> Iterator[tuple[Tensor, ...]]:
        return ((torch.ones(1, 1),) for _ in range(5))

    def loss(net: nn.Module, batch: tuple[Tensor, ...], done: float) -> Tensor:
        value: Tensor = -net(batch[0]).sum()
        return value

    settings = replace(
        PLAIN, optimiser="sgd", momentum=0.0, rate=0.5, epochs=2, schedule="linear", warmup=0.4
    )
    torch.manual_seed(settings.seed)
    before = float(nn.Linear(1, 1).bias.detach())
    net = train(lambda: nn.Linear(1, 1), batches, loss, settings, folder=tmp_path / "r", steps=5)
    wanted = 0.5 * sum(rate_at(step, 10, settings) for step in range(10))
    assert float(net.get_parameter("bias").detach()) - before == pytest.approx(wanted, rel=1e-5)


def test_the_average_is_the_running_mean_of_the_weights(fitted: Fitted) -> None:
    """One epoch, then two ... of the same training give every step's weights at one batch an epoch."""
    words = {"optimiser": "sgd", "momentum": 0.0, "rate": 0.5, "batch": 64}
    steps = [fitted(f"{n}", epochs=n, **words)["weight"] for n in range(1, 5)]
    mean = steps[0]  # of the first step, the mean is the weights
    for weight in steps[1:]:
        mean = 0.75 * mean + 0.25 * weight
    torch.testing.assert_close(fitted("mean", epochs=4, average=0.75, **words)["weight"], mean)


def slope_of(weight: Array, bias: Array, x: Array, label: int) -> Array:
    """The gradient of one point's cross entropy by the point itself, of a linear net."""
    logits = weight @ x + bias
    chance = np.exp(logits - logits.max())
    chance /= chance.sum()
    chance[label] -= 1
    return np.asarray(weight.T @ chance)


def test_the_penalty_is_the_squared_gradient_by_the_input(tmp_path: Path) -> None:
    """The loss that is made small, on a linear net: by finite differences of the formula by hand."""
    rng = np.random.default_rng(3)
    x, y, weight = rng.normal(size=(4, 3)), np.array([0, 1, 1, 0]), rng.normal(size=(2, 3))

    def objective(w: Array) -> float:
        logits = x @ w.T
        log = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
        slopes = [slope_of(w, np.zeros(2), one, label) for one, label in zip(x, y, strict=True)]
        return float(-log[np.arange(4), y].mean() + 0.7 * np.mean([(s**2).sum() for s in slopes]))

    step = 1e-5
    wanted = np.zeros_like(weight)
    for place in np.ndindex(*weight.shape):
        more, less = weight.copy(), weight.copy()
        more[place] += step
        less[place] -= step
        wanted[place] = (objective(more) - objective(less)) / (2 * step)

    def make() -> nn.Module:
        net = nn.Linear(3, 2, bias=False).double()
        with torch.no_grad():
            net.weight.copy_(torch.from_numpy(weight))
        return net

    def loss(net: nn.Module, batch: tuple[Tensor, ...], _: float) -> Tensor:
        return nn.functional.cross_entropy(net(batch[0]), batch[1])

    settings = replace(PLAIN, optimiser="sgd", momentum=0.0, rate=1.0, epochs=1, penalty=0.7)
    pair = (torch.from_numpy(x), torch.from_numpy(y))
    net = train(make, lambda _: iter([pair]), loss, settings, folder=tmp_path / "p", steps=1)
    moved = weight - net.get_parameter("weight").detach().numpy()
    np.testing.assert_allclose(moved, wanted, rtol=1e-5, atol=1e-7)


def test_the_penalty_makes_the_gradient_by_the_input_smaller(fitted: Fitted) -> None:
    rng = np.random.default_rng(0)
    points = rng.normal(size=(50, 3))

    def steepness(found: Weights) -> float:
        weight, bias = (found[name].numpy().astype(np.float64) for name in ("weight", "bias"))
        return float(np.mean([(slope_of(weight, bias, x, int(x.sum() > 0)) ** 2).sum() for x in points]))

    words = {"epochs": 6, "rate": 0.1}
    assert steepness(fitted("held", penalty=5.0, **words)) < 0.5 * steepness(fitted("free", **words))

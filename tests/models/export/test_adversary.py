"""The adversaries stay inside the threat, channel by channel, and do harm."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from models.export.adversary import pgd, trades

pytestmark = pytest.mark.torch
RADIUS = torch.tensor([0.1, 0.3, 0.02]).view(1, 3, 1, 1)
LOW, HIGH = torch.tensor([0.0, -1.0, 0.4]).view(1, 3, 1, 1), torch.tensor([1.0, 1.0, 0.6]).view(1, 3, 1, 1)


def setting() -> tuple[nn.Module, Tensor, Tensor, Tensor]:
    """A net, images inside the box, labels, where the adversary begins."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(48, 3))
    images = LOW + (HIGH - LOW) * torch.rand(20, 3, 4, 4)
    return net, images, torch.randint(0, 3, (20,)), torch.rand(20, 3, 4, 4) * 2 - 1


def moved_by(name: str, steps: int = 5) -> tuple[nn.Module, Tensor, Tensor, Tensor]:
    net, images, labels, start = setting()
    limits = {"radius": RADIUS, "low": LOW, "high": HIGH, "steps": steps, "start": start}
    moved = pgd(net, images, labels, **limits) if name == "pgd" else trades(net, images, **limits)  # type: ignore[arg-type]
    return net, images, labels, moved


@pytest.mark.parametrize("name", ["pgd", "trades"])
def test_every_channel_stays_inside_its_box(name: str) -> None:
    _, images, _, moved = moved_by(name)
    assert not moved.requires_grad
    apart = (moved - images).abs()
    assert bool((apart <= RADIUS + 1e-6).all())
    assert bool((moved >= LOW).all())
    assert bool((moved <= HIGH).all())
    for channel in range(3):  # and uses the room it has
        assert float(apart[:, channel].max()) == pytest.approx(float(RADIUS[0, channel]), abs=1e-3)


def test_pgd_raises_the_loss_more_than_its_start() -> None:
    net, images, labels, moved = moved_by("pgd")
    _, _, _, start = moved_by("pgd", steps=0)
    loss = functional.cross_entropy
    assert loss(net(moved), labels) > loss(net(start), labels)
    assert loss(net(moved), labels) > loss(net(images), labels) + 0.1


def test_pgd_reaches_the_worst_corner_of_a_linear_net() -> None:
    """Two classes: the worst place is known, each value at the edge that its weight's sign says."""
    torch.manual_seed(1)
    net, images = nn.Sequential(nn.Flatten(), nn.Linear(4, 2)), torch.rand(6, 1, 2, 2)
    labels = torch.tensor([0, 1, 0, 1, 0, 1])
    weight = net.get_parameter("1.weight").detach()
    away = (weight[1 - labels] - weight[labels]).sign().view(images.shape)
    worst = (images + 0.2 * away).clamp(0, 1)
    moved = pgd(net, images, labels, radius=0.2, low=0.0, high=1.0, steps=10, start=torch.zeros_like(images))
    torch.testing.assert_close(moved, worst)


def test_trades_moves_the_answer_without_looking_at_labels() -> None:
    net, images, _, moved = moved_by("trades")
    clean = net(images).detach().log_softmax(dim=1)
    apart = [
        float(functional.kl_div(net(x).detach().log_softmax(dim=1), clean, log_target=True, reduction="sum"))
        for x in (moved, moved_by("trades", steps=0)[3])
    ]
    assert apart[0] > 2 * apart[1] > 0

"""Frozen backbones, one backbone for two tasks, and what is taken from another net."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from models.export.nets.multitask import MultiTask
from models.export.train import freeze
from tests.models.export.conftest import Weights

pytestmark = pytest.mark.torch


class Parted(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU())
        self.head = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        told: Tensor = self.head(self.backbone(x))
        return told


def backbone(found: Weights) -> Weights:
    return {name: value for name, value in found.items() if name.startswith("backbone")}


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_a_frozen_backbone_stays_and_then_learns(fitted: Callable[..., Weights], optimiser: str) -> None:
    """Weights, and the means its batch norm would count; the head learns all the while."""
    torch.manual_seed(5)
    start = {name: value.clone() for name, value in Parted().state_dict().items()}
    words = {"make": Parted, "optimiser": optimiser, "decay": 0.1, "rate": 0.05}
    held = fitted("held", epochs=2, frozen=1.0, **words)
    assert all(torch.equal(value, start[name]) for name, value in backbone(held).items())
    assert not torch.equal(held["head.weight"], start["head.weight"])
    then = fitted("then", epochs=4, frozen=0.5, **words)
    for name in ("backbone.0.weight", "backbone.1.running_mean", "backbone.1.weight"):
        assert not torch.equal(then[name], start[name])
    assert int(then["backbone.1.num_batches_tracked"]) == 2 * 8  # of the last two epochs


def test_the_average_of_a_frozen_backbone_is_the_backbone(fitted: Callable[..., Weights]) -> None:
    torch.manual_seed(5)
    start = Parted().state_dict()
    found = fitted("mean", make=Parted, epochs=1, frozen=1.0, average=0.9)
    assert all(torch.equal(value, start[name]) for name, value in backbone(found).items())


def test_a_net_without_a_backbone_cannot_be_frozen(fitted: Callable[..., Weights]) -> None:
    with pytest.raises(ValueError, match="must have a part called backbone"):
        freeze(nn.Linear(2, 2), frozen=True)
    freeze(nn.Linear(2, 2), frozen=False)


def test_two_tasks_share_one_backbone() -> None:
    torch.manual_seed(0)
    net = MultiTask(3)
    assert net.detector.backbone is net.segmenter.backbone is net.backbone
    x = torch.randn(2, 3, 32, 32)
    (heat, reach), logits = net.raw(x)
    assert (heat.shape, reach.shape, logits.shape) == ((2, 3, 8, 8), (2, 4, 8, 8), (2, 4, 16, 16))
    for task in (heat.sum() + reach.sum(), logits.sum()):
        net.zero_grad()
        task.backward(retain_graph=True)  # type: ignore[no-untyped-call]
        kernel = net.get_parameter("backbone.stride2.0.weight")
        assert kernel.grad is not None
        assert kernel.grad.abs().sum() > 0
    names = {id(p) for p in net.parameters()}
    parts = [{id(p) for p in part.parameters()} for part in (net.detector, net.segmenter)]
    assert parts[0] & parts[1] == {id(p) for p in net.backbone.parameters()}
    assert parts[0] | parts[1] == names


def test_the_parts_say_what_the_whole_says() -> None:
    torch.manual_seed(0)
    net, x = MultiTask(3).eval(), torch.randn(1, 3, 32, 32)
    with torch.no_grad():
        boxes, scores, logits = net(x)
        assert all(torch.equal(a, b) for a, b in zip(net.detector(x), (boxes, scores), strict=True))
        assert torch.equal(net.segmenter(x), logits)

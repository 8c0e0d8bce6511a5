"""Every block has the shape, the gradient and the one property it is there for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from models.export.nets.attention import Heads, Squeeze
from models.export.nets.blocks import ACTIVATIONS, ATTENTION, NORMS, POOLING, Style, TopDown, conv, initialise
from models.export.nets.residual import ResidualNet

pytestmark = pytest.mark.torch


def maps(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed)) * 2 + 0.5


def small(**options: object) -> ResidualNet:
    torch.manual_seed(1)
    return ResidualNet(3, widths=[8, 8], blocks=[1, 1], **options)  # type: ignore[arg-type]


OPTIONS = (
    [{"activation": name} for name in ACTIVATIONS]
    + [{"attention": name} for name in ATTENTION]
    + [{"pooling": name} for name in POOLING]
    + [{"norm": name} for name in NORMS]
    + [{"start": "xavier"}, {"dropout": 0.3}, {"channels": 1}]
)


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_every_choice_gives_logits_and_a_gradient_everywhere(options: dict[str, object]) -> None:
    net = small(**options)
    channels = int(str(options.get("channels", 3)))
    logits = net(maps(4, channels, 8, 8))
    assert logits.shape == (4, 3)
    nn.functional.cross_entropy(logits, torch.tensor([0, 1, 2, 0])).backward()  # type: ignore[no-untyped-call]
    assert all(p.grad is not None and torch.isfinite(p.grad).all() for p in net.parameters())
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.backbone.parameters() if p.ndim > 1)


@pytest.mark.parametrize(("field", "table"), [("activation", ACTIVATIONS), ("attention", ATTENTION)])
def test_every_choice_is_another_net(field: str, table: dict[str, object]) -> None:
    answers = [small(**{field: name}).eval()(maps(2, 3, 8, 8)) for name in table]
    for i, one in enumerate(answers):
        assert not any(torch.allclose(one, other, atol=1e-4) for other in answers[i + 1 :])


def by_hand(name: str, x: np.ndarray) -> np.ndarray:
    from math import erf

    rules: dict[str, Callable[[float], float]] = {
        "relu": lambda v: max(v, 0.0),
        "leaky_relu": lambda v: v if v > 0 else 0.1 * v,
        "elu": lambda v: v if v > 0 else np.exp(v) - 1,
        "gelu": lambda v: v * 0.5 * (1 + erf(v / 2**0.5)),
        "silu": lambda v: v / (1 + np.exp(-v)),
        "hardswish": lambda v: v * min(max(v + 3, 0), 6) / 6,
        "tanh": np.tanh,
    }
    return np.array([rules[name](v) for v in x])


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_activations_are_their_formulas(name: str) -> None:
    x = np.linspace(-5, 5, 41)
    np.testing.assert_allclose(
        ACTIVATIONS[name]()(torch.from_numpy(x.copy())).numpy(), by_hand(name, x), atol=1e-12
    )


def test_pooling_is_over_the_whole_map() -> None:
    x = maps(2, 3, 5, 4)
    whole = x.numpy().reshape(2, 3, 20)
    wanted = {"average": whole.mean(2), "max": whole.max(2), "both": whole.mean(2) + whole.max(2)}
    assert set(wanted) == set(POOLING)
    for name, value in wanted.items():
        np.testing.assert_allclose(POOLING[name]()(x).numpy(), value, rtol=1e-5)


def test_batch_norm_is_over_pictures_and_instance_norm_over_each() -> None:
    x = maps(4, 3, 6, 6)
    batch, instance = (NORMS[name](3).train()(x) for name in ("batch", "instance"))
    for normed, axes in ((batch, (0, 2, 3)), (instance, (2, 3))):
        np.testing.assert_allclose(normed.mean(dim=axes).detach().numpy(), 0, atol=1e-5)
        np.testing.assert_allclose(normed.var(dim=axes, correction=0).detach().numpy(), 1, atol=1e-3)
    alone = NORMS["instance"](3).train()(x[:1])
    torch.testing.assert_close(alone, instance[:1])  # the other pictures do not matter
    assert not torch.allclose(NORMS["batch"](3).train()(x[:1]), batch[:1], atol=1e-2)
    assert torch.equal(NORMS["none"](3)(x), x)


def test_a_bias_is_there_only_without_a_norm() -> None:
    assert conv(3, 4, Style("none"))[0].bias is not None
    assert conv(3, 4, Style("batch"))[0].bias is None


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_heads_are_multi_head_attention(heads: int) -> None:
    """The same weights in PyTorch's own module give the same map."""
    torch.manual_seed(2)
    ours, theirs = Heads(8, heads=heads), nn.MultiheadAttention(8, heads, batch_first=True)
    with torch.no_grad():
        ours.ask.bias.normal_()  # type: ignore[union-attr]  # it has one
        theirs.in_proj_weight.copy_(ours.ask.weight[:, :, 0, 0])
        theirs.in_proj_bias.copy_(ours.get_parameter("ask.bias"))
        theirs.out_proj.weight.copy_(ours.tell.weight[:, :, 0, 0])
        theirs.out_proj.bias.copy_(ours.get_parameter("tell.bias"))
    x = maps(2, 8, 3, 5)
    places = x.flatten(2).transpose(1, 2)
    told, _ = theirs(places, places, places)
    wanted = x + told.transpose(1, 2).reshape(x.shape)
    torch.testing.assert_close(ours(x), wanted, rtol=1e-4, atol=1e-5)


def test_heads_must_divide_the_channels() -> None:
    with pytest.raises(ValueError, match="multiple of the 3 heads, got 8"):
        Heads(8, heads=3)


def test_squeeze_weighs_each_channel_between_0_and_1() -> None:
    torch.manual_seed(3)
    block, x = Squeeze(16), maps(2, 16, 4, 4)
    weights = block(x) / x
    assert 0 < weights.min() < weights.max() < 1
    torch.testing.assert_close(weights.amax((2, 3)), weights.amin((2, 3)), rtol=1e-4, atol=1e-5)
    moved = x.clone()
    moved[:, 0] += 5  # one channel changes the weight of the others
    assert not torch.allclose((block(moved) / moved)[:, 1:], weights[:, 1:], atol=1e-4)


def test_dropout_is_active_only_in_training() -> None:
    net, x = small(dropout=0.5), maps(8, 3, 8, 8)
    torch.manual_seed(0)
    net.eval()
    assert torch.equal(net(x), net(x))
    head = net.head.train()
    features = torch.ones(2000, 8)
    kept = head[0](features)
    assert 0.45 < float((kept == 0).float().mean()) < 0.55
    assert set(kept.unique().tolist()) == {0.0, 2.0}  # what stays makes up for what is left out


@pytest.mark.parametrize(
    ("rule", "variance"), [("he", lambda fan_in, fan_out: 2 / fan_out), ("xavier", lambda a, b: 2 / (a + b))]
)
def test_starting_weights_have_the_variance_of_their_rule(rule: str, variance: object) -> None:
    torch.manual_seed(4)
    net = nn.Sequential(nn.Conv2d(64, 128, 3), nn.Flatten(), nn.Linear(300, 500))
    initialise(net, rule)
    assert callable(variance)
    for layer, fans in (("0", (64 * 9, 128 * 9)), ("2", (300, 500))):
        weight = net.get_parameter(f"{layer}.weight").detach()
        assert float(weight.var()) == pytest.approx(variance(*fans), rel=0.03)
        assert float(weight.mean()) == pytest.approx(0, abs=1e-3)
        assert net.get_parameter(f"{layer}.bias").count_nonzero() == 0


def test_an_unknown_rule_is_refused() -> None:
    with pytest.raises(ValueError, match="he, xavier, got 'zeros'"):
        initialise(nn.Linear(2, 2), "zeros")


def test_the_short_cut_carries_the_input() -> None:
    net = small(norm="none")
    pair = net.backbone[1]
    with torch.no_grad():
        for parameter in pair.parameters():
            parameter.zero_()
    x = maps(1, 8, 4, 4).abs()
    assert torch.equal(pair(x), x)


def test_top_down_gives_the_finest_level_and_hears_all() -> None:
    torch.manual_seed(5)
    neck = TopDown((4, 6, 8), 5).eval()
    levels = [maps(1, w, s, s).requires_grad_() for w, s in ((4, 8), (6, 4), (8, 2))]
    told = neck(levels)
    assert told.shape == (1, 5, 8, 8)
    told.sum().backward()
    assert all(level.grad is not None and level.grad.abs().sum() > 0 for level in levels)

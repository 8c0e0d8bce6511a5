"""The trainer repeats itself, goes on after a kill, and its adversary stays inside the threat."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from models.card import InputSpec
from models.export.adversary import pgd
from models.export.losses import box_loss, dice_loss, heat_loss, pixel_loss
from models.export.nets.detector import STRIDE, decode
from models.export.pictures import IGNORE, box_targets, semantic_target
from models.export.train import Settings, train
from models.imaging import place
from models.scenes import scene

pytestmark = pytest.mark.torch
SETTINGS = Settings(seed=5, epochs=4, batch=8, rate=1e-2)


def fitted(folder: Path, settings: Settings = SETTINGS) -> dict[str, Tensor]:
    x = torch.randn(64, 3, generator=torch.Generator().manual_seed(0))
    y = (x.sum(dim=1) > 0).long()

    def batches(epoch: int) -> Iterator[tuple[Tensor, ...]]:
        order = torch.randperm(64, generator=torch.Generator().manual_seed(epoch))
        return ((x[rows], y[rows]) for rows in order.view(-1, settings.batch))

    def loss(net: nn.Module, batch: tuple[Tensor, ...], _: float) -> Tensor:
        return nn.functional.cross_entropy(net(batch[0]), batch[1])

    net = train(lambda: nn.Linear(3, 2), batches, loss, settings, folder=folder, steps=8)
    assert not net.training
    return dict(net.state_dict())


def test_same_seed_same_weights(tmp_path: Path) -> None:
    one, other = fitted(tmp_path / "a"), fitted(tmp_path / "b")
    assert all(torch.equal(one[name], other[name]) for name in one)
    apart = fitted(tmp_path / "c", replace(SETTINGS, seed=6))
    assert not all(torch.equal(one[name], apart[name]) for name in one)


def test_a_killed_training_goes_on_to_the_same_weights(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = fitted(tmp_path / "whole")
    saves = 0
    replaced = Path.replace

    def killed(self: Path, target: Path) -> Path:
        nonlocal saves
        saves += 1
        if saves == 3:
            raise KeyboardInterrupt
        return replaced(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            fitted(tmp_path / "cut")
    resumed = fitted(tmp_path / "cut")
    assert all(torch.equal(whole[name], resumed[name]) for name in whole)
    curve = json.loads((tmp_path / "cut" / "curve.json").read_text())
    assert len(curve) == SETTINGS.epochs
    assert curve[-1]["loss"] < curve[0]["loss"]


def test_a_checkpoint_of_other_settings_is_refused(tmp_path: Path) -> None:
    fitted(tmp_path)
    with pytest.raises(ValueError, match="another training"):
        fitted(tmp_path, replace(SETTINGS, rate=1.0))


def test_the_adversary_stays_inside_and_does_harm() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 3))
    images, labels = torch.rand(20, 1, 4, 4), torch.randint(0, 3, (20,))
    moved = pgd(net, images, labels, epsilon=0.1, steps=5, start=torch.zeros_like(images))
    assert (moved - images).abs().max() <= 0.1 + 1e-6
    assert 0 <= moved.min() <= moved.max() <= 1
    loss = nn.functional.cross_entropy
    assert loss(net(moved), labels) > loss(net(images), labels)


SPEC = InputSpec(height=160, width=208, resize="letterbox")


def test_targets_decode_to_the_boxes() -> None:
    """Heat and reach, read as the net's own output would be, are the scene's boxes."""
    drawn = scene(3)
    placement = place(drawn.image.shape[:2], SPEC)
    heat, reach, _ = (torch.from_numpy(t).float()[None] for t in box_targets(drawn, placement, SPEC))
    boxes, scores = decode(torch.logit(heat.clamp(1e-6, 1 - 1e-6)), reach)
    rows, labels = torch.nonzero(scores[0] > 0.999, as_tuple=True)
    found = placement.back(boxes[0, rows].numpy(), drawn.image.shape[:2])
    order, wanted = np.lexsort(found.T), np.lexsort(drawn.boxes.T)
    np.testing.assert_allclose(found[order], drawn.boxes[wanted], atol=0.2)
    assert labels.numpy()[order].tolist() == drawn.labels[wanted].tolist()
    assert STRIDE == 4


def test_semantic_targets_are_the_scene_at_half_size() -> None:
    drawn = scene(3)
    target = semantic_target(drawn, place(drawn.image.shape[:2], SPEC), SPEC)
    assert target.shape == (80, 104)
    there = target != IGNORE
    share = [(target[there] == c).mean() for c in range(7)]
    np.testing.assert_allclose(share, [(drawn.semantic == c).mean() for c in range(7)], atol=0.01)


def test_losses_are_least_at_the_truth() -> None:
    heat = torch.zeros(1, 1, 4, 4)
    heat[0, 0, 1, 2] = 1
    right = torch.where(heat == 1, 9.0, -9.0)
    assert heat_loss(right, heat) < 1e-3 < heat_loss(-right, heat)
    reach, weight = torch.full((1, 4, 2, 2), 5.0), torch.ones(1, 2, 2)
    assert box_loss(reach, reach, weight) == pytest.approx(0, abs=1e-5)
    assert box_loss(reach, reach * 2, weight) == pytest.approx(
        0.75
    )  # a quarter of the area, hull is the union
    labels = torch.tensor([[[0, 1], [1, IGNORE]]])
    logits = torch.zeros(1, 2, 2, 2)
    logits[0, 0, 0, 0] = logits[0, 1, 0, 1] = logits[0, 1, 1, 0] = 20.0
    logits[0, 0, 1, 1] = 20.0  # wrong, were it counted
    assert pixel_loss(logits, labels) == pytest.approx(0, abs=1e-5)
    assert dice_loss(logits, labels) == pytest.approx(0, abs=1e-4)

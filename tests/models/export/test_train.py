"""The trainer repeats itself and goes on after a kill to the very same weights."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn

from tests.models.export.conftest import Weights

pytestmark = pytest.mark.torch
Fitted = Callable[..., Weights]


def same(one: Weights, other: Weights) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def dropping() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Dropout(0.5), nn.Linear(8, 2))


# What a resumed training must not lose: moments, the running mean, gradients kept back, draws of dropout.
WORDS = {
    "adamw": {"optimiser": "adamw", "decay": 0.1, "average": 0.9, "schedule": "cosine", "warmup": 0.3},
    "sgd": {"optimiser": "sgd", "momentum": 0.9, "schedule": "linear"},
    "accumulate": {"accumulate": 3, "clip": 0.1},
    "dropout": {"make": dropping, "average": 0.5},
    "penalty": {"penalty": 0.5, "make": dropping},
    "bfloat16": {"bfloat16": True},
}


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_same_seed_same_weights(fitted: Fitted, words: dict[str, object]) -> None:
    assert same(fitted("a", **words), fitted("b", **words))
    assert not same(fitted("a", **words), fitted("c", **words, seed=6))


@pytest.mark.parametrize("words", WORDS.values(), ids=WORDS)
def test_a_killed_training_goes_on_to_the_same_weights(
    fitted: Fitted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: dict[str, object]
) -> None:
    whole, saves, replaced = fitted("whole", **words), 0, Path.replace

    def killed(self: Path, target: Path) -> Path:
        nonlocal saves
        saves += 1
        if saves == 3:  # two epochs are safe; the third dies before its checkpoint is
            raise KeyboardInterrupt
        return replaced(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            fitted("cut", **words)
    torch.rand(7)  # whatever was drawn meanwhile
    assert len(torch.load(tmp_path / "cut" / "checkpoint.pt", weights_only=True)["curve"]) == 2
    assert same(whole, fitted("cut", **words))
    curves = [json.loads((tmp_path / name / "curve.json").read_text()) for name in ("whole", "cut")]
    assert [[row["loss"] for row in curve] for curve in curves] == [[row["loss"] for row in curves[0]]] * 2
    assert len(curves[1]) == 4


def test_a_finished_training_is_not_trained_again(fitted: Fitted, tmp_path: Path) -> None:
    once = fitted("done")
    before = (tmp_path / "done" / "checkpoint.pt").stat().st_mtime_ns
    assert same(once, fitted("done"))
    assert (tmp_path / "done" / "checkpoint.pt").stat().st_mtime_ns == before


def test_a_checkpoint_of_other_settings_is_refused(fitted: Fitted) -> None:
    fitted("one")
    with pytest.raises(ValueError, match="another training"):
        fitted("one", rate=1.0)


def test_a_checkpoint_of_another_net_is_refused(fitted: Fitted) -> None:
    fitted("one")
    with pytest.raises(RuntimeError, match=r"Missing key|size mismatch"):
        fitted("one", make=dropping)

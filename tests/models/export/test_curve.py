"""The curve's rule names what it sees, and the picture is drawn."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from models.decoding import decode
from models.export.curve import draw, read, verdict

pytestmark = pytest.mark.torch


def curve(losses: list[float], held: list[float]) -> list[dict[str, float]]:
    return [
        {"loss": a, "rate": 1e-3, "held_loss": b, "held_accuracy": 1 / (1 + b), "seconds": 1.0}
        for a, b in zip(losses, held, strict=True)
    ]


E = np.arange(16)
FALLING = (2 * 0.8**E + 0.1).tolist()
CASES = {
    "over-fitting since epoch 6": curve(FALLING, (0.5 + 0.02 * (E - 5) ** 2).tolist()),
    "under-fitting: both losses still fall": curve((2 - 0.1 * E).tolist(), (2.2 - 0.1 * E).tolist()),
    "settled": curve(FALLING, (2 * 0.5**E + 0.3).tolist()),
}


@pytest.mark.parametrize(("told", "rows"), CASES.items())
def test_the_rule_names_what_it_sees(told: str, rows: list[dict[str, float]]) -> None:
    assert verdict(rows) == told


def test_a_held_loss_that_rises_with_the_training_loss_is_no_over_fitting() -> None:
    """The training got harder (an adversary that grows): both losses rise, nothing was learnt by heart."""
    rising = (0.5 + 0.02 * (E - 5) ** 2).tolist()
    assert verdict(curve(rising, rising)) == "settled"


def test_short_curves_and_curves_without_held_pictures_are_not_judged() -> None:
    assert verdict(CASES["settled"][:7]).startswith("needs 8 epochs")
    assert verdict([{"loss": 1.0, "rate": 1.0}] * 12).startswith("needs 8 epochs")
    assert verdict(curve([np.nan] * 12, [1.0] * 12)).startswith("needs 8 epochs")


@pytest.mark.parametrize("rows", [*CASES.values(), CASES["settled"][:1], [{"loss": -1.0, "rate": 0.1}] * 3])
def test_the_picture_shows_both_losses(tmp_path: Path, rows: list[dict[str, float]]) -> None:
    draw(rows, tmp_path / "curve.png", title="t")
    image = decode((tmp_path / "curve.png").read_bytes())
    assert min(image.shape[:2]) > 300
    blue, orange = (
        (np.abs(image.astype(int) - c).max(axis=2) < 40).sum() for c in ((0, 114, 178), (213, 94, 0))
    )
    assert blue > 30
    assert (orange > 30) == ("held_loss" in rows[0])
    draw(rows, tmp_path / "again.png", title="t")
    assert (tmp_path / "again.png").read_bytes() == (tmp_path / "curve.png").read_bytes()


@pytest.mark.parametrize("text", ["", "{}", "[]", "[1]", '[{"rate": 1}]'])
def test_what_is_no_curve_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "curve.json").write_text(text)
    with pytest.raises(ValueError, match=r"curve.json must"):
        read(tmp_path)


def test_a_curve_is_read_as_it_was_written(tmp_path: Path) -> None:
    (tmp_path / "curve.json").write_text(json.dumps(CASES["settled"]))
    assert read(tmp_path) == CASES["settled"]


def test_matplotlib_is_loaded_only_to_draw() -> None:
    code = "import sys, models.export.curve, models.export.search.run; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0

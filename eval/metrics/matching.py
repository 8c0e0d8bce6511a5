"""Which detection found which object: COCO's greedy matching, for one image at a time.

The rules are those of `pycocotools.cocoeval.COCOeval.evaluateImg` (Lin et al., 2014, arXiv 1405.0312):
best score first, input order on ties; each takes the free object it overlaps most, the later one on
ties; a real object before an ignored one; crowds may be taken any number of times.

Once an image is matched, every number of a detector is read from the records kept here; 45 bytes a
detection and 13 an object, whatever the size of its masks.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

import numpy as np

from eval.metrics.mistakes import explain
from eval.metrics.overlaps import Shapes, overlaps
from models.results import Array

__all__ = ["AREAS", "BACKGROUND", "DETECTION", "MOST", "OBJECT", "SKIPPED", "Matches", "match"]

AREAS: Final = {
    "all": (0.0, 1e10),
    "small": (0.0, 1024.0),
    "medium": (1024.0, 9216.0),
    "large": (9216.0, 1e10),
}
MOST: Final = (1, 10, 100)  # detections of a class in an image that count
BACKGROUND, SKIPPED = -1, -2  # what a detection met instead of an object: nothing, a crowd
DETECTION: Final = np.dtype(
    [
        ("label", np.int32),
        ("rank", np.int32),  # place among the detections of its label in the image, from 0
        ("score", np.float64),
        ("hit", np.uint16, (len(AREAS),)),  # bit t: took a real object at threshold t
        ("passed", np.uint16, (len(AREAS),)),  # bit t: neither hit nor miss; neither bit: a false alarm
        ("met", np.int32),  # class of the object taken if any class may be, or BACKGROUND or SKIPPED
        ("mistake", np.int8),  # see `mistakes.explain`
        ("becomes", np.int32),
        ("image", np.int32),  # filled in when images are put together
    ]
)
OBJECT: Final = np.dtype(
    [("label", np.int32), ("ignored", bool, (len(AREAS),)), ("missed", bool), ("image", np.int32)]
)
RANGES: Final = np.array(list(AREAS.values())).T[:, :, None]


@dataclass(frozen=True, slots=True, eq=False)
class Matches:
    """One image after matching: all that any detection number needs to know of it.

    Attributes:
        image: its id.
        found: `DETECTION` records `(D,)`, best score first.
        wanted: `OBJECT` records `(G,)`; `ignored` for a crowd, or one outside the area range.
    """

    image: str
    found: Array
    wanted: Array

    def key(self) -> tuple[str, bytes]:
        """Sorts images the same way whatever order they came in."""
        content = blake2b(self.found.tobytes() + self.wanted.tobytes(), digest_size=16)
        return self.image, content.digest()


def match(
    found: Shapes, scores: Array, wanted: Shapes, crowd: Array, thresholds: Array, place: int, image: str
) -> Matches:
    """Match one image's detections to its objects, in every area range and at every IoU threshold.

    Args:
        scores: float64 `(D,)` of `found`.
        crowd: bool `(G,)` of `wanted`.
        thresholds: float64 `(T,)`, least IoU of a match, at most 16; the first is that of the mistakes.
        place: which of them counts where any class may be met.

    Raises:
        ValueError: the masks are not of one height and width.
    """
    order = np.argsort(-scores, kind="stable")
    shares = overlaps(found, wanted, crowd)[order]
    labels, areas = found.labels[order], found.areas[order]
    same = labels[:, None] == wanted.labels
    low, high = RANGES
    ignored = crowd | (wanted.areas < low) | (wanted.areas > high)
    limits = np.minimum(thresholds, 1 - 1e-10)
    taken = _ladder(np.where(same, shares, -1), ignored, crowd, limits)
    hit, passed = _outcome(taken, ignored, (areas < low) | (areas > high))
    rows = np.zeros(len(labels), DETECTION)
    rows["label"], rows["score"], rows["rank"] = labels, scores[order], _rank(labels)
    bits = 1 << np.arange(len(limits))[:, None]
    rows["hit"], rows["passed"] = ((bits * where).sum(axis=1).T for where in (hit, passed))
    rows["met"] = _met(shares, same, wanted.labels, crowd, limits[place])
    counted = rows["rank"] < MOST[-1]
    used = np.bincount(taken[0, 0, counted] + 1, minlength=len(crowd) + 1)[1:][~crowd] > 0
    false = counted & ~hit[0, 0] & ~passed[0, 0]
    objects = np.zeros(len(crowd), OBJECT)
    objects["label"], objects["ignored"] = wanted.labels, ignored.T
    rows["mistake"], rows["becomes"], objects["missed"][~crowd] = explain(
        shares[:, ~crowd], same[:, ~crowd], false, used, wanted.labels[~crowd]
    )
    return Matches(image, rows, objects)


def _ladder(shares: Array, ignored: Array, crowd: Array, limits: Array) -> Array:
    """int64 `(A, T, D)`: the object each detection took, or -1; detections come best first.

    Args:
        shares: float64 `(D, G)`, overlaps; negative where the two may not meet.
        ignored: bool `(A, G)`.
    """
    free = np.ones((len(ignored), len(limits), len(crowd)), bool)
    taken = np.full((len(ignored), len(limits), len(shares)), -1)
    near = shares >= limits.min()
    for row in np.flatnonzero(near.any(axis=1)).tolist():
        objects = np.flatnonzero(near[row])
        objects = objects[np.argsort(shares[row, objects], kind="stable")]  # the preferred one last
        there = free[:, :, objects] & (shares[row, objects] >= limits[:, None])
        real = there & ~ignored[:, None, objects]
        pool = np.where(real.any(axis=2, keepdims=True), real, there)
        a, t = np.nonzero(pool.any(axis=2))
        chosen = objects[len(objects) - 1 - pool[a, t, ::-1].argmax(axis=1)]
        free[a, t, chosen] = crowd[chosen]
        taken[a, t, row] = chosen
    return taken


def _outcome(taken: Array, ignored: Array, outside: Array) -> tuple[Array, Array]:
    """Bool `(A, T, D)` each: took a real object; took an ignored one, or none while out of range."""
    missed = taken < 0
    if not ignored.size:
        return np.zeros_like(missed), missed & outside[:, None]
    real = ~np.take_along_axis(ignored[:, None], taken, axis=2)
    return ~missed & real, (~missed & ~real) | (missed & outside[:, None])


def _rank(labels: Array) -> Array:
    grouped = np.argsort(labels, kind="stable")
    rank = np.empty(len(labels), np.int64)
    rank[grouped] = np.arange(len(labels)) - np.searchsorted(labels[grouped], labels[grouped])
    return rank


def _met(shares: Array, same: Array, truth: Array, crowd: Array, limit: float) -> Array:
    """The class each detection met by the same rules if any class will do; a crowd hides its own only."""
    met, taken = np.full(len(shares), BACKGROUND), set()
    rows, columns = np.nonzero((shares >= limit) & (same | ~crowd))
    preferred = np.lexsort((-columns, -shares[rows, columns], crowd[columns], rows))
    for row, column in zip(rows[preferred].tolist(), columns[preferred].tolist(), strict=True):
        if met[row] == BACKGROUND and column not in taken:
            if crowd[column]:
                met[row] = SKIPPED
            else:
                met[row] = truth[column]
                taken.add(column)
    return met

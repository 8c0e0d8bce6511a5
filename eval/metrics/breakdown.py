"""What the mistakes of a detector cost: the AP that each kind of mistake takes away (TIDE).

Bolya et al., 2020, arXiv 2008.08115, section 2.3: an oracle mends one kind of mistake and leaves all others
as they are, and AP50 is computed anew.

* classification, localisation: the detection becomes a hit of its object, or is dropped (`mistakes.explain`);
* both, duplicate, background: the detection is dropped;
* missed: the object is no longer wanted;
* false positives: every false detection is dropped;
* false negatives: only the objects that were found are wanted.

Differences: matching, crowds, 100 detections an image and class, and the mean over the classes that have
objects are COCO's, so that the costs are parts of `ap50`. The authors' own code takes a class that is only
ever hallucinated for AP 0, the best 100 detections of all classes, and mends what lies within a crowd. A
class of which an oracle leaves no object is not in the mean.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from eval.metrics.base import Score
from eval.metrics.curves import Curve, Table
from eval.metrics.matching import MOST
from eval.metrics.mistakes import NEAR, POSITIVE, Mistake
from eval.metrics.ratios import defined, ratio
from models.results import Array

__all__ = ["COSTS", "breakdown_scores", "costs", "mistakes"]

KINDS: Final = tuple(Mistake)[1:]
DROPPING: Final = KINDS[:-1]  # the kinds whose oracle mends or drops detections
COSTS: Final = (*(kind.name.lower() for kind in KINDS), "false_positives", "false_negatives")


def mistakes(table: Table) -> dict[str, int]:
    """How many detections, or objects, of each kind of mistake there are."""
    counts = np.bincount(table.found["mistake"], minlength=len(Mistake)).tolist()
    counts[Mistake.MISSED] = int(table.wanted["missed"].sum())
    return {kind.name.lower(): counts[kind] for kind in KINDS}


def costs(table: Table) -> Callable[[Array], Array]:
    """The costs (`COSTS`) under other weights of the images, as `bootstrap` takes it: `(R, 8)`."""
    curves = _mended(table)

    def statistic(times: Array) -> Array:
        times = times.astype(np.int32)
        values = np.array([np.hstack([curve.average(times) for curve in parts]) for parts in curves])
        means = ratio(np.nansum(values, axis=0), np.isfinite(values).sum(axis=0))
        # No oracle can lower AP, but the last bit of a sum can.
        return np.asarray(np.maximum(means[:, 1:] - means[:, :1], 0))

    return statistic


def breakdown_scores(table: Table, kind: str = "") -> list[Score]:
    """`dap.<kind>_error` of `COSTS`: AP50 lost to it; None where AP50 is undefined.

    Args:
        kind: put into the definition ids, e.g. `segm/`.
    """
    values = costs(table)(np.ones((1, table.images), np.int32))[0]
    objects = int(table.positives().sum())
    rule = f"iou={POSITIVE:g},background={NEAR:g}"
    return [
        Score(f"dap.{name}_error", defined(value), objects, f"tide/{kind}dAP50.{name}@{rule}")
        for name, value in zip(COSTS, values.tolist(), strict=True)
    ]


def _mended(table: Table) -> list[tuple[Curve, ...]]:
    """Of each class, AP50 as it is and then as each oracle makes it; one column for each."""
    found = table.found
    rows = np.flatnonzero((found["rank"] < MOST[-1]) & table.outcome(0)[1])
    moved = rows[(found["mistake"][rows] == Mistake.CLASSIFICATION) & (found["becomes"][rows] >= 0)]
    labels = np.concatenate([found["label"][rows], found["becomes"][moved]])
    rows = np.concatenate([rows, moved])
    # Equal scores keep the order of the images, also among those whose class is mended.
    order = np.lexsort((table.places[rows], -found["score"][rows], labels))
    parts = np.split(rows[order], np.searchsorted(labels[order], np.arange(1, table.classes)))
    return [_of_class(found[part], table.objects(label), label) for label, part in enumerate(parts)]


def _of_class(rows: Array, objects: Array, label: int) -> tuple[Curve, ...]:
    """Of the detections of a class and those that would be of it were their class mended, best first."""
    objects = objects[~objects["ignored"][:, 0]]
    own, hit = rows["label"] == label, (rows["hit"][:, 0] & 1).astype(bool)
    members, hits = [own], [own & hit]
    for kind in DROPPING:
        mended = rows["mistake"] == kind
        members.append(np.where(mended, rows["becomes"] == label, own))
        hits.append(members[-1] & (hit | mended))
    kept = tuple(map(np.flatnonzero, hits))
    left_out = tuple(np.flatnonzero(~member) for member in members)
    image, truth, nothing = rows["image"][own], objects["image"], (np.zeros(0, np.int64),)
    places = (np.flatnonzero(hit[own]),)
    found = image[hit[own]]  # each is one object of its image
    return (
        Curve(rows["image"], kept, left_out, truth),
        Curve(image, places, nothing, objects["image"][~objects["missed"]]),
        Curve(found, (np.arange(len(found)),), nothing, truth),
        Curve(image, places, nothing, found),
    )

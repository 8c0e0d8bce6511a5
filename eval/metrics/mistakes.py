"""Why a detection is false: the six kinds of mistakes of TIDE, for one image at a time.

Bolya et al., 2020, arXiv 2008.08115, section 2.2, with the published thresholds: an object is found at
IoU 0.5 and is background at 0.1 or less.
"""

from __future__ import annotations

from enum import IntEnum
from typing import Final

import numpy as np

from models.results import Array

__all__ = ["NEAR", "POSITIVE", "Mistake", "explain"]

POSITIVE: Final = 0.5  # IoU at which an object is found
NEAR: Final = 0.1  # IoU up to which there is only background
DROPPED: Final = -1


class Mistake(IntEnum):
    """What is wrong. `NONE` for hits and for what does not count."""

    NONE = 0
    CLASSIFICATION = 1
    LOCALISATION = 2
    BOTH = 3
    DUPLICATE = 4
    BACKGROUND = 5
    MISSED = 6


def explain(
    shares: Array, same: Array, false: Array, used: Array, truth: Array
) -> tuple[Array, Array, Array]:
    """The mistake of every false detection, what mending it would make of it, and the missed objects.

    In this order, IoU being that with the object overlapped most:

    * localisation: IoU in [0.1, 0.5] with an object of its class,
    * classification: IoU >= 0.5 with an object of another class,
    * duplicate: IoU >= 0.5 with an object of its class that a better detection took,
    * background: IoU <= 0.1 with all objects,
    * both: anything else, so IoU in [0.1, 0.5] with an object of another class,
    * missed: objects neither taken nor the target of a classification or localisation mistake.

    Mended, a localisation or classification mistake hits its object; if that one is taken, or a better
    detection makes a mistake about it, it is dropped. All others are dropped.

    Args:
        shares: float64 `(D, G)`, IoU; no crowds among the objects. Best score first.
        same: bool `(D, G)`, of one class.
        false: bool `(D,)`.
        used: bool `(G,)`, taken by a hit.
        truth: int64 `(G,)`, classes.

    Returns:
        int8 `(D,)` `Mistake`; int64 `(D,)` the class mended to, or -1; bool `(G,)` missed.
    """
    if not len(used):
        mistake = np.where(false, Mistake.BACKGROUND, Mistake.NONE)
        return mistake, np.full(len(false), DROPPED), np.zeros(0, bool)
    own, other = np.where(same, shares, 0.0), np.where(same, 0.0, shares)
    mine, alien = own.max(axis=1), other.max(axis=1)
    kinds = {
        Mistake.NONE: ~false,
        Mistake.LOCALISATION: (mine >= NEAR) & (mine <= POSITIVE),
        Mistake.CLASSIFICATION: alien >= POSITIVE,
        Mistake.DUPLICATE: mine >= POSITIVE,  # false though that near, so a better one took it
        Mistake.BACKGROUND: np.maximum(mine, alien) <= NEAR,
    }
    mistake = np.select(list(kinds.values()), list(kinds), Mistake.BOTH)
    aims = np.select(
        [mistake == Mistake.LOCALISATION, mistake == Mistake.CLASSIFICATION],
        [own.argmax(axis=1), other.argmax(axis=1)],
        DROPPED,
    )
    targets, best = np.unique(aims, return_index=True)
    open_ = (targets >= 0) & ~used[targets]
    targets, best = targets[open_], best[open_]
    becomes, missed = np.full(len(false), DROPPED), ~used
    becomes[best], missed[targets] = truth[targets], False
    return mistake, becomes, missed

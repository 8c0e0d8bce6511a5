"""White-box attacks on anything that gives logits: whole 8-bit pictures inside the threat."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from eval.attacks.base import Draw, Goal, Threat, draws, is_grey
from eval.attacks.transfer import wanted
from eval.whitebox.attacks.base import Landscape, Logits, WhiteBox
from eval.whitebox.attacks.losses import Aim
from eval.whitebox.attacks.rounding import roundings
from models.results import Array

__all__ = ["Found", "found_on"]

BATCH = 32
PIXELS = 1 << 20  # of the pictures of a batch, some hundred bytes each


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What an attack found on a twin, one row a picture.

    Attributes:
        pictures: uint8 `(H, W, 3)`, on the lattice, within the threat.
        margins: float64, of the true class over the best other there, in logits, or of the best other over
            the wanted class; below 0 fools the twin.
        flat: bool; the first gradient was 0 everywhere. If many are, it was the softmax that held, or
            a layer without a gradient, not the model.
    """

    pictures: list[Array]
    margins: Array
    flat: Array

    @property
    def fooled(self) -> Array:
        """bool: the twin gives what is wanted."""
        fooled: Array = self.margins < 0
        return fooled


def found_on(
    logits: Logits,
    images: Sequence[Array],
    goals: Sequence[Goal],
    threat: Threat,
    attack: WhiteBox,
    seed: int,
    samples: Sequence[str] | None = None,
    at_once: int = BATCH,
) -> Found:
    """The picture inside the threat that is nearest to its goal, for each image.

    Whether it fools the endpoint is for the endpoint to say. Pictures of one size go together, so a result
    may differ in the last digit with its company: sums are taken in another order. Equal arguments give
    equal pictures on the same machine.

    Args:
        logits: levels `(N, H, W, 3)`, or `(N, H, W, 1)` of grey pictures -> `(N, K)`.
        images: uint8 RGB `(H, W, 3)`, any sizes. Grey ones stay grey.
        goals: classes.
        samples: an id for each image, part of the key of its draws; its position by default.
        at_once: most pictures in one batch.

    Raises:
        EvalError: a goal is not one of classes; Unsupported: the attack needs more classes.
        ValueError: images, goals and samples are not equally many.
    """
    names = list(samples) if samples is not None else [str(i) for i in range(len(images))]
    if not len(images) == len(goals) == len(names):
        raise ValueError(f"images, goals and samples must be equally many, got {len(images)}, {len(goals)}")
    if (norm := threat.norm) == "spatial":
        raise ValueError(f"norm must be linf or l2 for an attack by gradients, got {norm}")
    told = [wanted(goal) for goal in goals]
    groups: dict[tuple[tuple[int, ...], bool, bool], list[int]] = {}
    for i, image in enumerate(images):
        groups.setdefault((image.shape, is_grey(image), told[i][1] >= 0), []).append(i)
    count = len(images)
    found = Found(list(images), np.zeros(count), np.zeros(count, bool))
    for (shape, grey, aimed), rows in groups.items():
        channels = 1 if grey else 3
        radius = float(int(threat.epsilon)) if norm == "linf" else threat.epsilon / (3 / channels) ** 0.5
        most = max(1, min(at_once, PIXELS // (shape[0] * shape[1])))
        for start in range(0, len(rows), most):
            part = rows[start : start + most]
            origin = np.stack([images[i][..., :channels] for i in part])
            truth, targets = torch.tensor([told[i] for i in part]).T
            aim = Aim(truth, targets if aimed else None)
            drawn = [draws(seed, names[i], attack.name) for i in part]
            batch = _Batch(logits, origin, aim, norm, radius, drawn)
            batch.attack(attack)
            found.margins[part], found.flat[part] = batch.margins, batch.flat
            for i, picture in zip(part, batch.pictures, strict=True):
                found.pictures[i] = np.repeat(picture, 3 // channels, axis=-1)
    return found


class _Batch:
    """Pictures of one size, and the best that was found for each."""

    def __init__(
        self,
        logits: Logits,
        origin: Array,
        aim: Aim,
        norm: Literal["linf", "l2"],
        radius: float,
        drawn: list[Draw],
    ) -> None:
        self._logits, self._origin, self._aim = logits, origin, aim
        self._norm, self._radius, self._draws = norm, radius, drawn
        self.pictures, self.flat = origin.copy(), np.zeros(len(origin), bool)
        self.margins = np.full(len(origin), np.inf)
        self._consider(np.arange(len(origin)), origin)

    def attack(self, attack: WhiteBox) -> None:
        """Every attempt takes those that the ones before did not fool; the first takes all."""
        rows = np.arange(len(self._origin))
        for attempt in range(attack.attempts if self._radius > 0 else 0):
            if not len(rows):
                return
            land = self._landscape(rows)
            attack.climb(land, attempt)
            if attempt == 0 and land.flat is not None:
                self.flat = land.flat.numpy()
            self._round(rows, land, attack.attempts + attempt)
            rows = np.flatnonzero(self.margins >= 0)

    def _landscape(self, rows: Array) -> Landscape:
        origin = torch.from_numpy(self._origin[rows]).float()
        drawn = [self._draws[row] for row in rows]
        return Landscape(self._logits, origin, self._aim_of(rows), self._norm, self._radius, drawn)

    def _aim_of(self, rows: Array) -> Aim:
        targets = self._aim.targets
        return Aim(self._aim.labels[rows], None if targets is None else targets[rows])

    def _round(self, rows: Array, land: Landscape, step: int) -> None:
        best, slope = land.best.numpy(), land.slope.numpy()
        near = [
            roundings(
                self._origin[row], best[i], slope[i], norm=self._norm, radius=self._radius,
                rng=self._draws[row](step),
            )
            for i, row in enumerate(rows)
        ]  # fmt: skip
        for pictures in zip(*near, strict=True):
            self._consider(rows, np.stack(pictures))

    @torch.no_grad()
    def _consider(self, rows: Array, pictures: Array) -> None:
        """Keep the pictures that are lower than what was found before."""
        logits = self._logits(torch.from_numpy(pictures).float()).double()
        reached = self._aim_of(rows).margins(logits).numpy()
        lower = reached < self.margins[rows]
        self.margins[rows[lower]], self.pictures[rows[lower]] = reached[lower], pictures[lower]

"""White-box attacks on a twin, whose pictures are then asked about at the endpoint."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from eval.attacks.base import Draw, Threat, draws, is_grey
from eval.attacks.transfer import Transfer, transfer_of
from eval.errors import EvalError
from eval.whitebox.attacks.base import Landscape, Logits, WhiteBox
from eval.whitebox.attacks.losses import margins
from eval.whitebox.attacks.rounding import roundings
from eval.whitebox.attacks.tables import WHITE_BOX
from eval.whitebox.proven import Classifier
from models.results import Array

__all__ = ["Found", "found_on", "transfer", "transfers"]

BATCH = 32
PIXELS = 1 << 20  # of the pictures of a batch, some hundred bytes each


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """What an attack found on a twin, one row a picture.

    Attributes:
        pictures: uint8 `(H, W, 3)`, on the lattice, within the threat.
        margins: float64, of the true class over the best other there, in logits; below 0 fools the twin.
        flat: bool; the first gradient was 0 everywhere. If many are, it was the softmax that held, or
            a layer without a gradient, not the model.
    """

    pictures: list[Array]
    margins: Array
    flat: Array

    @property
    def fooled(self) -> Array:
        """bool: the twin gives another class."""
        fooled: Array = self.margins < 0
        return fooled


def transfer(
    twin: Classifier,
    images: Sequence[Array],
    labels: Sequence[int],
    threat: Threat,
    attack: WhiteBox,
    seed: int,
    samples: Sequence[str] | None = None,
) -> list[Array]:
    """The picture inside the threat that fools the twin most, for each image: uint8, of its size.

    Whether it fools the endpoint is for the endpoint to say.

    Args:
        twin: proven; see `eval.whitebox.proven.proven_classifier`.
        images: uint8 RGB `(H, W, 3)`, any sizes. Grey ones stay grey.
        labels: the true classes.
        samples: an id for each image, part of the key of its draws; its position by default.
    """
    return found_on(twin.logits, images, labels, threat, attack, seed, samples, twin.at_once).pictures


def transfers(
    twin: Classifier,
    images: Sequence[Array],
    labels: Sequence[int],
    threat: Threat,
    names: Iterable[str],
    seed: int,
    samples: Sequence[str] | None = None,
) -> list[Transfer]:
    """Attacks for `attack_all`, one for each name in `WHITE_BOX`.

    Raises:
        EvalError: no such attack, or one that the model's number of classes does not allow.
    """
    found = []
    for name in names:
        if name not in WHITE_BOX:
            raise EvalError(f"attack must be one of {', '.join(WHITE_BOX)}, got {name!r}")
        pictures = transfer(twin, images, labels, threat, WHITE_BOX[name], seed, samples)
        found.append(transfer_of(name, images, labels, pictures))
    return found


def found_on(
    logits: Logits,
    images: Sequence[Array],
    labels: Sequence[int],
    threat: Threat,
    attack: WhiteBox,
    seed: int,
    samples: Sequence[str] | None = None,
    at_once: int = BATCH,
) -> Found:
    """As `transfer`, on anything that gives logits; with what the twin says of the pictures.

    Pictures of one size go together, so a result may differ in the last digit with its company: sums
    are taken in another order. Equal arguments give equal pictures on the same machine.

    Args:
        at_once: most pictures in one batch.

    Raises:
        ValueError: images, labels and samples are not equally many.
    """
    names = list(samples) if samples is not None else [str(i) for i in range(len(images))]
    if not len(images) == len(labels) == len(names):
        raise ValueError(f"images, labels and samples must be equally many, got {len(images)}, {len(labels)}")
    if (norm := threat.norm) == "spatial":
        raise ValueError(f"norm must be linf or l2 for an attack by gradients, got {norm}")
    groups: dict[tuple[tuple[int, ...], bool], list[int]] = {}
    for i, image in enumerate(images):
        groups.setdefault((image.shape, is_grey(image)), []).append(i)
    count = len(images)
    found = Found(list(images), np.zeros(count), np.zeros(count, bool))
    for (shape, grey), rows in groups.items():
        channels = 1 if grey else 3
        radius = float(int(threat.epsilon)) if norm == "linf" else threat.epsilon / (3 / channels) ** 0.5
        most = max(1, min(at_once, PIXELS // (shape[0] * shape[1])))
        for start in range(0, len(rows), most):
            part = rows[start : start + most]
            origin = np.stack([images[i][..., :channels] for i in part])
            truth = torch.tensor([int(labels[i]) for i in part])
            told = [draws(seed, names[i], attack.name) for i in part]
            batch = _Batch(logits, origin, truth, norm, radius, told)
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
        labels: Tensor,
        norm: Literal["linf", "l2"],
        radius: float,
        told: list[Draw],
    ) -> None:
        self._logits, self._origin, self._labels = logits, origin, labels
        self._norm, self._radius, self._draws = norm, radius, told
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
        told = [self._draws[row] for row in rows]
        return Landscape(self._logits, origin, self._labels[rows], self._norm, self._radius, told)

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
        reached = margins(logits, self._labels[rows]).numpy()
        lower = reached < self.margins[rows]
        self.margins[rows[lower]], self.pictures[rows[lower]] = reached[lower], pictures[lower]

"""How a method talks: pictures out, answers in, a map at the end."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Protocol, TypeAlias, TypeVar

import numpy as np

from models.results import Array, Result
from models.saliency.targets import Target

__all__ = ["Dialogue", "Method", "advance", "hidden", "mean_colour", "reduced"]

Found = TypeVar("Found")
Dialogue: TypeAlias = Generator[list[Array], Sequence[Result], Found]


class Method(Protocol):
    """One way to find out what an answer rests on."""

    @property
    def name(self) -> str:
        """In tables and options."""

    def run(self, image: Array, target: Target, rng: np.random.Generator) -> Dialogue[Array]:
        """Talk about one image.

        Args:
            image: uint8 RGB `(H, W, 3)`.
            target: what is to be explained; made from the answer to `image`.
            rng: every draw; the same stream, the same map.

        Yields: uint8 RGB pictures of the same size.
        Is sent: one answer for each, same order.
        Returns: float32 `(H, W)`, in the units of the target's score; higher matters more.
        """


def advance(
    dialogue: Dialogue[Found], answers: Sequence[Result] | None = None
) -> tuple[list[Array], Found | None]:
    """The next pictures to ask about; none at the end, and then what was found.

    Args:
        answers: to the pictures before; None starts.
    """
    try:
        return (next(dialogue) if answers is None else dialogue.send(answers)), None
    except StopIteration as end:
        return [], end.value


def mean_colour(image: Array) -> Array:
    """uint8 `(3,)`: the picture's own mean, which stands for what is not shown."""
    mean: Array = np.rint(image.mean(axis=(0, 1))).astype(np.uint8)
    return mean


def hidden(image: Array, shown: Array, behind: Array) -> Array:
    """uint8 `(H, W, 3)`: the picture where `shown` is 1, what is behind it where it is 0.

    Args:
        shown: float32 `(H, W)` in [0, 1].
        behind: uint8 `(3,)` or `(H, W, 3)`.
    """
    weight = shown[..., None]
    mixed: Array = np.rint(image * weight + behind * (1 - weight)).astype(np.uint8)
    return mixed


def reduced(image: Array, most: int) -> Array:
    """The picture at no more than `most` pixels, each the mean of those it stands for; itself if it fits.

    A map is coarse; nothing is lost by asking about a smaller picture, and 25 million pixels are not
    copied fifty times.
    """
    height, width = image.shape[:2]
    if height * width <= most:
        return image
    scale = (most / (height * width)) ** 0.5
    cols = min(max(1, int(width * scale)), most)  # a thin picture's short side is 1
    rows = min(max(1, int(height * scale)), most // cols)
    tops, lefts = np.arange(rows) * height // rows, np.arange(cols) * width // cols
    sums = np.add.reduceat(image, tops, axis=0, dtype=np.uint32)
    sums = np.add.reduceat(sums, lefts, axis=1)
    areas = np.diff(tops, append=height)[:, None] * np.diff(lefts, append=width)
    means: Array = np.rint(sums / areas[..., None])
    return means.astype(np.uint8)

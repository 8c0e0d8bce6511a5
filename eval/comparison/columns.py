"""Two runs as columns: all that a comparison needs to know of every image, grown one image at a time."""

from __future__ import annotations

import hashlib
from bisect import insort
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from eval.comparison.judged import MARGIN, Judged, judge
from eval.comparison.pairing import Pair, labels_of, pairs
from eval.comparison.states import states
from eval.data.dataset import Sample
from eval.data.slices import slicer
from eval.metrics.base import Metric, Resampled
from eval.recorded import Recorded
from eval.scoring import MOST_ERRORS
from eval.worst import severity
from models.card import TaskName
from models.results import Array, Result

__all__ = ["Columns", "Flip", "Flips", "columns_of"]


@dataclass(frozen=True, slots=True)
class Flip:
    """An image that became worse or better, with both answers.

    Attributes:
        weight: by how much; of a classification, how sure the wrong answer is.
    """

    weight: float
    sample: Sample
    before: Result
    after: Result


class Flips:
    """The `count` weightiest; of equal ones those whose id comes first."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._kept: list[tuple[float, str, Flip]] = []

    def note(self, flip: Flip) -> None:
        """Keep it if it is among them."""
        insort(self._kept, (-flip.weight, flip.sample.id, flip), key=lambda kept: kept[:2])
        del self._kept[self._count :]

    def __iter__(self) -> Iterator[Flip]:
        return (flip for *_, flip in self._kept)


@dataclass(slots=True)
class Columns:
    """What is known of the images that both answered; no pictures but those of the weightiest flips.

    Attributes:
        before, after: metrics of both, in the order of the images.
        units: summed, see `Judged`; `false` as well.
        mistakes: of each image, before and after.
        differs: of each image.
        classes: of each image and class in it: image, class, right before, right after, all.
        slices: slice -> value -> its images.
        images: asked about.
        errors: images without an answer before, after.
        unpaired: images that one or both did not answer; in nothing but these counts.
        worse, better: the weightiest flips.
    """

    task: TaskName
    labels: tuple[str, ...]
    before: tuple[Metric[Any, Any], ...]
    after: tuple[Metric[Any, Any], ...]
    units: Array = field(default_factory=lambda: np.zeros(4, np.int64))
    false: Array = field(default_factory=lambda: np.zeros(2, np.int64))
    mistakes: list[tuple[float, float]] = field(default_factory=list)
    differs: list[bool] = field(default_factory=list)
    classes: list[Array] = field(default_factory=list)
    slices: dict[str, dict[str, list[int]]] = field(default_factory=dict)
    images: int = 0
    errors: list[int] = field(default_factory=lambda: [0, 0])
    unpaired: int = 0
    worse: Flips = field(default_factory=lambda: Flips(20))
    better: Flips = field(default_factory=lambda: Flips(6))
    _hash: Any = field(default_factory=lambda: hashlib.blake2b(digest_size=16))
    _read: tuple[int, list[tuple[Resampled, Resampled]]] = (-1, [])

    @property
    def valid(self) -> bool:
        """Whether both answered enough for the numbers to mean anything."""
        return max(self.errors) <= MOST_ERRORS * self.images

    @property
    def digest(self) -> str:
        """Of every id and file so far, in order."""
        told: str = self._hash.hexdigest()
        return told

    @property
    def paired(self) -> int:
        """Images that both answered."""
        return len(self.differs)

    def resampled(self) -> list[tuple[Resampled, Resampled]]:
        """Before and after under other weights of the images, of every metric that can; read once."""
        if self._read[0] != self.paired:
            sides = [(b.resampled(), a.resampled()) for b, a in zip(self.before, self.after, strict=True)]
            self._read = self.paired, [(b, a) for b, a in sides if b is not None and a is not None]
        return self._read[1]

    def note(self, pair: Pair, tags: Mapping[str, str]) -> None:
        """Add one image."""
        self.images += 1
        self._hash.update(f"{pair.before.sample.id}\0{pair.digest}\0".encode())
        before, after, sample = pair.before.answer, pair.after.answer, pair.before.sample
        for side, answer in enumerate((before, after)):
            self.errors[side] += answer is None
        if before is None or after is None:
            self.unpaired += 1
            return
        for metrics, answer in ((self.before, before), (self.after, after)):
            for metric in metrics:
                metric.update([answer], [sample.expected])
        for name, value in tags.items():
            self.slices.setdefault(name, {}).setdefault(value, []).append(self.paired)
        judged = judge(before, after, sample.expected, len(self.labels))
        self._flip(judged, Flip(0.0, sample, before, after))
        rows = np.column_stack([np.full(len(judged.classes), self.paired), judged.classes])
        self.classes.append(rows)
        self.units += judged.units
        self.false += judged.false
        self.mistakes.append(judged.mistakes)
        self.differs.append(judged.differs)

    def _flip(self, judged: Judged, flip: Flip) -> None:
        more = judged.mistakes[1] - judged.mistakes[0]
        if abs(more) <= MARGIN[self.task]:
            return
        sure = [severity(answer, flip.sample.expected) for answer in (flip.before, flip.after)]
        kept, weight = (self.worse, sure[1] - sure[0]) if more > 0 else (self.better, sure[0] - sure[1])
        kept.note(Flip(weight, flip.sample, flip.before, flip.after))


def columns_of(
    before: Recorded,
    after: Recorded,
    wanted: Iterable[str],
    slices: Sequence[str] = (),
    progress: Callable[[int, int], None] | None = None,
) -> Columns:
    """Read two runs from their records, one image at a time.

    Args:
        wanted: names of scores, see `states`.
        slices: what the images are told apart by beside what either run recorded.

    Raises:
        EvalError: they are not about the same images, or of different tasks.
        DatasetError: the data is no longer what was sent, or there is no such slice.
    """
    task, labels = before.target.task, labels_of(before, after)
    names = tuple(wanted)
    columns = Columns(task, labels, states(task, labels, names), states(task, labels, names))
    known = {*before.slices, *after.slices}
    tag = slicer([name for name in slices if name not in known], before.data)
    for done, pair in enumerate(pairs(before, after), start=1):
        columns.note(pair, {**pair.tags, **tag(pair.before.sample)})
        if progress is not None:
            progress(done, len(before.data))
    return columns

"""Is a data set fit to measure with? Every picture is decoded and held against its labels."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from eval.data.alike import DISTANCE, LEVELS
from eval.data.between import Remembered
from eval.data.dataset import Dataset
from eval.data.faults import BROKEN, KINDS, Seen, seen

__all__ = ["Checked", "Found", "check"]

EXAMPLES = 5
CHUNK = 256


@dataclass(slots=True)
class Found:
    """One kind of fault: how often, in which pictures (by their place), and the first few."""

    kind: str
    count: int = 0
    pictures: set[int] = field(default_factory=set)
    examples: list[str] = field(default_factory=list)

    @property
    def severity(self) -> str:
        return KINDS[self.kind][0]

    def add(self, told: str, *pictures: int) -> None:
        """One more time, between these pictures."""
        self.count += 1
        self.pictures.update(pictures)
        if len(self.examples) < EXAMPLES:
            self.examples.append(told)


@dataclass(slots=True)
class Checked:
    """What is known of a data set after a look at all of it.

    Attributes:
        found: kinds of faults that occur, broken ones first.
        classes: (name, pictures that show it, objects or pixels of it).
        sizes: (width, height) -> pictures.
        looked: pictures of all data that were looked at, in `seconds`.
    """

    name: str
    task: str
    images: int
    found: list[Found]
    classes: list[tuple[str, int, int]]
    sizes: Mapping[tuple[int, int], int]
    looked: int
    seconds: float

    @property
    def broken(self) -> bool:
        return any(found.severity == BROKEN for found in self.found)

    def to_json(self) -> dict[str, Any]:
        """The same for a machine; nothing a clock said."""
        return {
            "data": self.name,
            "task": self.task,
            "images": self.images,
            "broken": self.broken,
            "found": [
                {"kind": f.kind, "severity": f.severity, "means": KINDS[f.kind][1], "count": f.count,
                 "images": len(f.pictures), "examples": f.examples}
                for f in self.found
            ],
            "classes": [{"name": n, "images": images, "count": count} for n, images, count in self.classes],
            "sizes": [{"width": w, "height": h, "images": n} for (w, h), n in self.sizes.items()],
            "near_duplicates": {"hash": "dHash 64", "distance": DISTANCE, "levels": LEVELS},
        }  # fmt: skip


def check(
    data: Dataset,
    *,
    against: Dataset | None = None,
    threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Checked:
    """Look at every sample.

    Args:
        against: data that must not share pictures with it, such as what the model was trained on.
        threads: by default one for each core.
        progress: told (done, all).
    """
    began = time.perf_counter()
    table = {kind: Found(kind) for kind in KINDS}
    threads, whole = threads or os.cpu_count() or 1, len(data) + len(against or ())
    mine = Remembered(data)
    for done, one in enumerate(_looked(data, threads), start=1):
        for kind, what in one.faults:
            table[kind].add(what if one.id in what else f"{one.id}: {what}", done - 1)
        mine.add(one)
        if progress is not None:
            progress(done, whole)
    between = [mine.copies(), mine.looks(), mine.empty_classes()]
    if against is not None:
        theirs = Remembered(against)
        for done, one in enumerate(_looked(against, threads), start=len(data) + 1):
            theirs.add(one)
            if progress is not None:
                progress(done, whole)
        between.append(mine.leaks(theirs))
    for kind, what, pictures in chain.from_iterable(between):
        table[kind].add(what, *pictures)
    for remark in data.remarks:
        table["left_out"].add(remark)
    found = [each for each in table.values() if each.count]
    sizes = dict(mine.sizes.most_common())
    seconds = time.perf_counter() - began
    return Checked(data.name, data.task, len(data), found, mine.balance(), sizes, whole, seconds)


def _looked(data: Dataset, threads: int) -> Iterator[Seen]:
    """In the order of the data; a few at a time, so that memory does not grow with their number."""
    with ThreadPoolExecutor(threads) as pool:
        for at in range(0, len(data), CHUNK):
            yield from pool.map(lambda index: seen(data, index), range(at, min(at + CHUNK, len(data))))

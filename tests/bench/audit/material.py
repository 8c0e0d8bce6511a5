"""What every case attacks: pictures that the served model is right about."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from eval.data.tables import open_data
from eval.remote.access import endpoint_of, target_of
from eval.served import ROOT, served
from eval.target import Target
from models.decoding import decode
from models.results import Array

__all__ = ["DATA", "Subject", "photographs", "served_apart", "subject_of"]

DATA = Path(os.environ.get("ASSAY_DATA_DIR", ROOT.parent / "shared" / "data"))
BATCH = 64


@dataclass(frozen=True, slots=True)
class Subject:
    """One version, and pictures of one size that it names right.

    Attributes:
        images: uint8 RGB `(H, W, 3)`.
        labels: the true classes.
    """

    target: Target
    images: Sequence[Array]
    labels: Sequence[int]


def subject_of(url: str, model: str, version: int | None, data: str, count: int) -> Subject:
    """The first `count` pictures of the data that the model is right about."""
    return asyncio.run(_subject(url, model, version, data, count))


async def _subject(url: str, model: str, version: int | None, data: str, count: int) -> Subject:
    target = await target_of(url, model, version)
    samples = open_data(data, target.task).in_classes_of(target.labels).first(2 * count)
    images, labels = [], []
    async with endpoint_of(target) as endpoint:
        for start in range(0, len(samples), BATCH):
            part = list(samples)[start : start + BATCH]
            answers = await endpoint.predict_files([sample.file for sample in part])
            for sample, answer in zip(part, answers, strict=True):
                if isinstance(sample.expected, int) and answer.label == sample.expected:
                    images.append(decode(sample.file))
                    labels.append(sample.expected)
    if len(images) < count:
        raise RuntimeError(f"{model} must be right about {count} of {data}, got {len(images)}")
    return Subject(target, images[:count], labels[:count])


@contextlib.contextmanager
def served_apart() -> Iterator[str]:
    """The zoo, served on one half of the processors, and this process on the other.

    A client on the service's own processors takes from it what it spends itself; one elsewhere, as they are,
    does not. With a single processor there is nothing to halve.
    """
    every = sorted(os.sched_getaffinity(0))
    half = len(every) // 2
    try:
        os.sched_setaffinity(0, every[:half] or every)  # what is started inherits it
        with served() as url:
            os.sched_setaffinity(0, every[half:])
            yield url
    finally:
        os.sched_setaffinity(0, every)


def photographs(count: int, side: int) -> list[Array]:
    """Middles of the sample photographs again and again, with other first values each time."""
    files = sorted((DATA / "imagenet_samples").glob("*.JPEG"))
    whole = [decode(file.read_bytes()) for file in files]
    pictures = []
    for number in range(count):
        one, round_ = whole[number % len(whole)], number // len(whole)
        top, left = (one.shape[0] - side) // 2, (one.shape[1] - side) // 2
        picture = one[top : top + side, left : left + side].copy()
        picture.reshape(-1)[: round_ // 256 + 1] = round_ % 256
        pictures.append(picture)
    return pictures

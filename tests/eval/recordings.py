"""Recorded runs on small data made here: no service is asked, the answers are what a test says."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image

from eval.collect import digest_of, truth_of
from eval.journal import Journal, Row
from eval.packed import pack
from eval.recorded import JOURNAL, Request
from eval.target import Access, Target
from models.card import TaskName
from models.results import Array, Classification, Result

__all__ = ["LABELS", "boxes", "classified", "maps", "pictures", "recording"]

LABELS = ("ape", "bee", "cat")
SIDE = 8
Box: TypeAlias = tuple[int, float, float, float, float]


def _png(number: int) -> bytes:
    pixels = np.full((SIDE, SIDE, 3), number % 256, np.uint8)
    pixels[0, 0] = (number // 256, number % 7, 3)
    kept = io.BytesIO()
    Image.fromarray(pixels).save(kept, "PNG")
    return kept.getvalue()


def pictures(root: Path, counts: Sequence[int], labels: Sequence[str] = LABELS) -> str:
    """A folder per class with so many pictures each; in order, the classes one after the other."""
    number = 0
    for label, count in zip(labels, counts, strict=True):
        (root / label).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            (root / label / f"{i:05}.png").write_bytes(_png(number))
            number += 1
    return f"folder:{root}"


def maps(root: Path, truths: Sequence[Array], labels: Sequence[str]) -> str:
    """Pictures beside label maps, uint8 `(8, 8)`."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for i, truth in enumerate(truths):
        (root / "images" / f"{i:05}.png").write_bytes(_png(i))
        Image.fromarray(truth).save(root / "masks" / f"{i:05}.png")
    (root / "names.txt").write_text("\n".join(labels))
    return f"masks:{root / 'images'},{root / 'masks'},{root / 'names.txt'}"


def boxes(
    root: Path, truths: Sequence[Sequence[tuple[int, float, float, float, float]]], labels: Sequence[str]
) -> str:
    """Pictures beside (class, x1, y1, x2, y2) in pixels of 8 x 8."""
    for folder in ("images", "labels"):
        (root / folder).mkdir(parents=True)
    for i, truth in enumerate(truths):
        (root / "images" / f"{i:05}.png").write_bytes(_png(i))
        lines = [
            f"{k} {(x1 + x2) / 2 / SIDE} {(y1 + y2) / 2 / SIDE} {(x2 - x1) / SIDE} {(y2 - y1) / SIDE}"
            for k, x1, y1, x2, y2 in truth
        ]
        (root / "labels" / f"{i:05}.txt").write_text("\n".join(lines))
    (root / "names.txt").write_text("\n".join(labels))
    return f"yolo:{root / 'images'},{root / 'labels'},{root / 'names.txt'}"


def classified(labels: Sequence[int], sure: float = 0.9, classes: int = len(LABELS)) -> list[Result]:
    """Answers that say these classes."""
    answers: list[Result] = []
    for label in labels:
        scores = np.full(classes, (1 - sure) / (classes - 1), np.float32)
        scores[label] = sure
        answers.append(Classification(scores))
    return answers


def recording(
    folder: Path,
    data: str,
    answers: Sequence[Result | None],
    *,
    name: str = "toy",
    version: int = 1,
    task: TaskName = "classification",
    labels: Sequence[str] = LABELS,
    tags: Sequence[Mapping[str, str]] = (),
    slices: tuple[str, ...] = (),
    sha256: str = "",
    seconds: float = 0.01,
) -> Path:
    """The folder of a run that got these answers, in the order of the data; fewer: it did not end."""
    url = "http://127.0.0.1:1"
    target = Target(url, name, version, task, tuple(labels), sha256, {}, Access(url))
    request = Request(target, data, None, slices)
    samples = request.dataset()
    with Journal.create(folder / JOURNAL, request.told(len(samples))) as journal:
        journal.add(
            Row(
                place, samples[place].id, digest_of(samples[place].file), truth_of(samples[place].expected),
                None if answer is None else pack(answer), "" if answer is not None else "gone",
                tags[place] if tags else {}, seconds,
            )
            for place, answer in enumerate(answers)
        )  # fmt: skip
        journal.mark("started", 1.0)
        journal.mark("finished", 2.0)
    return folder

"""What an evaluation shows: key figures, per-class plots, slices, the worst answers, every score."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import numpy as np

from eval.data.dataset import Sample
from eval.metrics.base import Metric, Score
from eval.metrics.truth import Objects
from eval.report.curves import drawn
from eval.report.document import Cell, Gallery, Headline, Picture, Section, Table
from eval.report.pictures import colours, detected, photo, segmented
from models.card import TaskName
from models.decoding import decode
from models.results import Classification, Detections, Result, Segmentation

__all__ = ["EXAMPLES", "KEY", "evaluation_section"]

KEY: Mapping[TaskName, tuple[str, ...]] = {
    "classification": ("accuracy", "precision.macro", "recall.macro", "f1.macro", "ece_error"),
    "detection": (
        "ap",
        "ap50",
        "ap75",
        "ar100",
        "mask.ap",
        "mask.ap50",
        "precision.micro",
        "recall.micro",
        "f1.micro",
    ),
    "segmentation": ("miou", "pixel_accuracy", "mean_accuracy", "dice.macro"),
}
EXAMPLES = 12
LARGE_EXAMPLES = 6  # of four pictures each
WRONG: Mapping[TaskName, str] = {
    "classification": "Wrong answers, the surest first.",
    "detection": "Images with most missed and false objects first, at score 0.5 and IoU 0.5.",
    "segmentation": "Images with the largest share of wrong pixels first.",
}


def evaluation_section(
    title: str,
    task: TaskName,
    labels: Sequence[str],
    metrics: Sequence[Metric[Any, Any]],
    scores: Sequence[Score],
    examples: Sequence[tuple[Sample, Result]],
    claims: Mapping[str, tuple[float, str]],
    *,
    slices: Mapping[str, Mapping[str, Sequence[Score]]] = MappingProxyType({}),
    errors: Sequence[tuple[str, str]] = (),
    advice: Sequence[str] = (),
) -> Section:
    """One model on one data set.

    Args:
        examples: answers worth looking at, with their samples, the worst first: `Worst.examples`.
        claims: what the card says; shown beside what was measured.
        slices: column -> value -> scores of that part of the data; those of single classes are left out.
        errors: (sample id, why) of samples without an answer; they are in no score.
        advice: lines such as how many more images would settle a question.
    """
    by_name = {score.name: score for score in scores}
    headlines = [
        Headline(name, s.value, s.support, s.low, s.high) for name in KEY[task] if (s := by_name.get(name))
    ]
    plots, tables = drawn(task, labels, metrics, scores)
    kept = {
        column: {value: [s for s in told if ".class." not in s.name] for value, told in parts.items()}
        for column, parts in slices.items()
    }
    return Section(
        title,
        headlines=headlines,
        plots=plots,
        galleries=[_gallery(task, examples, labels)],
        tables=[*_errors(errors), *_claims(claims, by_name), *tables],
        advice=list(advice),
        scores=list(scores),
        slices=kept,
    )


def _gallery(task: TaskName, examples: Sequence[tuple[Sample, Result]], labels: Sequence[str]) -> Gallery:
    kept = examples[: LARGE_EXAMPLES if task == "segmentation" else EXAMPLES]
    maps = [answer.labels for _, answer in kept if isinstance(answer, Segmentation)]
    maps += [sample.expected for sample, _ in kept if isinstance(sample.expected, np.ndarray)]
    shown = [_example(*example, labels) for example in kept]
    return Gallery("Where it is wrong", shown, WRONG[task], colours(maps, labels))


def _errors(errors: Sequence[tuple[str, str]]) -> list[Table]:
    rows: list[Mapping[str, Cell]] = [{"sample": sample, "why": why} for sample, why in errors]
    note = "They are counted apart and are in no score: neither right nor wrong."
    return [Table(rows, "Without an answer", note)] if rows else []


def _claims(claims: Mapping[str, tuple[float, str]], by_name: Mapping[str, Score]) -> list[Table]:
    rows: list[Mapping[str, Cell]] = []
    for name, (claimed, data) in claims.items():
        score = by_name.get(name)
        value = score.value if score else None
        apart = None if value is None else value - claimed
        rows.append({"claim": name, "on": data, "claimed": claimed, "measured": value, "difference": apart})
    return [Table(rows, "Claims of the model card", "A claim holds for the data it names.")] if rows else []


def _example(sample: Sample, answer: Result, labels: Sequence[str]) -> list[Picture]:
    """The first picture names the sample."""
    first, *rest = _pictures(sample, answer, labels)
    return [replace(first, caption=f"{sample.id}: {first.caption}"), *rest]


def _pictures(sample: Sample, answer: Result, labels: Sequence[str]) -> list[Picture]:
    image = decode(sample.file)
    if isinstance(answer, Classification) and isinstance(sample.expected, int):
        was, became = labels[sample.expected], labels[answer.label]
        sure = f"true {was}, answered {became} ({answer.scores[answer.label]:.2f})"
        return [photo(image, sure)]
    if isinstance(answer, Detections) and isinstance(sample.expected, Objects):
        return detected(image, answer, sample.expected, labels)
    if isinstance(answer, Segmentation) and not isinstance(sample.expected, int | Objects):
        return segmented(image, answer.labels, sample.expected)
    raise TypeError(f"the answer must be of the data's task, got {type(answer).__name__}")

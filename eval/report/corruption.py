"""What corruption costs: the numbers over all cells, every cell, what was drawn, and how it looks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

import numpy as np

from eval.auditing.cells import Corrupted
from eval.corruptions.tables import corrupt
from eval.data.dataset import Dataset
from eval.metrics.base import Score
from eval.metrics.corruption import Reference
from eval.metrics.ratios import defined, ratio
from eval.report.document import Cell, Gallery, Headline, Picture, Plot, Section, Table
from eval.report.pictures import photo
from models.decoding import UnreadableImage, decode
from models.results import Array

__all__ = ["corruption_figures", "corruption_section", "examples_of"]

Point = tuple[float, float | None]
KINDS: Final[Mapping[str, tuple[str, ...]]] = {
    "noise": ("gaussian_noise", "shot_noise", "impulse_noise", "speckle_noise"),
    "blur": ("defocus_blur", "glass_blur", "motion_blur", "zoom_blur", "gaussian_blur"),
    "weather": ("snow", "frost", "fog", "brightness", "spatter"),
    "digital": ("contrast", "elastic_transform", "pixelate", "jpeg_compression", "jpeg", "saturate"),
}
FIGURES: Final = {"mCE_error": "mCE", "relative_mCE_error": "relative_mCE"}  # as everybody calls them
NOTES: Final = {
    "mPC": "mean over corruptions and severities",
    "rPC": "mPC / clean: the share that corruption leaves",
    "mCE_error": "error / error of the reference; lower is better",
    "relative_mCE_error": "of what corruption adds to the error; lower is better",
    "corrupted_ece_error": "calibration error, mean over corruptions and severities; lower is better",
}
SIDE = 224  # pixels of an example: a cut from the middle, for scaled down a corruption looks milder
SHOWN = 3  # severities of each corruption
MOVING: Final = ("elastic_transform", "zoom_blur", "glass_blur")


def corruption_section(
    title: str,
    result: Corrupted,
    reference: Reference | None = None,
    examples: Sequence[Sequence[Picture]] = (),
) -> Section:
    """A model without corruption and under it.

    Args:
        reference: by whose errors mCE divides; None for no mCE.
        examples: of `examples_of`.
    """
    scores = result.scores(reference)
    named = {score.name: score for score in scores}
    told = [result.clean.score, *(named[name] for name in NOTES if name in named)]
    tables = [_table(result, named, reference)]
    if result.errors:
        tables.append(_errors(result))
    return Section(
        title,
        _text(result, reference),
        headlines=[_headline(score) for score in told],
        tables=tables,
        plots=list(_plots(result, named)),
        galleries=[Gallery("One picture under every corruption", examples, _shown())] if examples else [],
        advice=_advice(result, named),
        scores=scores,
    )


def corruption_figures(result: Corrupted, reference: Reference | None = None) -> dict[str, float | None]:
    """Flat names: `mPC`, `rPC`, `mCE`, `relative_mCE`, `corruption.<name>` and its `.<severity>`."""
    figures = {FIGURES.get(s.name, s.name): s.value for s in result.scores(reference)}
    return {**figures, "corruption.errors": result.errors}


def examples_of(data: Dataset, result: Corrupted) -> list[list[Picture]]:
    """The first picture that can be read, as it is and under every corruption, from mild to hard."""
    for sample in data:
        try:
            image = decode(sample.file)
            break
        except UnreadableImage:
            continue
    else:
        return []
    told, size = result.severities, f"{image.shape[1]} x {image.shape[0]}"
    if len(told) > SHOWN:
        told = (told[0], told[len(told) // 2], told[-1])
    rows = [[photo(_cut(image), f"{sample.id}, clean, {size}")]]
    for name in result.worn:
        drawn = [(s, corrupt(image, name, s, seed=result.seed, sample=sample.id)) for s in told]
        rows.append([photo(_cut(one), f"{name}, severity {s}") for s, one in drawn])
    return rows


def _cut(image: Array) -> Array:
    """The middle, at most 224 pixels a side."""
    top, left = (max(0, (side - SIDE) // 2) for side in image.shape[:2])
    return np.ascontiguousarray(image[top : top + SIDE, left : left + SIDE])


def _shown() -> str:
    return f"As they were sent; of large pictures {SIDE} x {SIDE} from the middle, kept as JPEG."


def _text(result: Corrupted, reference: Reference | None) -> str:
    severities = ", ".join(map(str, result.severities))
    parts = [
        f"Each of {result.images:,} pictures under {len(result.worn)} corruptions at severities "
        f"{severities}, drawn on the fly at the size each picture has, with seed {result.seed}. "
        "The corruptions are those of ImageNet-C; its published files are other pictures, JPEGs of "
        "224 x 224, so that no number here is comparable with a leaderboard."
    ]
    if reference is not None and reference.name.startswith("alexnet"):
        parts.append(
            "mCE divides by AlexNet's published errors on those files: not leaderboard-comparable, for these "
            "were drawn on the fly."
        )
    elif reference is not None:
        parts.append(f"mCE divides by the errors of {reference.name} on the same pictures.")
    if result.task != "classification" and (moving := [name for name in MOVING if name in result.worn]):
        parts.append(
            f"The truth is that of the clean picture, although {', '.join(moving)} move what is in it."
        )
    return " ".join(parts)


def _headline(score: Score) -> Headline:
    title = FIGURES.get(score.name, score.name).removeprefix("corruption.").replace("_", " ")
    note = NOTES.get(score.name, "the same pictures as they are")
    return Headline(title, score.value, score.support, score.low, score.high, note)


def _table(result: Corrupted, named: Mapping[str, Score], reference: Reference | None) -> Table:
    rows: list[Mapping[str, Cell]] = []
    for name, row in result.worn.items():
        mean = named[f"corruption.{name}"]
        interval = None if mean.low is None else f"{mean.low:.4f} to {mean.high:.4f}"
        cells: dict[str, Cell] = {f"severity {s.cell.severity}": s.score.value for s in row}
        told: dict[str, Cell] = {"corruption": name, **cells, "mean": mean.value, "95 % interval": interval}
        if reference is not None:
            theirs = float(np.ravel(reference.errors[name])[0])
            told["CE"] = None if mean.value is None else defined(ratio(1 - mean.value, theirs).item())
        rows.append({**told, "errors": sum(s.errors for s in row)})
    note = (
        f"{result.clean.score.definition}; clean it is {_number(result.clean.score.value)}. The interval is "
        "of the mean, over images, each drawn with all its corruptions. Errors are images without an answer: "
        "they are in no score, and with more than 1 % of them a cell has none."
    )
    if reference is not None:
        note += f" CE: mean error / that of the reference, {reference.name}."
    return Table(rows, "By corruption and severity", note)


def _number(value: float | None) -> str:
    return "n/a" if value is None else f"{value:.4f}"


def _errors(result: Corrupted) -> Table:
    told = [s for s in result.standings if s.errors]
    rows: list[Mapping[str, Cell]] = [
        {"cell": str(s.cell), "errors": s.errors, "answered": s.score.support, "first reason": s.why}
        for s in told
    ]
    return Table(rows, "No answer")


def _plots(result: Corrupted, named: Mapping[str, Score]) -> Iterator[Plot]:
    """Lines from the clean picture, at 0, to the hardest; a figure for each kind of corruption."""
    start: Point = (0.0, result.clean.score.value)
    main = result.clean.score.name.rpartition("clean_")[2]
    across = "severity, 0 is clean"
    for kind, own in KINDS.items():
        lines: dict[str, list[Point]] = {
            name: [start, *((float(s.cell.severity), s.score.value) for s in result.worn[name])]
            for name in own
            if name in result.worn
        }
        if lines:
            yield Plot("lines", f"Under {kind}", lines, across, main)
    if result.calibration:
        ece = "corrupted_ece_error"
        points: list[Point] = [(0.0, named[f"{ece}.clean"].value)]
        points += [(float(s), named[f"{ece}.severity.{s}"].value) for s in result.severities]
        yield Plot("lines", "Calibration error by severity", {"mean ECE": points}, across, "ECE")


def _advice(result: Corrupted, named: Mapping[str, Score]) -> list[str]:
    advice = []
    if holes := [str(s.cell) for s in result.standings if s.score.value is None]:
        more = f" and {len(holes) - 1} more" if len(holes) > 1 else ""
        advice.append(
            f"No score: {holes[0]}{more}, for too many images got no answer; means over them are undefined. "
            "Look at the service and go on with --resume."
        )
    elif any(name in named and named[name].low is None for name in FIGURES):
        advice.append(
            "mCE is undefined where the reference makes no error, its relative form where corruption costs "
            "the reference nothing, and neither has an interval where that is so in more than 5 % of the "
            "resamples: take more images, or harder severities."
        )
    return advice

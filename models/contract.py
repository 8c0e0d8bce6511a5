"""A model's contract, drawn for a person: what becomes of a picture on its way to an answer."""

from __future__ import annotations

from collections.abc import Sequence

from models.card import InputSpec, ModelCard
from models.families.tables import FAMILIES
from models.ports import Port

__all__ = ["contract", "listed"]

_WIDTH = 12  # of the left column


def contract(card: ModelCard, outputs: Sequence[Port]) -> list[str]:
    """From the picture to the answer, one step below the other, then what the card says beside it.

    Args:
        outputs: of the graph, in the card's order.
    """
    spec = card.input
    sides = f"{spec.height} x {spec.width}"
    channels = "grey" if spec.channels == "L" else spec.channels
    many = "1 at a time" if card.max_batch == 1 else f"up to {card.max_batch} at once"
    batch, channel_count = 1 if card.max_batch == 1 else "N", len(spec.mean)
    axes = (batch, channel_count, spec.height, spec.width)
    axes = axes if spec.layout == "NCHW" else (batch, spec.height, spec.width, channel_count)
    steps: list[tuple[str, str]] = [
        ("picture", "any size, 8-bit RGB"),
        ("", _fitted(spec)),
        ("pixels", f"{sides}, {channels}, levels 0 to 255"),
        ("", _scaled(spec)),
        (spec.name, f"{spec.dtype} {_sizes(axes)}, {many}"),
        ("", "the graph"),
        *((port.name, f"{port.dtype} {_sizes(port.shape)}") for port in outputs),
        ("", f"read as {card.family}: {FAMILIES[card.task][card.family].contract}"),
        *_rules(card),
        ("answer", _answer(card)),
    ]
    lines = [f"{card.name}/{card.version}  {card.description}".rstrip(), ""]
    for name, told in steps:
        if name:
            lines.append(f"  {name:{_WIDTH}}  {told}" if len(name) <= _WIDTH else f"  {name}  {told}")
        else:
            lines.append(f"  {'|':>{_WIDTH // 2}}{'':{_WIDTH // 2}}    {told}")
    return [*lines, "", *_beside(card)]


def listed(labels: Sequence[str], most: int = 8) -> str:
    """`80: person, bicycle, ...`"""
    return f"{len(labels)}: {', '.join(labels[:most])}{', ...' if len(labels) > most else ''}"


def _sizes(shape: Sequence[int | str]) -> str:
    return f"({', '.join('any' if size == -1 else str(size) for size in shape)})"


def _fitted(spec: InputSpec) -> str:
    sides = f"{spec.height} x {spec.width}"
    if spec.resize == "letterbox":
        where = {"centre": "in the middle", "top_left": "at the top left"}[spec.align]
        return f"scaled into {sides} ({spec.interpolation}), aspect kept, {where}, {spec.fill} around it"
    if spec.resize == "crop":
        share = f"{spec.crop_fraction:g} of the short side" if spec.crop_fraction < 1 else "the short side"
        return (
            f"scaled ({spec.interpolation}), aspect kept, until {share} is there; the middle {sides} cut out"
        )
    return f"stretched to {sides} ({spec.interpolation}), aspect not kept"


def _scaled(spec: InputSpec) -> str:
    if not spec.dtype.startswith("float"):
        return "levels as they are"
    mean, std = (_short(numbers) for numbers in (spec.mean, spec.std))
    if mean == "0":
        return "levels as they are, as floats" if std == "1" else f"level / {std}"
    return f"(level - {mean}) / {std}"


def _short(numbers: Sequence[float]) -> str:
    """One number where all are the same."""
    told = [f"{number:.5g}" for number in numbers]
    return told[0] if len(set(told)) == 1 else f"[{', '.join(told)}]"


def _rules(card: ModelCard) -> list[tuple[str, str]]:
    if card.task != "detection":
        return []
    rules = card.postprocess
    return [
        (
            "",
            f"scores from {rules.score_threshold:g}, overlaps above {rules.iou_threshold:g} suppressed, "
            f"at most {rules.max_detections}",
        )
    ]


def _answer(card: ModelCard) -> str:
    what = {
        "classification": "a probability for each class",
        "detection": "boxes (pixels of the picture as sent), scores, classes",
        "segmentation": "a class for each pixel of the picture as sent",
    }
    return what[card.task]


def _beside(card: ModelCard) -> list[str]:
    claims = "; ".join(f"{c.metric} {c.value:.4f} on {c.data} ({c.support} images)" for c in card.claims)
    golden = (
        f"reproduces within {card.golden.tolerance:g}" if card.golden else "none: nothing proves the file"
    )
    told = {
        "labels": listed(card.labels),
        "claims": claims or "none",
        "golden pair": golden,
        "licence": card.licence,
        "source": card.source,
        "sha256": card.sha256,
    }
    return [f"{key:{_WIDTH}}  {value}" for key, value in told.items() if value]

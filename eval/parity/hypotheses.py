"""What may go wrong on the way to an answer: each entry is one small change of the local pipeline.

A new suspicion is one more entry. What changes the same `part` excludes each other; entries of two parts
may be tried together.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np

from eval.parity.codings import CODINGS, PAINTS
from eval.parity.pipeline import Pipeline
from eval.parity.readings import READINGS
from eval.parity.resizing import FILTERS
from models.card import InputSpec
from models.results import Array

__all__ = ["HYPOTHESES", "STAGES", "Hypothesis", "Stage"]

Stage: TypeAlias = Literal["decode", "resize", "normalise", "graph", "postprocess"]
STAGES: tuple[Stage, ...] = ("decode", "resize", "normalise", "graph", "postprocess")
Change: TypeAlias = Callable[[Pipeline], Pipeline | None]
Scale: TypeAlias = Callable[[Array, Array], tuple[Any, Any]]


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """One suspicion.

    Attributes:
        name: what the live service would be doing.
        part: of the stage; one part is done in one way.
        change: the pipeline that does so; None where it makes no sense for the model.
    """

    name: str
    stage: Stage
    part: str
    change: Change

    def applied(self, pipeline: Pipeline) -> Pipeline | None:
        """The changed pipeline; None where it makes no sense or changes nothing."""
        changed = self.change(pipeline)
        return None if changed == pipeline else changed


def _spec(**fields: Any) -> Change:
    """The card's input with other fields."""
    return lambda pipeline: pipeline.with_input(**fields)


def _letterbox(**fields: Any) -> Change:
    """Another letterbox, where there is one."""
    return lambda p: p.with_input(**fields) if p.card.input.resize == "letterbox" else None


def _crop(fraction: float) -> Change:
    return _spec(resize="crop", crop_fraction=fraction)


def _colours(channels: str) -> Change:
    return lambda p: None if p.card.input.channels == "L" else p.with_input(channels=channels)


def _exchanged(pipeline: Pipeline) -> Pipeline | None:
    return _colours({"RGB": "BGR", "BGR": "RGB"}.get(pipeline.card.input.channels, ""))(pipeline)


def _levels(rule: Scale) -> Change:
    """Another (mean, std), in 8-bit levels."""

    def change(pipeline: Pipeline) -> Pipeline | None:
        spec: InputSpec = pipeline.card.input
        if not spec.dtype.startswith("float"):
            return None
        each = len(spec.mean)
        numbers = rule(np.asarray(spec.mean), np.asarray(spec.std))
        mean, std = (tuple(np.broadcast_to(np.asarray(n, float)[-each:], each).tolist()) for n in numbers)
        return pipeline.with_input(mean=mean, std=std)

    return change


def _laid(lay: Callable[[Array], Array]) -> Change:
    return lambda pipeline: replace(pipeline, lay=lay)


def _flattened(tensor: Array) -> Array:
    """The bytes of the other layout, taken for this one."""
    channels_first = tensor.shape[0] <= 3
    turned = tensor.transpose(1, 2, 0) if channels_first else tensor.transpose(2, 0, 1)
    return np.ascontiguousarray(turned).reshape(tensor.shape)


def _turned(tensor: Array) -> Array:
    """Rows taken for columns."""
    axes = (0, 2, 1) if tensor.shape[0] <= 3 else (1, 0, 2)
    return np.ascontiguousarray(tensor.transpose(axes)).reshape(tensor.shape)


IMAGENET = (np.array([123.675, 116.28, 103.53]), np.array([58.395, 57.12, 57.375]))
CIFAR = (np.array([125.307, 122.961, 113.8575]), np.array([62.993, 62.0887, 66.7049]))
CLIP = (np.array([122.7709, 116.7460, 104.0937]), np.array([68.5005, 66.6322, 70.3232]))
MNIST = (np.array([33.3285]), np.array([78.5655]))
CAFFE = np.array([123.68, 116.779, 103.939])

SCALES: dict[str, Scale] = {
    "levels as they are: no mean, no std": lambda m, s: (0 * m, 0 * s + 1),
    "scaled to 0 .. 1 only": lambda m, s: (0 * m, 0 * s + 255),
    "scaled to -1 .. 1: mean and std 127.5": lambda m, s: (0 * m + 127.5, 0 * s + 127.5),
    "scaled to -1 .. 1: mean 127, std 128": lambda m, s: (0 * m + 127, 0 * s + 128),
    "ImageNet's mean and std": lambda _, __: IMAGENET,
    "ImageNet's mean only (Caffe)": lambda _, __: (CAFFE, np.ones(3)),
    "CIFAR's mean and std": lambda _, __: CIFAR,
    "CLIP's mean and std": lambda _, __: CLIP,
    "MNIST's mean and std": lambda _, __: MNIST,
    "mean left out": lambda m, s: (0 * m, s),
    "std left out: divided by 255": lambda m, s: (m, 0 * s + 255),
    "std left out: not divided": lambda m, s: (m, 0 * s + 1),
    "mean and std in the other order of channels": lambda m, s: (m[::-1], s[::-1]),
    "mean in the other order of channels": lambda m, s: (m[::-1], s),
    "1/255 applied twice": lambda m, s: (m * 255, s * 255),
    "1/255 left out": lambda m, s: (m / 255, s / 255),
    "mean added, not subtracted": lambda m, s: (-m, s),
    "divided by the variance": lambda m, s: (m, s * s / 255),
}


def _normalise() -> list[Hypothesis]:
    named = [Hypothesis(name, "normalise", "scale", _levels(rule)) for name, rule in SCALES.items()]
    layouts = {"NHWC taken for NCHW, or the reverse": _flattened, "rows taken for columns": _turned}
    return [
        Hypothesis("red and blue exchanged (BGR)", "normalise", "channels", _exchanged),
        *named,
        *(Hypothesis(name, "normalise", "layout", _laid(lay)) for name, lay in layouts.items()),
    ]


GEOMETRY: dict[str, Change] = {
    "stretched": _spec(resize="stretch", crop_fraction=1.0),
    "letterboxed, in the middle": _spec(resize="letterbox", align="centre", crop_fraction=1.0),
    "letterboxed, at the top left": _spec(resize="letterbox", align="top_left", crop_fraction=1.0),
    "cropped to the middle": _crop(1.0),
    "cropped to the middle 0.875": _crop(0.875),
    "cropped to the middle 0.95": _crop(0.95),
}
FILLS = {f"padded with {name}": _letterbox(fill=fill) for name, fill in
         (("black", 0), ("grey 114", 114), ("grey 128", 128), ("white", 255))}  # fmt: skip
OWN_FILTERS = ("nearest", "bilinear", "bicubic")


def _filter(name: str) -> Change:
    return lambda pipeline: replace(pipeline, resize=FILTERS[name])


def _resize() -> list[Hypothesis]:
    parts: Sequence[tuple[str, dict[str, Change]]] = (
        ("geometry", GEOMETRY),
        ("padding", FILLS),
        ("filter", {f"{name} (Pillow)": _spec(interpolation=name) for name in OWN_FILTERS}),
        ("filter", {name: _filter(name) for name in FILTERS}),
    )
    return [
        Hypothesis(name, "resize", part, change) for part, table in parts for name, change in table.items()
    ]


HYPOTHESES: tuple[Hypothesis, ...] = (
    *(Hypothesis(name, "decode", "coding", change) for name, change in CODINGS.items()),
    *(Hypothesis(name, "decode", "colours", change) for name, change in PAINTS.items()),
    *_resize(),
    *_normalise(),
    *(Hypothesis(name, "postprocess", "reading", change) for name, change in READINGS.items()),
)

"""Repositories whose cards lie: the graph is the right one, but the way into it is not. And stale graphs."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from models.card import ModelCard

__all__ = ["SKEWS", "Skew", "doctored", "worn"]


@dataclass(frozen=True)
class Skew:
    """One planted skew.

    Attributes:
        cause: the name a parity check must give it.
        input, postprocess: fields of the card that are changed.
        version: of the model, served in place of the one that should be.
    """

    cause: str
    input: Mapping[str, Any] = field(default_factory=dict)
    postprocess: Mapping[str, Any] = field(default_factory=dict)
    version: int | None = None


THREE = {"mean": (123.675, 116.28, 103.53), "std": (58.395, 57.12, 57.375)}
SKEWS: Mapping[str, Skew] = {
    "bgr": Skew("red and blue exchanged (BGR)", {"channels": "BGR"}),
    "wrong-mean": Skew("ImageNet's mean and std", THREE),
    "no-scale": Skew("levels as they are: no mean, no std", {"mean": (0.0,) * 3, "std": (1.0,) * 3}),
    "nearest": Skew("nearest (Pillow)", {"interpolation": "nearest"}),
    "bicubic": Skew("bicubic (Pillow)", {"interpolation": "bicubic"}),
    "bilinear": Skew("bilinear (Pillow)", {"interpolation": "bilinear"}),
    "stretched": Skew("stretched", {"resize": "stretch", "crop_fraction": 1.0}),
    "top-left": Skew("letterboxed, at the top left", {"resize": "letterbox", "align": "top_left"}),
    "scaled-decode": Skew("JPEG decoded at a few eighths", {"scaled_decode": True}),
    "half": Skew("objects below 0.5 left out", postprocess={"score_threshold": 0.5}),
    "stale": Skew("version 2 in its place", version=2),
}


def doctored(source: Path, root: Path, name: str, skew: Skew | None = None) -> Path:
    """A copy of a version folder as `<root>/<name>/1`, its card changed; no golden pair gives it away."""
    folder = root / name / "1"
    folder.mkdir(parents=True)
    card = ModelCard.read(source / "card.json")
    if skew is not None and skew.version is not None:
        source = source.parent / str(skew.version)
        card = ModelCard.read(source / "card.json")
    elif skew is not None:
        spec = card.input.model_copy(update=dict(skew.input))
        rules = card.postprocess.model_copy(update=dict(skew.postprocess))
        card = card.model_copy(update={"input": spec, "postprocess": rules})
    shutil.copyfile(source / "model.onnx", folder / "model.onnx")
    told = {"name": name, "version": 1, "golden": None, "claims": ()}
    card.model_copy(update=told).write(folder / "card.json")
    return folder


def worn(source: Path, root: Path) -> Path:
    """A repository with the version as it is, and as 2 the same graph, its largest weight changed."""
    card = ModelCard.read(source / "card.json")
    first = root / card.name / "1"
    first.mkdir(parents=True)
    shutil.copyfile(source / "model.onnx", first / "model.onnx")
    card.model_copy(update={"version": 1, "golden": None}).write(first / "card.json")
    graph = onnx.load_model(source / "model.onnx")
    floats = [t for t in graph.graph.initializer if t.data_type == onnx.TensorProto.FLOAT]
    largest = max(floats, key=lambda t: int(np.prod(t.dims)))
    weights = numpy_helper.to_array(largest)
    changed = (weights * (1 + 0.05 * np.random.default_rng(0).standard_normal(weights.shape))).astype(
        np.float32
    )
    largest.CopyFrom(numpy_helper.from_array(changed, largest.name))
    second = root / card.name / "2"
    second.mkdir()
    data = graph.SerializeToString()
    (second / "model.onnx").write_bytes(data)
    told = {"version": 2, "golden": None, "sha256": hashlib.sha256(data).hexdigest()}
    card.model_copy(update=told).write(second / "card.json")
    return first

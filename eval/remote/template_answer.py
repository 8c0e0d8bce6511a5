"""What any JSON API answered, as results: found by a template's paths, checked before it is believed."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from eval.remote.endpoint import probable
from eval.remote.jsonpath import Path
from eval.remote.template import Template
from models.decoding import decode_labels, peek
from models.results import Array, Classification, Detections, Result, Segmentation, Shape
from models.wire import from_runs

__all__ = ["Reader"]

TINY = float(np.finfo(np.float32).tiny)


@dataclass(frozen=True, slots=True)
class Reader:
    """Reads the answers to requests as one template describes them."""

    template: Template
    paths: Mapping[str, Path]
    corners: tuple[Path, ...]
    numbers: Mapping[str, int]

    @classmethod
    def of(cls, template: Template) -> Reader:
        told = template.answer
        names = ("each", "scores", "labels", "label", "score", "map")
        paths = {name: Path.read(getattr(told, name)) for name in names if getattr(told, name) is not None}
        boxes = (told.boxes,) if isinstance(told.boxes, str) else told.boxes or ()
        numbers = {name: number for number, name in enumerate(template.labels)}
        return cls(template, paths, tuple(map(Path.read, boxes)), numbers)

    @property
    def sized(self) -> bool:
        """Whether pictures must be measured for their answers to be read."""
        return self.template.task == "segmentation" or self.template.answer.normalised

    def results(self, told: Any, count: int, shapes: Sequence[Shape] | None) -> list[Result]:
        """One result for each of `count` pictures.

        Args:
            told: the JSON.
            shapes: (H, W) of each, where the reader is `sized`.

        Raises:
            ValueError, TypeError: something is not where or what it must be; says which.
        """
        each = self.paths["each"].follow(told) if "each" in self.paths else [told]
        if not isinstance(each, list) or len(each) != count:
            got = len(each) if isinstance(each, list) else "no list"
            raise ValueError(
                f"there must be {count} answers at {self.template.answer.each or '$'}, got {got}"
            )
        sizes: Sequence[Shape] = shapes or [(0, 0)] * count
        return [self._result(one, size) for one, size in zip(each, sizes, strict=True)]

    def _result(self, told: Any, shape: Shape) -> Result:
        if self.template.task == "classification":
            return probable(Classification(self._scores(told)))
        if self.template.task == "detection":
            return self._detections(told, shape)
        return Segmentation(self._map(self.paths["map"].follow(told), shape))

    def _scores(self, told: Any) -> Array:
        """float32 `(C,)`."""
        classes, scale = len(self.template.labels), self._scale
        if "label" in self.paths:
            best = self._number(self.paths["label"].follow(told))
            score = self._floats("score", told, ()) / scale if "score" in self.paths else np.float64(1)
            scores = np.zeros(classes, np.float32)
            scores[best] = max(float(score), TINY)
            return scores
        found = self.paths["scores"].follow(told)
        if isinstance(found, dict):
            return self._named(list(found), list(found.values()))
        if "labels" in self.paths:
            return self._named(self.paths["labels"].follow(told), found)
        every = self._floats("scores", told, (classes,)) / scale
        return every.astype(np.float32)

    def _named(self, names: Any, values: Any) -> Array:
        if not isinstance(names, list) or not isinstance(values, list) or len(names) != len(values):
            raise ValueError("there must be as many scores as names")
        numbers = [self._number(name) for name in names]
        if len(set(numbers)) < len(numbers):
            raise ValueError("every class must be named once")
        classes = len(self.template.labels)
        if len(numbers) < classes and not self.template.answer.partial:
            raise ValueError(
                f"{len(numbers)} of {classes} classes have a score; say `partial: true` if there are no more"
            )
        scores = np.zeros(classes, np.float32)
        scores[numbers] = _array(values, "scores", (len(values),)) / self._scale
        return scores

    def _detections(self, told: Any, shape: Shape) -> Detections:
        names = self.paths["labels"].follow(told)
        if not isinstance(names, list):
            raise TypeError(f"{self.paths['labels'].text} must lead to a list")
        count = len(names)
        if len(self.corners) == 1:
            found = self.corners[0].follow(told)
            boxes = _array(found, self.corners[0].text, (count, 4)) if count else np.zeros((0, 4))
        else:
            sides = [_array(path.follow(told), path.text, (count,)) for path in self.corners]
            boxes = np.stack(sides, axis=1)
        labels = np.array([self._number(name) for name in names], np.int64)
        scores = self._floats("scores", told, (count,)) / self._scale
        return Detections(self._corners(boxes, shape).astype(np.float32), scores.astype(np.float32), labels)

    def _corners(self, boxes: Array, shape: Shape) -> Array:
        """float64 `(N, 4)` in the template's format -> xyxy pixels."""
        first, second = boxes[:, :2], boxes[:, 2:]
        match self.template.answer.format:
            case "yxyx":
                first, second = first[:, ::-1], second[:, ::-1]
            case "xywh":
                second = first + second
            case "cxcywh":
                first, second = first - second / 2, first + second / 2
        corners = np.concatenate([first, second], axis=1)
        height, width = shape
        return corners * [width, height, width, height] if self.template.answer.normalised else corners

    def _map(self, found: Any, shape: Shape) -> Array:
        """Integers `(H, W)`; a few bytes may unpack to any size, so the size is looked at first."""
        encoding = self.template.answer.encoding
        if encoding == "runs":
            _same(tuple(found["size"]), shape)
            return from_runs(found["values"], found["counts"], shape)
        if encoding == "png":
            file = base64.b64decode(str(found).rpartition(",")[2], validate=True)
            header = peek(file)
            _same((header.height, header.width), shape)
            return decode_labels(file)
        labels = np.asarray(found)
        _same(labels.shape, shape)
        return labels

    @property
    def _scale(self) -> float:
        return 100.0 if self.template.answer.percent else 1.0

    def _floats(self, name: str, told: Any, shape: tuple[int, ...]) -> Array:
        path = self.paths[name]
        return _array(path.follow(told), path.text, shape)

    def _number(self, name: Any) -> int:
        """Of a class, by its name or the service's own number."""
        number = self.numbers.get(name) if isinstance(name, str) else None
        if number is None and type(name) is int:
            number = name - self.template.answer.first_label
        if number is None or not 0 <= number < len(self.template.labels):
            raise ValueError(
                f"the class {str(name)[:60]!r} is none of the template's {len(self.numbers)} labels"
            )
        return number


def _same(size: tuple[Any, ...], shape: Shape) -> None:
    if size != shape:
        raise ValueError(f"a map must be {shape}, as its picture, got {str(size)[:40]}")


def _array(found: Any, what: str, shape: tuple[int, ...]) -> Array:
    """float64 of numbers that are finite. Raises ValueError."""
    try:
        array = np.asarray(found, np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{what} must be numbers: {error}") from error
    if array.shape != shape:
        raise ValueError(f"{what} must be numbers {shape}, got {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{what} must be finite")
    return array

"""How detectors are taught: batches of pictures and box maps, and what their loss is."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from models.card import InputSpec
from models.export.augment import Augment, Window
from models.export.courses.seen import shuffled
from models.export.courses.targets import box_targets
from models.export.losses import box_loss, heat_loss
from models.export.sets.objects import Pictures
from models.export.settings import Settings
from models.results import Array

__all__ = ["Boxes", "DetectorCourse", "seen_boxes"]

LEAST_SEEN = 0.5  # of a box's area; a smaller rest at the border is no object


@dataclass(frozen=True, slots=True)
class Boxes:
    """The objective of a detector.

    Attributes:
        box: weight of the boxes beside the heat map.
        pixels: weight of the label map, of a net that gives boxes and label maps from one backbone.
    """

    box: Annotated[float, Field(gt=0)] = 2.0
    pixels: Annotated[float, Field(ge=0)] = 0.0


class DetectorCourse:
    """Batches and loss of a detector that gives heat and reach; see `nets.detector`."""

    def __init__(
        self,
        learnt: Pictures,
        held: Pictures,
        classes: int,
        spec: InputSpec,
        objective: Boxes,
        augment: Augment,
        settings: Settings,
    ) -> None:
        self.learnt, self.held, self.classes, self.spec = learnt, held, classes, spec
        self.objective, self.augment, self.settings = objective, augment, settings
        self.steps = len(learnt) // settings.batch

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, ...]]:
        """Normalised images, heat, reach and weight; the same for an epoch."""
        for rows, images, windows in shuffled(
            self.learnt.images, self.spec, self.augment, self.settings, epoch
        ):
            yield images, *self.targets(self.learnt, rows, windows)

    def targets(self, pictures: Pictures, rows: list[int], windows: list[Window]) -> list[Tensor]:
        """Heat, reach and weight of some pictures, each seen through its window."""
        shape = (self.spec.height, self.spec.width)
        maps = [
            box_targets(*seen_boxes(pictures.boxes[row], pictures.labels[row], w, shape), self.classes, shape)
            for row, w in zip(rows, windows, strict=True)
        ]
        return [torch.from_numpy(np.stack(column)) for column in zip(*maps, strict=True)]

    def loss(self, net: nn.Module, batch: tuple[Tensor, ...], _: float) -> Tensor:
        """What the trainer makes small."""
        images, *maps = batch
        return self.of_maps(net.raw(images), maps)  # type: ignore[operator]  # a Detector

    def of_maps(self, told: tuple[Tensor, Tensor], wanted: list[Tensor]) -> Tensor:
        """The loss of the heat and reach that a net gave."""
        heat, reach, weight = wanted
        boxes = box_loss(told[1].float(), reach, weight)
        return heat_loss(told[0].float(), heat) + self.objective.box * boxes

    def check(self, net: nn.Module) -> dict[str, float]:
        """The loss on the held-out pictures, as they are."""
        losses = []
        still = Settings(
            seed=0, epochs=1, batch=min(8, len(self.held)), rate=1.0, bfloat16=self.settings.bfloat16
        )
        with torch.no_grad():
            for rows, images, windows in shuffled(self.held.images, self.spec, Augment(), still, 0):
                with torch.autocast("cpu", torch.bfloat16, enabled=still.bfloat16):
                    told = net.raw(images)  # type: ignore[operator]
                losses.append(float(self.of_maps(told, self.targets(self.held, rows, windows))))
        return {"held_loss": sum(losses) / len(losses)}


def seen_boxes(boxes: Array, labels: Array, window: Window, shape: tuple[int, int]) -> tuple[Array, Array]:
    """Boxes as a window shows them, cut at its border; those of which less than half is seen are left out."""
    scale = np.array([window.scale_x, window.scale_y] * 2)
    moved = boxes * scale + np.array([window.offset_x, window.offset_y] * 2)
    moved = np.concatenate(
        [np.minimum(moved[:, :2], moved[:, 2:]), np.maximum(moved[:, :2], moved[:, 2:])], axis=1
    )
    inside = moved.clip(0, [shape[1], shape[0]] * 2)
    areas = [np.prod(b[:, 2:] - b[:, :2], axis=1) for b in (inside, moved)]
    kept = areas[0] > LEAST_SEEN * areas[1]
    return inside[kept], labels[kept]

"""How a detector and a segmenter are taught together: one look at each picture, the sum of both losses."""

from __future__ import annotations

from collections.abc import Iterator

from torch import Tensor, nn

from models.card import InputSpec
from models.export.augment import Augment
from models.export.courses.detect import Boxes, DetectorCourse
from models.export.courses.seen import shuffled
from models.export.courses.segment import Pixels, SegmenterCourse
from models.export.sets.objects import Pictures
from models.export.settings import Settings

__all__ = ["MultiTaskCourse"]


class MultiTaskCourse:
    """Batches and loss of a `MultiTask` net; the segmenter's class 0 is the background."""

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
        self.boxes = DetectorCourse(learnt, held, classes, spec, objective, augment, settings)
        self.pixels = SegmenterCourse(learnt, held, 1 + classes, spec, Pixels(), augment, settings)
        self.weight, self.steps = objective.pixels, self.boxes.steps

    def batches(self, epoch: int) -> Iterator[tuple[Tensor, ...]]:
        """Normalised images, heat, reach, weight and label maps; the same for an epoch."""
        course = self.boxes
        for rows, images, windows in shuffled(
            course.learnt.images, course.spec, course.augment, course.settings, epoch
        ):
            yield images, *course.targets(course.learnt, rows, windows), self.pixels.targets(rows, windows)

    def loss(self, net: nn.Module, batch: tuple[Tensor, ...], _: float) -> Tensor:
        """What the trainer makes small."""
        images, *maps, labels = batch
        found, logits = net.raw(images)  # type: ignore[operator]  # a MultiTask
        return self.boxes.of_maps(found, maps) + self.weight * self.pixels.of_logits(logits.float(), labels)

    def check(self, net: nn.Module) -> dict[str, float]:
        """What each part comes to on the held-out pictures."""
        boxes, pixels = net.get_submodule("detector"), net.get_submodule("segmenter")
        found = {f"boxes_{k}": v for k, v in self.boxes.check(boxes).items()}
        told = {f"pixels_{k}": v for k, v in self.pixels.check(pixels).items()}
        both = found["boxes_held_loss"] + self.weight * told["pixels_held_loss"]
        return {"held_loss": both, **found, **told}

"""The two models of procedural scenes: how they are trained."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor, nn

from models.card import InputSpec
from models.export.losses import box_loss, dice_loss, heat_loss, pixel_loss
from models.export.nets.detector import Detector
from models.export.nets.segmenter import Segmenter
from models.export.pictures import ScenePictures, augment_colour
from models.export.train import Settings, train
from models.scenes import CLASSES

__all__ = ["DETECTOR", "INPUT", "SCENES", "SEGMENTER", "train_detector", "train_segmenter"]

INPUT = InputSpec(height=160, width=208, resize="letterbox", mean=(127.5,) * 3, std=(64.0,) * 3)
SCENES = 8000
DETECTOR = Settings(seed=11, epochs=16, batch=32, rate=3e-3, bfloat16=True)
SEGMENTER = Settings(seed=12, epochs=14, batch=32, rate=3e-3, bfloat16=True)


def train_detector(pictures: ScenePictures, settings: Settings, folder: Path) -> nn.Module:
    """A `Detector` of the scene classes; see `train` for settings and folder."""

    def loss(net: nn.Module, batch: tuple[Tensor, ...], _: float) -> Tensor:
        images, heat, reach, weight = batch
        logits, distances = net.raw(images)  # type: ignore[operator]  # a Detector
        return heat_loss(logits.float(), heat) + 2 * box_loss(distances.float(), reach, weight)

    def batches(epoch: int) -> Iterator[tuple[Tensor, ...]]:
        for rows, images, (across, down) in _shuffled(pictures, settings, epoch):
            heat, weight = pictures.heat[rows].float(), pictures.weight[rows].float()
            reach = pictures.reach[rows].float()
            if across:
                reach = reach[:, [2, 1, 0, 3]]
            if down:
                reach = reach[:, [0, 3, 2, 1]]
            yield images, *(_flipped(t, across, down) for t in (heat, reach, weight))

    steps = len(pictures.images) // settings.batch
    return train(lambda: Detector(len(CLASSES)), batches, loss, settings, folder=folder, steps=steps)


def train_segmenter(
    pictures: ScenePictures, settings: Settings, folder: Path, *, detector: nn.Module | None
) -> nn.Module:
    """A `Segmenter` of background and the scene classes; see `train` for settings and folder.

    Args:
        detector: a trained `Detector` whose backbone it starts from. Trained from nothing for
            10 epochs it reached 0.77 mIoU.
    """

    def start() -> nn.Module:
        net = Segmenter(1 + len(CLASSES))
        if detector is not None:
            net.backbone.load_state_dict(detector.get_submodule("backbone").state_dict())
        return net

    def loss(net: nn.Module, batch: tuple[Tensor, ...], _: float) -> Tensor:
        images, labels = batch
        logits = net(images).float()
        return pixel_loss(logits, labels) + dice_loss(logits, labels)

    def batches(epoch: int) -> Iterator[tuple[Tensor, ...]]:
        for rows, images, (across, down) in _shuffled(pictures, settings, epoch):
            yield images, _flipped(pictures.semantic[rows].long(), across, down)

    steps = len(pictures.images) // settings.batch
    return train(start, batches, loss, settings, folder=folder, steps=steps)


def _shuffled(
    pictures: ScenePictures, settings: Settings, epoch: int
) -> Iterator[tuple[Tensor, Tensor, tuple[bool, bool]]]:
    """Rows, their augmented and normalised images, and how they were flipped; the same for an epoch."""
    generator = torch.Generator().manual_seed(settings.seed * 1000 + epoch)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (INPUT.mean, INPUT.std))
    order = torch.randperm(len(pictures.images), generator=generator)
    for start in range(0, len(order) - settings.batch + 1, settings.batch):
        rows = order[start : start + settings.batch]
        across, down = (bool(v) for v in torch.rand(2, generator=generator) < 0.5)
        levels = augment_colour(pictures.images[rows], generator)
        images = _flipped((levels - mean) / std, across, down)
        layout = torch.channels_last if settings.bfloat16 else torch.contiguous_format
        yield rows, images.contiguous(memory_format=layout), (across, down)


def _flipped(tensor: Tensor, across: bool, down: bool) -> Tensor:
    axes = [axis for axis, wanted in ((-1, across), (-2, down)) if wanted]
    return tensor.flip(axes) if axes else tensor

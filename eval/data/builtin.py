"""Data that needs no download: handwritten digits and procedural scenes."""

from __future__ import annotations

import numpy as np

from eval.data.dataset import Dataset, Sample
from eval.errors import DatasetError
from eval.metrics.truth import Objects
from models.card import TaskName
from models.decoding import encode_png
from models.digits import LABELS, digits
from models.recipes.carriers import MissingCarrier
from models.scenes import CLASSES, scene

__all__ = ["digits_data", "scenes_data"]

SCENES = 500


def digits_data(split: str) -> Dataset:
    """`digits:test`, 1,000 pictures held out, or `digits:train`, 4,000; real MNIST digits."""
    if split not in ("train", "test"):
        raise DatasetError(f"digits must be digits:train or digits:test, got digits:{split}")
    try:
        images, labels = digits("train" if split == "train" else "test")
    except MissingCarrier as missing:
        raise DatasetError(str(missing)) from missing
    ids = [f"digits:{split}:{i:04d}" for i in range(len(images))]

    def load(index: int) -> Sample:
        return Sample(ids[index], encode_png(images[index]), int(labels[index]))

    return Dataset(f"digits:{split}", "classification", LABELS, ids, load, classes=np.asarray(labels))


def scenes_data(arguments: str, task: TaskName) -> Dataset:
    """`scenes:test` (500 scenes) or `scenes:test:2000`; for detection or segmentation."""
    split, _, count = arguments.partition(":")
    if split not in ("train", "test") or not (count or "1").isdecimal():
        raise DatasetError(f"scenes must be scenes:test or scenes:test:COUNT, got scenes:{arguments}")
    if task == "classification":
        raise DatasetError("scenes hold several objects: use them for detection or segmentation")
    ids = [f"scenes:{split}:{i:05d}" for i in range(int(count or SCENES))]
    labels = CLASSES if task == "detection" else ("background", *CLASSES)

    def load(index: int) -> Sample:
        drawn = scene(index, split="train" if split == "train" else "test")
        if task == "segmentation":
            return Sample(ids[index], encode_png(drawn.image), drawn.semantic)
        areas = drawn.masks.sum(axis=(1, 2)).astype(np.float64)
        truth = Objects(drawn.boxes.astype(np.float64), drawn.labels, areas, image=ids[index])
        return Sample(ids[index], encode_png(drawn.image), truth)

    return Dataset(f"scenes:{split}:{len(ids)}", task, labels, ids, load)

"""Sets by name: what is learnt from, what is held out, and the pictures that parity is proven on."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from models.digits import digits
from models.export.recipe import Data
from models.export.sets.bccd import bccd
from models.export.sets.camvid import camvid
from models.export.sets.cifar import cifar
from models.export.sets.objects import Objects
from models.export.sets.scenes import scene_objects
from models.results import Array

__all__ = ["LABELLED", "OBJECTS", "Labelled"]

Labelled: TypeAlias = tuple[Array, Array]  # images, labels
HELD_SCENES = 200  # of the curve; the claims are measured on others

# Pictures of one object: learnt, held out of the learning, test.
LABELLED: Mapping[str, Callable[[Data, str], Labelled]] = {
    "digits": lambda _, split: digits("train" if split == "train" else "test"),
    "cifar10": lambda data, split: cifar(data.root, split),
}
# Pictures of many objects.
OBJECTS: Mapping[str, Callable[[Data, str], list[Objects]]] = {
    "scenes": lambda data, split: (
        scene_objects(data.count) if split == "train" else scene_objects(HELD_SCENES, split="test")
    ),
    "bccd": lambda data, split: bccd(data.root, "train" if split == "train" else "val"),
    "camvid": lambda data, split: camvid(data.root, "train" if split == "train" else "val"),
}

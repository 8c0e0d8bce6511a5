"""How pictures are customarily prepared for each family: what nothing in a graph tells."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from models.card import TaskName

__all__ = ["Customs", "customs", "usual_size"]

Numbers = tuple[float, ...]
_ZEROS, _LEVELS, _UNIT = (0.0,) * 3, (1.0,) * 3, (255.0,) * 3
_IMAGENET: tuple[Numbers, Numbers] = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))
SMALL = 64  # a classifier's side up to which pictures are not photographs cut to their middle
SIZES: Mapping[TaskName, int] = {"classification": 224, "detection": 640, "segmentation": 512}


@dataclass(frozen=True, slots=True)
class Customs:
    """Defaults of one family; fields as in `InputSpec` and `Postprocess`.

    Attributes:
        whose: who does it so.
    """

    whose: str
    channels: Literal["RGB", "BGR"] = "RGB"
    mean: Numbers = _ZEROS
    std: Numbers = _UNIT
    resize: Literal["stretch", "letterbox", "crop"] = "stretch"
    align: Literal["centre", "top_left"] = "centre"
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    fill: int = 114
    crop_fraction: float = 1.0
    iou_threshold: float = 0.6


def _yolo(whose: str, iou_threshold: float = 0.6) -> Customs:
    return Customs(whose, resize="letterbox", iou_threshold=iou_threshold)


_SMALL = Customs("small classifiers")
_PHOTOGRAPHS = Customs("torchvision", mean=_IMAGENET[0], std=_IMAGENET[1], resize="crop", crop_fraction=0.875)
_KERAS = Customs("Keras", mean=(127.5,) * 3, std=(127.5,) * 3)
_PHOTOGRAPHS_WHOLE = Customs("quantised classifiers", resize="crop", crop_fraction=0.875)
_DEEPLAB = Customs("DeepLab", resize="letterbox", align="top_left", fill=127)
_SCENES = Customs("torchvision", mean=_IMAGENET[0], std=_IMAGENET[1])
_DETECTORS: Mapping[str, Customs] = {
    "dense": _yolo("YOLO-like detectors"),
    "yolov5": _yolo("YOLOv5"),
    "yolov8": _yolo("Ultralytics", 0.7),
    "yolov8-seg": _yolo("Ultralytics", 0.7),
    "yolov10": _yolo("Ultralytics"),
    "yolox": Customs("YOLOX", "BGR", std=_LEVELS, resize="letterbox", align="top_left", iou_threshold=0.65),
    "fastestdet": Customs("FastestDet", "BGR"),
    "centernet": Customs(
        "CenterNet", "BGR", (104.01, 113.98, 119.85), (73.69, 69.88, 70.89), "letterbox", fill=0
    ),
    "detr": Customs("DETR", mean=_IMAGENET[0], std=_IMAGENET[1]),
    "rtdetr": Customs("RT-DETR"),
    "torchvision": Customs("torchvision"),
    "maskrcnn": Customs("torchvision"),
    "ssd": Customs("SSD", mean=(127.5,) * 3, std=(127.5,) * 3),
}


def customs(task: TaskName, family: str, side: int, *, whole: bool, channels_last: bool) -> Customs:
    """What is usual for a family.

    Args:
        side: shorter one of the input, pixels.
        whole: the input takes whole numbers.
        channels_last: the input is NHWC, as TensorFlow has it.
    """
    if task == "detection":
        return _DETECTORS[family]
    if task == "segmentation":
        return _DEEPLAB if whole else _KERAS if channels_last else _SCENES
    if side <= SMALL:
        return _SMALL
    return _PHOTOGRAPHS_WHOLE if whole else _KERAS if channels_last else _PHOTOGRAPHS


def usual_size(task: TaskName | None) -> int:
    """Side of the input where the graph takes any."""
    return SIZES[task or "detection"]

"""The card that travels with the weights: input, labels, licence, digests, claims, golden pair.

A card is `card.json` beside `model.onnx`. It is the only description of a model that the
server, the exporter and the evaluation client share.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, model_validator

__all__ = ["Claim", "Golden", "InputSpec", "ModelCard", "Postprocess", "TaskName"]

TaskName: TypeAlias = Literal["classification", "detection", "segmentation"]
NAME_PATTERN = r"^[a-z0-9][a-z0-9_.-]{0,63}$"  # safe as a path segment, a URL segment and a label


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class InputSpec(_Frozen):
    """What the graph expects, and how an image gets there.

    Attributes:
        name: the graph's input.
        height, width: pixels of the input.
        resize: `stretch` ignores the aspect; `letterbox` keeps it, places the image by `align` and
            pads with `fill`; `crop` keeps it and cuts the middle out of an image whose short side was
            scaled to size / `crop_fraction`.
        align: where a letterbox has the image: in the middle, or at the top left (YOLOX).
        mean, std: one number per channel in 8-bit levels; a float input is (x - mean) / std.
        dtype: of the graph's input. Inputs of whole numbers get the plain levels, no mean or std.
        scaled_decode: JPEGs much larger than the input are decoded at a few eighths of their size.
            Faster; the answers change a little, so it is off unless somebody measured by how much.
    """

    name: str = "images"
    height: int = Field(ge=1, le=8192)
    width: int = Field(ge=1, le=8192)
    layout: Literal["NCHW", "NHWC"] = "NCHW"
    dtype: Literal["float32", "float16", "float64", "uint8", "int32", "int64"] = "float32"
    channels: Literal["RGB", "BGR", "L"] = "RGB"
    resize: Literal["stretch", "letterbox", "crop"] = "stretch"
    align: Literal["centre", "top_left"] = "centre"
    interpolation: Literal["nearest", "bilinear", "bicubic"] = "bilinear"
    scaled_decode: bool = False
    crop_fraction: float = Field(1.0, gt=0, le=1)
    fill: int = Field(114, ge=0, le=255)
    mean: tuple[float, ...] = (0.0, 0.0, 0.0)
    std: tuple[float, ...] = (255.0, 255.0, 255.0)

    @model_validator(mode="after")
    def _one_number_per_channel(self) -> Self:
        want = 1 if self.channels == "L" else 3
        for name, numbers in (("mean", self.mean), ("std", self.std)):
            if len(numbers) != want:
                raise ValueError(f"{name} must have {want} numbers, got {len(numbers)}")
        if 0.0 in self.std:
            raise ValueError("std must not be zero")
        return self


class Postprocess(_Frozen):
    """How raw detection outputs become boxes.

    Attributes:
        score_threshold: boxes below it never leave the server; low, so that AP can be measured.
        iou_threshold: same-class boxes that overlap more are suppressed.
        class_agnostic: boxes of other classes are suppressed too.
        max_detections: most boxes an answer holds.
        activated: the graph ends in the step that others of its family leave to their reader: the
            sigmoid (`centernet`, `rtdetr`), or the boxes in pixels (`yolox`, and YOLOv6 so).
        box_order: of the corners that `ssd` gives, as TensorFlow or as everybody else has them.
        first_label: what the graph calls `labels[0]`: 1 where it counts a background that `labels` leaves
            out (`torchvision`, `maskrcnn`, `ssd`, `yolov10`). What lies below is dropped.
    """

    score_threshold: float = Field(0.01, ge=0, le=1)
    iou_threshold: float = Field(0.6, ge=0, le=1)
    class_agnostic: bool = False
    max_detections: int = Field(100, ge=1, le=1000)
    activated: bool = False
    box_order: Literal["yxyx", "xyxy"] = "yxyx"
    first_label: int = Field(0, ge=0)


class Claim(_Frozen):
    """A score the publisher states; the evaluation of the live endpoint must reproduce it.

    Attributes:
        metric: the evaluation's own name of it, e.g. `accuracy`, `ap50`, `miou`.
        value: a fraction.
        support: images it was measured on.
        data: the data argument that reproduces it, e.g. `digits:test`.
    """

    metric: str
    value: float
    support: int = Field(ge=1)
    data: str


class Golden(_Frozen):
    """One image and the raw outputs it gave at export; see `models.repository.prove`.

    Attributes:
        file: an .npz beside the card with `image` uint8 `(H, W, 3)` and `output_0`, `output_1` ...
        sha256: of that file.
        tolerance: largest absolute difference allowed on another machine.
    """

    file: str = Field("golden.npz", pattern=r"^[a-z0-9_]+\.npz$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    tolerance: float = Field(1e-3, gt=0)


class ModelCard(_Frozen):
    """Everything about one version of one model that is not a weight.

    Attributes:
        family: how raw outputs are read; one of `models.families.tables.FAMILIES[task]`.
        outputs: graph outputs in the order the family reads them.
        labels: class names, index = class. Segmentation: index 0 is what the model calls it.
        sha256: of `model.onnx`.
        max_batch: most images in one run of the graph.
        training: seed, data and settings that made the weights.
    """

    schema_version: Literal[1] = 1
    name: str = Field(pattern=NAME_PATTERN)
    version: int = Field(ge=1)
    task: TaskName
    family: str
    description: str = ""
    input: InputSpec
    outputs: tuple[str, ...] = Field(min_length=1)
    labels: tuple[str, ...] = Field(min_length=1)
    postprocess: Postprocess = Postprocess()
    licence: str
    source: str = ""
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    golden: Golden | None = None
    claims: tuple[Claim, ...] = ()
    max_batch: int = Field(32, ge=1, le=1024)
    training: dict[str, str | int | float] = {}

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read `card.json`. Raises OSError, or pydantic's ValidationError naming the field."""
        return cls.model_validate_json(path.read_bytes())

    def write(self, path: Path) -> None:
        """Write `card.json`, stable to the byte for equal cards."""
        path.write_text(self.model_dump_json(indent=2) + "\n", encoding="utf-8")

"""The detectors by name: the shapes of their outputs, and the function that reads them."""

from __future__ import annotations

from collections.abc import Mapping

from models.families import grid_detectors as grid
from models.families import grids, masks
from models.families import picked_detectors as picked
from models.families.family import FLOATS, NUMBERS, WHOLES, Family
from models.families.found import Found

__all__ = ["DETECTION"]

_F1, _F2, _F3 = (FLOATS,), (FLOATS,) * 2, (FLOATS,) * 3
_ALL = (
    Family(
        "dense", "detection", "two outputs: boxes (N, P, 4) xyxy in pixels, scores (N, P, C)",
        (("P 4", "P C"),), _F2, grid.dense,
    ),
    Family(
        "yolov5", "detection",
        "one output (N, P, 5 + C), three rows a cell: cx, cy, w, h in pixels, objectness, class scores",
        (("P 5+C",),), _F1, grid.yolov5, grids.of_anchors,
    ),
    Family(
        "yolov8", "detection",
        "one output (N, 4 + C, P), one column a cell: cx, cy, w, h in pixels, class scores",
        (("4+C P",),), _F1, grid.yolov8, grids.of_cells,
    ),
    Family(
        "yolox", "detection",
        "one output (N, P, 5 + C), one row a cell: offsets, log sizes, objectness, class scores",
        (("P 5+C",),), _F1, grid.yolox, grids.of_cells,
    ),
    Family(
        "yolov10", "detection", "one output (N, P, 6) of picked boxes: xyxy in pixels, score, label",
        (("P 6",),), _F1, picked.yolov10, grids.picked,
    ),
    Family(
        "fastestdet", "detection",
        "one output (N, 5 + C, h, w): objectness, offsets x, y and sizes w, h before tanh and sigmoid, "
        "class scores",
        (("5+C h w",),), _F1, grid.fastestdet, grids.one_stride,
    ),
    Family(
        "centernet", "detection",
        "three outputs: heat (N, C, h, w), sizes (N, 2, h, w) and offsets (N, 2, h, w), x first, in cells",
        (("C h w", "2 h w", "2 h w"),), _F3, grid.centernet, grids.one_stride,
    ),
    Family(
        "detr", "detection",
        "two outputs: logits (N, Q, C + 1), the last one no object, boxes (N, Q, 4) cx, cy, w, h from 0 to 1",
        (("Q C+1", "Q 4"),), _F2, picked.detr,
    ),
    Family(
        "rtdetr", "detection",
        "two outputs: logits (N, Q, C) before a sigmoid, boxes (N, Q, 4) cx, cy, w, h from 0 to 1",
        (("Q C", "Q 4"),), _F2, picked.rtdetr,
    ),
    Family(
        "torchvision", "detection",
        "three outputs without a batch axis: boxes (M, 4) xyxy in pixels, labels (M) of whole numbers, "
        "scores (M)",
        (("M 4", "M", "M"),), (FLOATS, WHOLES, FLOATS), picked.torchvision, batched=False,
    ),
    Family(
        "maskrcnn", "detection",
        "four outputs without a batch axis: those of torchvision and masks (M, 1, m, m)",
        (("M 4", "M", "M", "M 1 m m"),), (FLOATS, WHOLES, FLOATS, FLOATS), masks.maskrcnn, masks=True,
        batched=False,
    ),
    Family(
        "ssd", "detection",
        "three or four outputs: boxes (N, M, 4) from 0 to 1, labels (N, M), scores (N, M), and the count (N)",
        (("M 4", "M", "M"), ("M 4", "M", "M", ""), ("M 4", "M", "M", "1")),
        (FLOATS, NUMBERS, FLOATS, NUMBERS), picked.ssd,
    ),
    Family(
        "yolov8-seg", "detection",
        "two outputs: (N, 4 + C + M, P) as yolov8 with M weights each, and M prototypes (N, M, h, w)",
        (("4+C+M P", "M h w"),), _F2, masks.yolov8_seg, grids.of_cells, masks=True,
    ),
)  # fmt: skip
DETECTION: Mapping[str, Family[Found]] = {family.name: family for family in _ALL}

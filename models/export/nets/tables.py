"""Nets by name, each made from the number of classes and its options."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from models.export.nets.detector import Detector
from models.export.nets.digits import DigitsNet
from models.export.nets.multitask import MultiTask
from models.export.nets.residual import ResidualNet
from models.export.nets.segmenter import Segmenter

__all__ = ["NETS"]

NETS: Mapping[str, Callable[..., nn.Module]] = {
    "digits": DigitsNet,
    "residual": ResidualNet,
    "detector": Detector,
    "segmenter": Segmenter,
    "multitask": MultiTask,
}

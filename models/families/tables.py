"""Every family by task and name; a card's `family` is one of these."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models.card import TaskName
from models.families.classification import CLASSIFICATION
from models.families.detection import DETECTION
from models.families.family import Family
from models.families.segmentation import SEGMENTATION

__all__ = ["FAMILIES"]

FAMILIES: Mapping[TaskName, Mapping[str, Family[Any]]] = {
    "classification": CLASSIFICATION,
    "detection": DETECTION,
    "segmentation": SEGMENTATION,
}

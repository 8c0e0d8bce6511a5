"""Tasks by name. A new task is one file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from models.card import ModelCard, TaskName
from models.results import Result
from models.tasks.base import Predictor, Runner, Task
from models.tasks.classify import Classify
from models.tasks.detect import Detect
from models.tasks.segment import Segment

__all__ = ["TASKS", "Predictor", "Runner", "Task"]

TASKS: Mapping[TaskName, Callable[[ModelCard], Task[Result]]] = {
    "classification": Classify,
    "detection": Detect,
    "segmentation": Segment,
}

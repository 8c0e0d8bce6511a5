"""Data by name: `digits:test`, `scenes:test:500`, `folder:PATH`, `voc:ROOT` ..., see `READERS`."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

from eval.data.archive import tar_data
from eval.data.builtin import digits_data, scenes_data
from eval.data.coco import coco_data
from eval.data.dataset import Dataset
from eval.data.files import folder_data
from eval.data.masks import masks_data
from eval.data.rows import lines_data, table_data
from eval.data.voc import voc_data
from eval.data.yolo import yolo_data
from eval.errors import DatasetError
from models.card import TaskName

__all__ = ["READERS", "located", "open_data"]

DATA_DIR = "ASSAY_DATA_DIR"

READERS: Mapping[str, Callable[[str, TaskName], Dataset]] = {
    "digits": lambda argument, _: digits_data(argument),
    "scenes": scenes_data,
    "folder": lambda argument, _: folder_data(argument),
    "tar": lambda argument, _: tar_data(argument),
    "csv": lambda argument, _: table_data(argument),
    "jsonl": lines_data,
    "coco": lambda argument, _: coco_data(argument),
    "voc": voc_data,
    "yolo": lambda argument, _: yolo_data(argument),
    "masks": lambda argument, _: masks_data(argument),
}


def located(data_name: str) -> str:
    """The name with the folder of this machine in the place of `$ASSAY_DATA_DIR`."""
    return data_name.replace(f"${DATA_DIR}", os.environ.get(DATA_DIR, "../shared/data"))


def open_data(name: str, task: TaskName) -> Dataset:
    """The data set called `KIND:ARGUMENT`, for a task. Cards name data on disk below `$ASSAY_DATA_DIR`.

    Raises:
        DatasetError: no such kind, the data is not what it should be, or it is of another task.
    """
    kind, _, argument = located(name).partition(":")
    if kind not in READERS or not argument:
        raise DatasetError(f"data must be KIND:ARGUMENT with KIND one of {', '.join(READERS)}, got {name!r}")
    data = READERS[kind](argument, task)
    if data.task != task:
        raise DatasetError(f"{name} is for {data.task}; what is asked for is {task}")
    return data

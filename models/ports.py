"""The inputs and outputs of a graph: names, types, sizes."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

__all__ = ["Port"]


@dataclass(frozen=True, slots=True)
class Port:
    """One input or output of a graph.

    Attributes:
        dtype: of its elements; object where it is text.
        shape: sizes, outermost first; -1 where any size goes.
        row_bytes: bytes of one row, all sizes but the first; -1 where they are not fixed.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    row_bytes: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        fixed = -1 not in self.shape[1:] and self.dtype.kind != "O"
        object.__setattr__(
            self, "row_bytes", self.dtype.itemsize * math.prod(self.shape[1:]) if fixed else -1
        )

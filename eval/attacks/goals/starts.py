"""Pictures that an attack may walk back from, read when it begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import overload

from models.card import InputSpec
from models.imaging import fit
from models.results import Array

__all__ = ["Starts"]


@dataclass(frozen=True, slots=True)
class Starts(Sequence[Array]):
    """Some pictures of the data at the size of another, stretched where theirs is not.

    Attributes:
        pictures: uint8 RGB `(H, W, 3)`, all of the data.
        place: of the picture whose size they get.
        places: of theirs.
    """

    pictures: Sequence[Array]
    place: int
    places: tuple[int, ...]

    def __len__(self) -> int:
        return len(self.places)

    @overload
    def __getitem__(self, index: int) -> Array: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Array]: ...

    def __getitem__(self, index: int | slice) -> Array | Sequence[Array]:
        if isinstance(index, slice):
            return Starts(self.pictures, self.place, self.places[index])
        height, width = self.pictures[self.place].shape[:2]
        start = self.pictures[self.places[index]]
        if start.shape[:2] == (height, width):
            return start
        return fit(start, InputSpec(height=height, width=width, layout="NHWC", dtype="uint8"))

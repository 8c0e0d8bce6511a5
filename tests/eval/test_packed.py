"""What is packed comes back bit for bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.packed import pack, unpack
from models.results import Array, Classification, Detections, Result, Segmentation

RNG = np.random.default_rng(0)


def detections(count: int, masks: bool) -> Detections:
    boxes = RNG.random((count, 4), np.float32)
    shapes = RNG.random((count, 7, 5)) < 0.5 if masks else None
    return Detections(boxes, RNG.random(count, np.float32), RNG.integers(0, 9, count), shapes)


ANSWERS: dict[str, Result] = {
    "classification": Classification(RNG.random(10, np.float32)),
    "float64": Classification(RNG.random(3)),
    "denormal": Classification(np.array([1e-45, 0.0, -0.0], np.float32)),
    "detections": detections(4, masks=False),
    "nothing found": Detections.empty(),
    "masks": detections(3, masks=True),
    "no masks found": detections(0, masks=True),
    "segmentation": Segmentation(RNG.integers(0, 3, (6, 9)).astype(np.uint8)),
    "one pixel": Segmentation(np.array([[7]], np.int64)),
}


def columns(answer: Result) -> dict[str, Array | None]:
    return {name: getattr(answer, name) for name in answer.__dataclass_fields__}


@pytest.mark.parametrize("name", ANSWERS)
def test_comes_back_bit_for_bit(name: str) -> None:
    before, after = ANSWERS[name], unpack(pack(ANSWERS[name]))
    assert type(after) is type(before)
    for key, column in columns(before).items():
        kept = columns(after)[key]
        if column is None:
            assert kept is None
        else:
            assert kept is not None
            assert (kept.dtype, kept.shape, kept.tobytes()) == (column.dtype, column.shape, column.tobytes())


def test_a_map_takes_little_room() -> None:
    labels = np.zeros((500, 500), np.int64)
    labels[100:300, 100:300] = 3
    assert len(pack(Segmentation(labels))) < 10_000


@given(st.binary(max_size=60))
def test_other_bytes_are_refused(noise: bytes) -> None:
    with pytest.raises(ValueError, match="not a packed answer"):
        unpack(noise)


@pytest.mark.parametrize("name", sorted(ANSWERS.keys() - {"nothing found", "no masks found"}))
def test_bytes_that_were_cut_are_refused(name: str) -> None:
    packed = pack(ANSWERS[name])
    for cut in (1, 3):
        with pytest.raises(ValueError, match="not a packed answer"):
            unpack(packed[:-cut])

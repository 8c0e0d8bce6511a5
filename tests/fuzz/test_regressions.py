"""What fuzzing has found; each must stay found."""

from __future__ import annotations

import struct
import time
import tracemalloc
import zlib
from typing import Any, Literal

import numpy as np
import pytest

from models.card import InputSpec, ModelCard
from models.decoding import is_small
from models.imaging import fit, parts, place, resample
from models.tasks.segment import Segment
from models.tensors import BadTensor, read_json, read_raw

WHOLE: dict[str, Any] = {"height": 224, "width": 224, "resize": "crop", "crop_fraction": 0.875}


@pytest.mark.parametrize("shape", [(0, 1 << 62, 1 << 62), (0, 1 << 63), (0, 1 << 31, 1 << 40)])
def test_a_shape_too_large_to_be_counted_is_refused_though_it_holds_nothing(shape: tuple[int, ...]) -> None:
    """NumPy raises its own ValueError, and the answer was 500."""
    with pytest.raises(BadTensor, match="at most"):
        read_raw("images", "FP32", shape, memoryview(b""))
    with pytest.raises(BadTensor, match="at most"):
        read_json("images", "FP32", shape, [])


def test_half_of_a_surrogate_pair_is_no_text() -> None:
    with pytest.raises(BadTensor, match="must be text"):
        read_json("images", "BYTES", (1,), ["\ud800"])


@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("shape", [(1, 200_000), (200_000, 1), (3, 70_000)])
def test_a_thin_picture_is_cropped_at_once(shape: tuple[int, int], interpolation: str) -> None:
    """Scaled before it was cropped, one row of 20,000 pixels took 17 seconds and 5 GB."""
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3), dtype=np.uint8)
    spec = InputSpec(**WHOLE, interpolation=interpolation)
    began = time.perf_counter()
    made = fit(image, spec)
    assert time.perf_counter() - began < 1
    # Of so thin a picture only its middle is seen, so its middle alone gives the same.
    rows, columns = (min(side, 600) for side in shape)
    top, left = (shape[0] - rows) // 2, (shape[1] - columns) // 2
    middle = fit(image[top : top + rows, left : left + columns], spec)
    assert np.abs(made - middle).max() <= 4 / 255  # levels: positions are rounded differently


@pytest.mark.parametrize("shape", [(160, 208), (1, 1), (700, 900), (2, 40_000), (40_000, 2)])
@pytest.mark.parametrize("resize", ["letterbox", "stretch", "crop"])
def test_a_label_map_is_made_in_parts_that_change_nothing(
    shape: tuple[int, int], resize: Literal["letterbox", "stretch", "crop"]
) -> None:
    spec = InputSpec(height=160, width=208, resize=resize)
    planes = np.random.default_rng(1).random((3, 40, 52), dtype=np.float32)
    whole = resample(planes, place(shape, spec), spec, shape)
    made = np.full(whole.shape, np.nan, np.float32)
    for part in parts(shape):
        made[:, *part] = resample(planes, place(shape, spec), spec, shape, part)
    assert np.array_equal(made, whole)


@pytest.mark.parametrize("shape", [(200_000, 1), (1, 200_000), (1500, 1500)])
def test_a_label_map_takes_little_more_memory_than_it_has_pixels(shape: tuple[int, int]) -> None:
    """Of a picture of 24 million rows the scores wanted 65 GB, and the answer was 500."""
    spec = InputSpec(height=160, width=208, resize="letterbox")
    planes = np.random.default_rng(1).random((7, 160, 208), dtype=np.float32)
    card = ModelCard(
        name="shade",
        version=1,
        task="segmentation",
        family="logits",
        input=spec,
        outputs=("logits",),
        labels=tuple("abcdefg"),
        licence="Apache-2.0",
        sha256="0" * 64,
    )
    tracemalloc.start()
    labels = Segment(card).interpret([planes], shape).labels
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert labels.shape == shape
    assert peak < 40_000_000


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def test_a_picture_with_two_headers_or_packed_text_is_not_called_small() -> None:
    """Three kilobytes that say 10 x 10 first and 4900 x 4900 then were decoded on the event loop: 0.4 s."""
    head, large = (struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0) for side in (10, 4900))
    rows = chunk(b"IDAT", zlib.compress(bytes(11 * 10))) + chunk(b"IEND", b"")
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
    assert is_small(start + rows)
    assert is_small(memoryview(start + rows))
    assert not is_small(start + chunk(b"IHDR", large) + rows)
    for name in (b"zTXt", b"iTXt", b"iCCP"):
        assert not is_small(start + chunk(name, b"a\0\0") + rows)

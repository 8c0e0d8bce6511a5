"""NVIDIA's client of the Open Inference Protocol, and a live service for it to ask."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image
from tritonclient.http import InferInput
from tritonclient.utils import np_to_triton_dtype

from models.results import Array

KEY = {"authorization": "Bearer an-admin-key-of-tests"}


def given(values: Array, *, binary: bool = True, name: str = "images") -> InferInput:
    """The client's own words for a tensor; objects are BYTES."""
    told = InferInput(name, list(values.shape), np_to_triton_dtype(values.dtype))
    return told.set_data_from_numpy(values, binary_data=binary)


def tensor(dtype: str = "float32", count: int = 2) -> Array:
    levels = np.random.default_rng(0).uniform(1, 120, (count, 3, 8, 8))
    return levels.astype(dtype)


def jpeg(seed: int = 0) -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(seed).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG")
    return buffer.getvalue()


def files(*pictures: bytes) -> Array:
    return np.array(pictures, dtype=np.object_)

"""Reads the weights in a PyTorch file without PyTorch and without running what is in it.

A checkpoint is a pickle, and a pickle can run anything. This reader knows three names and
refuses every other, so it can only ever build dictionaries and arrays. Both forms are read
as published in `torch/serialization.py`: the old one (pickles, then raw storages) that many
released weights still have. The newer zip form is refused with advice.
"""

from __future__ import annotations

import pickle
import struct
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from models.results import Array

__all__ = ["UnsafeWeights", "read_weights"]

MAGIC = 0x1950A86A20F9469CFC6C  # first pickle of an old-form file
PROTOCOL = 1001
MAX_BYTES = 1 << 31  # of one storage: a forged length must not allocate the machine
_DTYPES = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ByteStorage": np.dtype("u1"),
}


class UnsafeWeights(ValueError):
    """The file is not plain weights: it names code, or its layout is not the known one."""


class _Storage:
    """A typed run of numbers, filled in after the pickle that mentions it."""

    def __init__(self, dtype: np.dtype[Any], count: int) -> None:
        self.numbers = np.zeros(0, dtype)
        self.dtype, self.count = dtype, count


class _Tensor:
    """A view of a storage; becomes an array when the storages are read."""

    def __init__(self, storage: _Storage, offset: int, shape: Sequence[int], stride: Sequence[int]) -> None:
        self.storage, self.offset = storage, offset
        self.shape, self.stride = tuple(map(int, shape)), tuple(map(int, stride))

    def array(self) -> Array:
        span = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.stride, strict=True)) + 1
        if 0 in self.shape:
            return np.zeros(self.shape, self.storage.dtype)
        if self.offset < 0 or min(self.stride, default=0) < 0 or span > self.storage.count:
            raise UnsafeWeights(f"a tensor of shape {self.shape} must lie inside its storage")
        bytes_each = self.storage.dtype.itemsize
        strides = tuple(step * bytes_each for step in self.stride)
        return np.lib.stride_tricks.as_strided(
            self.storage.numbers[self.offset :], self.shape, strides, writeable=False
        ).copy()


def _rebuild(
    storage: _Storage, offset: int, shape: Sequence[int], stride: Sequence[int], *_: object
) -> _Tensor:
    return _Tensor(storage, int(offset), shape, stride)


class _Reader(pickle.Unpickler):
    """An unpickler that knows only dictionaries, tensors and storages."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        raise UnsafeWeights(f"the weights file names {module}.{name}; only plain tensors are read")

    def persistent_load(self, pid: Any) -> _Storage:
        plain = isinstance(pid, tuple) and len(pid) >= 5 and pid[5:] in ((), (None,))
        if not plain or pid[0] != "storage":
            raise UnsafeWeights(f"storages must be plain, got {pid!r}"[:200])
        _, dtype, key, _, count = pid[:5]
        if not 0 <= count * dtype.itemsize <= MAX_BYTES:
            raise UnsafeWeights(f"a storage must hold at most {MAX_BYTES} bytes, got {count} numbers")
        return self.storages.setdefault(str(key), _Storage(dtype, int(count)))


def read_weights(path: Path) -> dict[str, Array]:
    """Parameter name -> array, from a `state_dict` saved by PyTorch before its zip form.

    Raises:
        UnsafeWeights: anything but dictionaries of tensors; nothing in the file was run.
    """
    with path.open("rb") as file:
        if file.read(2) == b"PK":
            raise UnsafeWeights(
                f"{path.name} has the newer zip form; save it with _use_new_zipfile_serialization=False"
            )
        file.seek(0)
        try:
            return _read(file)
        except (pickle.UnpicklingError, EOFError, struct.error, AttributeError, TypeError, KeyError) as error:
            raise UnsafeWeights(f"{path.name} is not a weights file: {error}") from error


def _read(file: BinaryIO) -> dict[str, Array]:
    header = [_Reader(file).load() for _ in range(3)]  # magic, protocol, word sizes
    if header[:2] != [MAGIC, PROTOCOL]:
        raise UnsafeWeights(f"a weights file must begin with {MAGIC:#x}, got {header[:2]!r}"[:200])
    reader = _Reader(file)
    tensors = reader.load()
    for key in _Reader(file).load():
        (count,) = struct.unpack("<q", file.read(8))
        storage = reader.storages[str(key)]
        if count != storage.count:
            raise UnsafeWeights(f"storage {key} must hold {storage.count} numbers, got {count}")
        storage.numbers = np.frombuffer(_exactly(file, count * storage.dtype.itemsize), storage.dtype)
    return {str(name): tensor.array() for name, tensor in tensors.items() if isinstance(tensor, _Tensor)}


def _exactly(file: BinaryIO, size: int) -> bytes:
    data = file.read(size)
    if len(data) != size:
        raise UnsafeWeights(f"the file ends early: {size} bytes must follow, got {len(data)}")
    return data

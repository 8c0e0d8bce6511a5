"""Reads the weights in a PyTorch file without PyTorch and without running what is in it.

A checkpoint is a pickle, and a pickle can run anything. This reader knows a few names and
refuses every other, so it can only ever build dictionaries and arrays. Both forms are read as
published in `torch/serialization.py`: the old one (pickles, then raw storages) that many
released weights still have, and the zip form of today (`data.pkl` and a member for each
storage). What a small file can make is bounded by the file: members of a zip must not be
compressed, and arrays together hold at most `SHARING` times its bytes.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
import struct
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from models.results import Array

__all__ = ["UnsafeWeights", "read_weights"]

MAGIC = 0x1950A86A20F9469CFC6C  # first pickle of an old-form file
PROTOCOL = 1001
ZIP = b"PK\x03\x04"
MAX_BYTES = 1 << 31  # of a file: it is read as a whole
MAX_MEMO = 1 << 20  # the unpickler makes room for every number below the one a pickle writes
SHARING = 4  # tensors may share a storage, as tied weights do; each becomes an array of its own
_DTYPES: Mapping[str, np.dtype[Any]] = {
    "FloatStorage": np.dtype("<f4"),
    "DoubleStorage": np.dtype("<f8"),
    "HalfStorage": np.dtype("<f2"),
    "LongStorage": np.dtype("<i8"),
    "IntStorage": np.dtype("<i4"),
    "ShortStorage": np.dtype("<i2"),
    "CharStorage": np.dtype("i1"),
    "ByteStorage": np.dtype("u1"),
    "BoolStorage": np.dtype("?"),
}
_BROKEN = (
    pickle.UnpicklingError,
    zipfile.BadZipFile,
    struct.error,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RuntimeError,
    TypeError,
    ValueError,
)


class UnsafeWeights(ValueError):
    """The file is not plain weights: it names code, or its layout is not the known one."""


class _Sealed:
    """A pickle may set the attributes of anything it holds; not of these."""

    def __setstate__(self, state: object) -> None:
        raise UnsafeWeights("the weights file sets attributes of a tensor; only plain tensors are read")


class _Storage(_Sealed):
    """A typed run of numbers, filled in after the pickle that mentions it."""

    def __init__(self, dtype: np.dtype[Any], count: int) -> None:
        self.numbers = np.zeros(0, dtype)
        self.dtype, self.count = dtype, count


class _Tensor(_Sealed):
    """A view of a storage; becomes an array when the storages are read."""

    def __init__(self, storage: _Storage, offset: int, shape: Sequence[int], stride: Sequence[int]) -> None:
        if not isinstance(storage, _Storage):
            raise UnsafeWeights(f"a tensor must view a storage, got {storage!r}"[:200])
        self.storage, self.offset = storage, offset
        self.shape, self.stride = tuple(map(int, shape)), tuple(map(int, stride))

    @property
    def size(self) -> int:
        """Bytes of the array it becomes."""
        return math.prod(self.shape) * self.storage.dtype.itemsize

    def array(self) -> Array:
        span = self.offset + sum((n - 1) * s for n, s in zip(self.shape, self.stride, strict=True)) + 1
        if 0 in self.shape:
            return np.zeros(self.shape, self.storage.dtype)
        numbers = self.storage.numbers
        if min((self.offset, *self.shape, *self.stride)) < 0 or span > len(numbers):
            raise UnsafeWeights(f"a tensor of shape {self.shape} must lie inside its storage")
        strides = tuple(step * numbers.itemsize for step in self.stride)
        view = np.lib.stride_tricks.as_strided(numbers[self.offset :], self.shape, strides, writeable=False)
        return view.astype(self.storage.dtype)


class _Reader(pickle.Unpickler):
    """An unpickler that knows only dictionaries, tensors and storages."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__(file)
        self.storages: dict[str, _Storage] = {}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if module == "torch._utils" and name in ("_rebuild_tensor", "_rebuild_tensor_v2"):
            return self._rebuild
        if module == "torch" and name in _DTYPES:
            return name
        raise UnsafeWeights(f"the weights file names {module}.{name}; only plain tensors are read")

    def persistent_load(self, pid: Any) -> _Storage:
        plain = isinstance(pid, tuple) and len(pid) >= 5 and pid[5:] in ((), (None,))
        if not plain or pid[0] != "storage":
            raise UnsafeWeights(f"storages must be plain, got {pid!r}"[:200])
        _, kind, key, _, count = pid[:5]
        dtype = _DTYPES[kind]
        if not 0 <= count * dtype.itemsize <= MAX_BYTES:
            raise UnsafeWeights(f"a storage must hold at most {MAX_BYTES} bytes, got {count} numbers")
        return self.storages.setdefault(str(key), _Storage(dtype, int(count)))

    def _rebuild(
        self, storage: _Storage, offset: int, shape: Sequence[int], stride: Sequence[int], *_: object
    ) -> _Tensor:
        return _Tensor(storage, int(offset), shape, stride)


def read_weights(path: Path) -> dict[str, Array]:
    """Parameter name -> array, from a `state_dict` saved by PyTorch, alone or in a checkpoint.

    A checkpoint is a dictionary with `state_dict` among its keys. Values that are no tensors are left out.

    Raises:
        UnsafeWeights: anything but dictionaries of tensors; nothing in the file was run.
        OSError: the file cannot be read.
    """
    if (size := path.stat().st_size) > MAX_BYTES:
        raise UnsafeWeights(f"{path.name} must have at most {MAX_BYTES} bytes, got {size}")
    data = path.read_bytes()
    try:
        read = _read_zip if data.startswith(ZIP) else _read_old
        return _arrays(read(io.BytesIO(data)), SHARING * len(data))
    except UnsafeWeights:
        raise
    except _BROKEN as error:
        raise UnsafeWeights(f"{path.name} is not a weights file: {error}") from error


def _arrays(saved: object, most: int) -> dict[str, Array]:
    if isinstance(saved, dict) and isinstance(saved.get("state_dict"), dict):
        saved = saved["state_dict"]
    if not isinstance(saved, dict):
        raise UnsafeWeights(f"a weights file must hold a dictionary of tensors, got {type(saved).__name__}")
    tensors = {str(name): tensor for name, tensor in saved.items() if isinstance(tensor, _Tensor)}
    if (size := sum(tensor.size for tensor in tensors.values())) > most:
        raise UnsafeWeights(f"the tensors must have at most {SHARING} times the file's bytes, got {size}")
    return {name: tensor.array() for name, tensor in tensors.items()}


def _load(file: BinaryIO) -> tuple[Any, dict[str, _Storage]]:
    """The next pickle of a file, and the storages it mentions."""
    start = file.tell()
    with warnings.catch_warnings(action="ignore"):  # of odd escapes in names; they are refused below
        for code, argument, _ in pickletools.genops(file):
            if code.name in ("PUT", "BINPUT", "LONG_BINPUT") and int(argument or 0) >= MAX_MEMO:
                raise UnsafeWeights(f"a pickle must number fewer than {MAX_MEMO} things, got {argument}")
    file.seek(start)
    reader = _Reader(file)
    return reader.load(), reader.storages


def _read_old(file: BinaryIO) -> object:
    header = [_load(file)[0] for _ in range(3)]  # magic, protocol, word sizes
    if header[:2] != [MAGIC, PROTOCOL]:
        raise UnsafeWeights(f"a weights file must begin with {MAGIC:#x}, got {header[:2]!r}"[:200])
    saved, storages = _load(file)
    for key in _load(file)[0]:
        (count,) = struct.unpack("<q", file.read(8))
        storage = storages[str(key)]
        if count != storage.count:
            raise UnsafeWeights(f"storage {key} must hold {storage.count} numbers, got {count}")
        storage.numbers = _numbers(file.read(count * storage.dtype.itemsize), storage, str(key))
    return saved


def _read_zip(file: io.BytesIO) -> object:
    with zipfile.ZipFile(file) as archive:
        members = {info.filename: info for info in archive.infolist()}
        stored = all(i.compress_type == zipfile.ZIP_STORED for i in members.values())
        if not stored or sum(i.file_size for i in members.values()) > file.getbuffer().nbytes:
            raise UnsafeWeights("the members of a weights file must lie in it as they are, not compressed")
        roots = [name.removesuffix("data.pkl") for name in members if name.split("/")[1:] == ["data.pkl"]]
        if len(roots) != 1:
            raise UnsafeWeights(f"a weights file must have one data.pkl in one folder, got {len(roots)}")
        saved, storages = _load(io.BytesIO(archive.read(roots[0] + "data.pkl")))
        order = archive.read(roots[0] + "byteorder") if roots[0] + "byteorder" in members else b"little"
        swap: Callable[[Any], Any] = {b"little": lambda d: d, b"big": lambda d: d.newbyteorder(">")}[order]
        for key, storage in storages.items():
            data = archive.read(f"{roots[0]}data/{key}")
            storage.numbers = _numbers(data, storage, key).view(swap(storage.dtype))
    return saved


def _numbers(data: bytes, storage: _Storage, key: str) -> Array:
    if len(data) != (size := storage.count * storage.dtype.itemsize):
        raise UnsafeWeights(f"storage {key} must have {size} bytes, got {len(data)}")
    return np.frombuffer(data, storage.dtype)

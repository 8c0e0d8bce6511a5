"""Weights are read; code is not run, and a small file makes no large array."""

from __future__ import annotations

import io
import os
import pickle
import struct
import tracemalloc
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.recipes.torchfile import MAGIC, PROTOCOL, UnsafeWeights, read_weights

BOTH = pytest.mark.parametrize("zipped", [False, True], ids=["old", "zip"])
F4 = b"ctorch\nFloatStorage\n"
REBUILD = b"ctorch._utils\n_rebuild_tensor_v2\n"
ORDERED = b"ccollections\nOrderedDict\n"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "weights.pth"


@pytest.mark.torch
@BOTH
@pytest.mark.parametrize("wrapped", [False, True], ids=["alone", "checkpoint"])
def test_agrees_with_torch(path: Path, zipped: bool, wrapped: bool) -> None:
    torch = pytest.importorskip("torch")
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    state = OrderedDict(
        plain=base,
        transposed=base.t(),  # strides out of order, storage shared
        slice=base[1:3, 2:],
        half=base.half(),
        double=base.double() / 3,
        small=base.short(),
        signed=-base.to(torch.int8),
        unsigned=base.byte(),
        whole=base.int(),
        true=base > 3,
        count=torch.tensor(7),
        empty=torch.zeros(0, 3),
    )
    saved = {"epoch": 3, "state_dict": state} if wrapped else state
    torch.save(saved, path, _use_new_zipfile_serialization=zipped)
    read = read_weights(path)
    assert read.keys() == state.keys()
    for name, tensor in state.items():
        np.testing.assert_array_equal(read[name], tensor.numpy())
        assert read[name].dtype == tensor.numpy().dtype


@pytest.mark.torch
@BOTH
@pytest.mark.parametrize("seed", range(5))
def test_agrees_with_torch_on_a_net(path: Path, zipped: bool, seed: int) -> None:
    torch = pytest.importorskip("torch")
    torch.manual_seed(seed)
    channels = torch.randint(1, 9, (2,)).tolist()
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, channels[0], 3), torch.nn.BatchNorm2d(channels[0]), torch.nn.Linear(*channels)
    )
    torch.save(net.state_dict(), path, _use_new_zipfile_serialization=zipped)
    read = read_weights(path)
    for name, tensor in net.state_dict().items():
        np.testing.assert_array_equal(read[name], tensor.numpy())


@pytest.mark.torch
@BOTH
def test_what_torch_would_run_is_refused(path: Path, zipped: bool) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"net": torch.nn.Linear(1, 1)}, path, _use_new_zipfile_serialization=zipped)
    with pytest.raises(UnsafeWeights, match=r"names torch\.nn"):
        read_weights(path)


@pytest.mark.torch
def test_what_was_saved_on_a_big_endian_machine(path: Path) -> None:
    torch = pytest.importorskip("torch")
    values = torch.arange(5, dtype=torch.float32) / 3
    buffer = io.BytesIO()
    torch.save({"a": values}, buffer)
    members = unpacked(buffer.getvalue())
    (order,) = [name for name in members if name.endswith("/byteorder")]
    (data,) = [name for name in members if name.endswith("/data/0")]
    members[order], members[data] = b"big", values.numpy().astype(">f4").tobytes()
    packed(path, members)
    read = read_weights(path)["a"]
    np.testing.assert_array_equal(read, values.numpy())
    assert read.dtype == np.dtype("<f4")
    packed(path, {**members, order: b"middle"})
    with pytest.raises(UnsafeWeights):
        read_weights(path)


class _Evil:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.canary),)


def parts(*objects: object) -> bytes:
    return b"".join(pickle.dumps(o, protocol=2) for o in objects)


def unpacked(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(path: Path, members: dict[str, bytes], method: int = zipfile.ZIP_STORED) -> None:
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def storage(count: int, key: bytes = b"0") -> bytes:
    """The pickle's way to say a storage of float32."""
    return b"((X\x07\0\0\0storage" + F4 + b"X\x01\0\0\0" + key + b"X\x03\0\0\0cpuJ" + i4(count) + b"tQ"


def tensor(count: int, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]) -> bytes:
    """The pickle's way to say a tensor, which `}(X\\1\\0\\0\\0a ... u.` makes a state of."""
    sizes = b"".join(b"(" + b"".join(b"J" + i4(n) for n in numbers) + b"t" for numbers in (shape, stride))
    return REBUILD + storage(count) + b"J" + i4(offset) + sizes + b"\x89" + ORDERED + b")RtR"


def i4(number: int) -> bytes:
    return struct.pack("<i", number)


def state(value: bytes) -> bytes:
    return b"\x80\x02}(X\x01\0\0\0a" + value + b"u."


def write(path: Path, pickled: bytes, numbers: bytes, zipped: bool) -> None:
    """A file of either form with one storage; the old form says how many numbers it has."""
    if zipped:
        packed(path, {"w/data.pkl": pickled, "w/byteorder": b"little", "w/data/0": numbers})
    else:
        keys = parts(["0"]) + struct.pack("<q", len(numbers) // 4) + numbers
        path.write_bytes(parts(MAGIC, PROTOCOL, {}) + pickled + keys)


@BOTH
def test_a_file_made_by_hand(path: Path, zipped: bool) -> None:
    numbers = np.arange(6, dtype="<f4")
    write(path, state(tensor(6, 1, (2, 2), (2, 1))), numbers.tobytes(), zipped)
    np.testing.assert_array_equal(read_weights(path)["a"], [[1, 2], [3, 4]])


@BOTH
@pytest.mark.parametrize(
    ("offset", "shape", "stride"),
    [
        (1, (2, 3), (3, 1)),
        (0, (7,), (1,)),
        (0, (2,), (6,)),
        (-1, (2,), (1,)),
        (5, (2,), (-1,)),
        (0, (-1,), (1,)),
    ],
)
def test_a_tensor_outside_its_storage_is_refused(
    path: Path, zipped: bool, offset: int, shape: tuple[int, ...], stride: tuple[int, ...]
) -> None:
    write(path, state(tensor(6, offset, shape, stride)), bytes(24), zipped)
    with pytest.raises(UnsafeWeights, match="inside its storage"):
        read_weights(path)


@BOTH
@pytest.mark.parametrize("size", [20, 28])
def test_a_storage_of_another_size_is_refused(path: Path, zipped: bool, size: int) -> None:
    write(path, state(tensor(6, 0, (1,), (1,))), bytes(size), zipped)
    with pytest.raises(UnsafeWeights, match=r"must (have|hold)"):
        read_weights(path)


def test_a_storage_that_never_comes_is_not_read(path: Path) -> None:
    path.write_bytes(parts(MAGIC, PROTOCOL, {}) + state(tensor(6, 0, (6,), (1,))) + parts([]))
    with pytest.raises(UnsafeWeights, match="inside its storage"):
        read_weights(path)
    packed(path, {"w/data.pkl": state(tensor(6, 0, (6,), (1,)))})
    with pytest.raises(UnsafeWeights, match="w/data/0"):
        read_weights(path)


@BOTH
def test_code_is_refused_and_not_run(path: Path, tmp_path: Path, zipped: bool) -> None:
    canary = tmp_path / "canary"
    write(path, parts(_Evil(canary)), b"", zipped)
    with pytest.raises(UnsafeWeights, match="mkdir"):
        read_weights(path)
    assert not canary.exists()


OFFSET = b"}X\x06\0\0\0offsetJ" + i4(9) + b"sb"
HOSTILE = {
    "a storage changed after it was made": (state(storage(1) + OFFSET), "sets attributes"),
    "a tensor changed after it was made": (state(tensor(1, 0, (1,), (1,)) + OFFSET), "sets attributes"),
    "expanded beyond the file": (state(tensor(6, 0, (1 << 28,), (0,))), "4 times the file's bytes"),
    "a view of no storage": (state(REBUILD + b"(X\x01\0\0\0aK\0(t(t\x89}tR"), "must view a storage"),
    "a storage beyond the machine": (state(storage((1 << 31) - 1)), "at most 2147483648 bytes"),
    "a number beyond the memo": (b"\x80\x02}r\xff\xff\xff\xf0.", "must number fewer than"),
    "a string beyond the file": (
        b"\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\x00a.",
        "unicodestring8",
    ),
    "an unknown kind of storage": (state(storage(1).replace(F4, b"X\x01\0\0\0x")), "'x'"),
    "builtins": (b"\x80\x02cbuiltins\neval\n.", r"names builtins\.eval"),
    "a name with dots": (b"\x80\x04\x8c\x0bcollections\x8c\x14OrderedDict.__init__\x93.", "__init__"),
    "an extension": (b"\x80\x02\x82\x01.", "unregistered extension"),
    "a list": (b"\x80\x02].", "weights file"),
    "nothing": (b"", "is not a weights file"),
}


@BOTH
@pytest.mark.parametrize(("pickled", "told"), HOSTILE.values(), ids=HOSTILE)
def test_hostile_pickles_are_refused_cheaply(path: Path, zipped: bool, pickled: bytes, told: str) -> None:
    write(path, pickled, bytes(24), zipped)
    tracemalloc.start()
    try:
        with pytest.raises(UnsafeWeights, match=told):
            read_weights(path)
        assert tracemalloc.get_traced_memory()[1] < 30e6
    finally:
        tracemalloc.stop()


GOOD = {"w/data.pkl": state(tensor(6, 0, (6,), (1,))), "w/byteorder": b"little", "w/data/0": bytes(24)}


@pytest.mark.parametrize("method", [zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_compressed_members_are_refused(path: Path, method: int) -> None:
    """Bombs, and also what does not get smaller: a size may be forged."""
    packed(path, GOOD)
    assert read_weights(path).keys() == {"a"}
    for more in (bytes(10_000_000), np.random.default_rng(0).bytes(10_000)):
        packed(path, {**GOOD, "w/more": more}, method)
        with pytest.raises(UnsafeWeights, match="not compressed"):
            read_weights(path)


def test_members_that_overlap_are_refused(path: Path) -> None:
    """Many names for the same bytes: a zip bomb without compression."""
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in GOOD.items():
            archive.writestr(name, data)
        archive.writestr("w/large", bytes(100_000))
        large = archive.getinfo("w/large")
        for i in range(100):
            again = zipfile.ZipInfo(f"w/large{i}")
            again.header_offset, again.CRC = large.header_offset, large.CRC
            again.file_size = again.compress_size = large.file_size
            archive.filelist.append(again)
    with pytest.raises(UnsafeWeights, match="lie in it as they are"):
        read_weights(path)


BROKEN_ZIPS: dict[str, dict[str, bytes]] = {
    "no pickle": {"w/byteorder": b"little"},
    "two pickles": {**GOOD, "v/data.pkl": GOOD["w/data.pkl"]},
    "a pickle too deep": {"w/x/data.pkl": GOOD["w/data.pkl"]},
    "a pickle without a folder": {"data.pkl": GOOD["w/data.pkl"]},
    "another byte order": {**GOOD, "w/byteorder": b"pdp"},
}


@pytest.mark.parametrize("members", BROKEN_ZIPS.values(), ids=BROKEN_ZIPS)
def test_other_zips_are_refused(path: Path, members: dict[str, bytes]) -> None:
    packed(path, members)
    with pytest.raises(UnsafeWeights):
        read_weights(path)


@BOTH
@pytest.mark.parametrize("seed", range(3))
def test_broken_bytes_are_refused_or_read(path: Path, zipped: bool, seed: int) -> None:
    """Whatever a byte is changed to: arrays, or UnsafeWeights; never another error."""
    rng = np.random.default_rng(seed)
    write(path, state(tensor(6, 0, (2, 3), (3, 1))), np.arange(6, dtype="<f4").tobytes(), zipped)
    whole = path.read_bytes()
    refused = 0
    for _ in range(200):
        data = bytearray(whole)
        for at in rng.integers(len(data), size=int(rng.integers(1, 4))):
            data[at] = rng.integers(256)
        if rng.random() < 0.2:
            data = data[: rng.integers(len(data))]
        path.write_bytes(data)
        try:
            read_weights(path)
        except UnsafeWeights:
            refused += 1
    assert refused > 50


BROKEN = {
    "nothing": b"",
    "text": b"hello",
    "another pickle": parts("hello", 1, {}),
    "no keys": parts(MAGIC, PROTOCOL, {}, {}),
    "a list": parts(MAGIC, PROTOCOL, {}, [1], []),
    "half a zip": b"PK\x03\x04 and no more",
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_what_is_no_weights_file_is_refused(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(UnsafeWeights):
        read_weights(path)

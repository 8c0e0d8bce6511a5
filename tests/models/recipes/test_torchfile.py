"""Weights are read; code is not run."""

from __future__ import annotations

import os
import pickle
from collections import OrderedDict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.recipes.torchfile import MAGIC, PROTOCOL, UnsafeWeights, read_weights


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "weights.pth"


@pytest.mark.torch
def test_agrees_with_torch(path: Path) -> None:
    torch = pytest.importorskip("torch")
    base = torch.arange(24, dtype=torch.float32).reshape(4, 6)
    state = OrderedDict(
        plain=base,
        transposed=base.t(),  # strides out of order, storage shared
        slice=base[1:3, 2:],
        half=base.half(),
        count=torch.tensor(7),
        empty=torch.zeros(0, 3),
    )
    torch.save(state, path, _use_new_zipfile_serialization=False)
    read = read_weights(path)
    assert read.keys() == state.keys()
    for name, tensor in state.items():
        np.testing.assert_array_equal(read[name], tensor.numpy())
        assert read[name].dtype == tensor.numpy().dtype


@pytest.mark.torch
def test_the_zip_form_is_refused_with_advice(path: Path) -> None:
    torch = pytest.importorskip("torch")
    torch.save({"a": torch.zeros(1)}, path)
    with pytest.raises(UnsafeWeights, match="_use_new_zipfile_serialization=False"):
        read_weights(path)


class _Evil:
    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.canary),)


def parts(*objects: object) -> bytes:
    return b"".join(pickle.dumps(o, protocol=2) for o in objects)


def test_code_is_refused_and_not_run(path: Path, tmp_path: Path) -> None:
    canary = tmp_path / "canary"
    path.write_bytes(parts(MAGIC, PROTOCOL, {}, _Evil(canary), []))
    with pytest.raises(UnsafeWeights, match="mkdir"):
        read_weights(path)
    assert not canary.exists()


BROKEN = {
    "nothing": b"",
    "text": b"hello",
    "another pickle": parts("hello", 1, {}),
    "no keys": parts(MAGIC, PROTOCOL, {}, {}),
    "a list": parts(MAGIC, PROTOCOL, {}, [1], []),
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_what_is_no_weights_file_is_refused(path: Path, data: bytes) -> None:
    path.write_bytes(data)
    with pytest.raises(UnsafeWeights):
        read_weights(path)

"""Tar files are read where they lie, compressed or not, and never extracted."""

from __future__ import annotations

import io
import os
import tarfile
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from eval.data.tables import open_data
from eval.errors import DatasetError
from models.decoding import decode, encode_png

REAL = Path(os.environ.get("ASSAY_DATA_DIR", "../shared/data"))
FILES = {
    "set/dog/b.png": encode_png(np.full((2, 3, 3), 1, np.uint8)),
    "set/ant/a.png": encode_png(np.full((4, 3, 3), 2, np.uint8)),
    "set/dog/a.JPG": encode_png(np.full((2, 5, 3), 3, np.uint8)),
}
BESIDE = {"set/dog/notes.txt": b"no picture", "set/dog/._b.png": b"hidden", "top.png": b"no class"}
Mode = Literal["w", "w:gz", "w:bz2", "w:xz"]


def archive(path: Path, mode: Mode, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, mode) as tar:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
    return path


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_every_kind_of_archive(tmp_path: Path, mode: Mode) -> None:
    path = archive(tmp_path / "set.tar", mode, {**FILES, **BESIDE})
    data = open_data(f"tar:{path}", "classification")
    assert data.labels == ("ant", "dog")
    assert data.ids == ["set/ant/a.png", "set/dog/a.JPG", "set/dog/b.png"]
    for index in (2, 0, 1, 0):  # any order
        sample = data[index]
        assert (sample.id, sample.file) == (data.ids[index], FILES[sample.id])
    assert [s.expected for s in data] == [0, 1, 1]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["set.tar"]


def test_links_and_folders_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "set.tar"
    with tarfile.open(path, "w") as tar:
        for kind, name in ((tarfile.SYMTYPE, "cat/link.png"), (tarfile.DIRTYPE, "cat/folder.png")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = kind, "/etc/passwd"
            tar.addfile(member)
    with pytest.raises(DatasetError, match="holds no images in class folders"):
        open_data(f"tar:{path}", "classification")


def test_broken_archives_are_named(tmp_path: Path) -> None:
    whole = archive(tmp_path / "set.tar.gz", "w:gz", {"a/x.png": os.urandom(5000)})
    for data in (
        b"",
        b"no tar at all",
        whole.read_bytes()[:3000],
        b"\x1f\x8b" + b"x" * 99,
        b"\xfd7zXZ\x00 no",
    ):
        (tmp_path / "torn").write_bytes(data)
        with pytest.raises(DatasetError, match="torn is none"):
            open_data(f"tar:{tmp_path / 'torn'}", "classification")
    with pytest.raises(DatasetError, match="nowhere"):
        open_data("tar:/nowhere.tar", "classification")


@pytest.mark.data
def test_real_small_pictures() -> None:
    path = REAL / "cifar10_jpeg" / "test_a.tar.gz"
    if not path.is_file():
        pytest.skip("ASSAY_DATA_DIR has no cifar10_jpeg")
    data = open_data(f"tar:{path}", "classification")
    assert (len(data), len(data.labels), data.labels[0]) == (5000, 10, "airplane")
    assert [data[i].expected for i in (0, 499, 500, 4999)] == [0, 0, 1, 9]
    assert decode(data[4321].file).shape == (32, 32, 3)

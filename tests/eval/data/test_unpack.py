"""Archives of other people: nothing leads out, nothing grows without end."""

from __future__ import annotations

import io
import os
import stat
import tarfile
import zipfile
from pathlib import Path
from typing import Literal

import pytest

from eval.data.unpack import Limits, free_bytes, unpack
from eval.errors import DatasetError

FILES = {"set/a.txt": b"a" * 10, "set/deep/b.txt": b"b" * 20, "other/c.bin": b"c"}
LIMITS = Limits(bytes=1000, files=10)
Mode = Literal["w", "w:gz", "w:bz2", "w:xz"]


def tar(path: Path, files: dict[str, bytes], mode: Mode = "w") -> Path:
    with tarfile.open(path, mode) as tape:
        folder = tarfile.TarInfo("set")
        folder.type = tarfile.DIRTYPE
        tape.addfile(folder)
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(data), 0o6777
            tape.addfile(member, io.BytesIO(data))
    return path


def packed(path: Path, files: dict[str, bytes], mode: int = stat.S_IFREG | 0o644) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("set/", b"")
        for name, data in files.items():
            info = zipfile.ZipInfo(name)
            info.external_attr, info.compress_type = mode << 16, zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    return path


@pytest.mark.parametrize("kind", ["w", "w:gz", "w:bz2", "w:xz", "zip"])
def test_wanted_files_of_every_kind(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "archive"
    archive = packed(path, FILES) if kind == "zip" else tar(path, FILES, kind)  # type: ignore[arg-type]
    told: list[int] = []
    assert unpack(archive, tmp_path / "out", lambda name: name.endswith(".txt"), LIMITS, told.append) == 2
    found = {
        p.relative_to(tmp_path / "out").as_posix(): p for p in (tmp_path / "out").rglob("*") if p.is_file()
    }
    assert {name: p.read_bytes() for name, p in found.items()} == {n: FILES[n] for n in list(FILES)[:2]}
    assert told == [10, 30]
    assert not any(p.stat().st_mode & (stat.S_ISUID | stat.S_IXUSR | stat.S_IWOTH) for p in found.values())


@pytest.mark.parametrize("name", ["../out.txt", "set/../../out.txt", "/srv/out.txt", "set\\..\\out.txt", "."])
@pytest.mark.parametrize("kind", ["tar", "zip"])
def test_names_that_lead_out(tmp_path: Path, name: str, kind: str) -> None:
    make = tar if kind == "tar" else packed
    archive = make(tmp_path / "archive", {"set/a.txt": b"a", name: b"evil"})
    with pytest.raises(DatasetError, match=r"has a file that leads out of it"):
        unpack(archive, tmp_path / "in" / "out", lambda n: not n.endswith("a.txt"), LIMITS)
    assert [p for p in tmp_path.rglob("*") if p.is_file()] == [archive]


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE, tarfile.CHRTYPE])
def test_links_and_devices_of_a_tar(tmp_path: Path, kind: bytes) -> None:
    with tarfile.open(tmp_path / "archive", "w") as tape:
        member = tarfile.TarInfo("set/a.txt")
        member.type, member.linkname = kind, "/etc/passwd"
        tape.addfile(member)
    with pytest.raises(DatasetError, match=r"has a link or a device where a file should be: 'set/a\.txt'"):
        unpack(tmp_path / "archive", tmp_path / "out", lambda _: True, LIMITS)


def test_links_of_a_zip(tmp_path: Path) -> None:
    archive = packed(tmp_path / "archive", {"a": b"/etc/passwd"}, stat.S_IFLNK | 0o777)
    with pytest.raises(DatasetError, match="has a link"):
        unpack(archive, tmp_path / "out", lambda _: True, LIMITS)


@pytest.mark.parametrize("kind", ["w:gz", "zip"])
def test_what_grows_without_end_is_stopped(tmp_path: Path, kind: str) -> None:
    files = {"a": bytes(50_000_000)}
    archive = packed(tmp_path / "x", files) if kind == "zip" else tar(tmp_path / "x", files, "w:gz")
    assert archive.stat().st_size < 100_000
    with pytest.raises(DatasetError, match="must become at most 1000 bytes"):
        unpack(archive, tmp_path / "out", lambda _: True, LIMITS)
    assert (tmp_path / "out" / "a").stat().st_size <= 1 << 20
    many = tar(tmp_path / "many", {f"{i}": b"" for i in range(11)})
    with pytest.raises(DatasetError, match="must hold at most 10 files"):
        unpack(many, tmp_path / "out2", lambda _: True, LIMITS)


def test_broken_archives(tmp_path: Path) -> None:
    whole = tar(tmp_path / "whole", {"a": os.urandom(900)}, "w:gz").read_bytes()
    zipped = bytearray(packed(tmp_path / "zip", {"a": os.urandom(900)}).read_bytes())
    zipped[300] ^= 255
    for number, data in enumerate((b"", b"no archive", whole[:500], bytes(zipped))):
        path = tmp_path / f"torn{number}"
        path.write_bytes(data)
        with pytest.raises(DatasetError, match=rf"torn{number} cannot be unpacked"):
            unpack(path, tmp_path / f"out{number}", lambda _: True, LIMITS)
    with pytest.raises(DatasetError, match="holds none of the files"):
        unpack(tmp_path / "whole", tmp_path / "out", lambda _: False, LIMITS)


def test_the_same_name_twice(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "archive", "w") as tape:
        for _ in range(2):
            tape.addfile(tarfile.TarInfo("a"))
    with pytest.raises(DatasetError, match="twice"):
        unpack(tmp_path / "archive", tmp_path / "out", lambda _: True, LIMITS)


def test_room_is_told_of_folders_to_come(tmp_path: Path) -> None:
    assert free_bytes(tmp_path / "not" / "there") > 0

"""Official sets: from a server of our own, small, whole or not at all."""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from eval.commands.data import command
from eval.data import sets
from eval.data.obtain import cache_folder, obtain
from eval.data.sets import SETS, File, OfficialSet, cifar
from eval.data.tables import READERS, open_data
from eval.errors import DatasetError
from models.card import TaskName
from models.decoding import decode, encode_png
from models.recipes.fetch import Patience
from models.recipes.transport import allowed
from tests.models.recipes.site import Site, cut, running

PICTURE = encode_png(np.full((4, 6, 3), 9, np.uint8))
HASTY = Patience(timeout_s=5, attempts=2, sleep=lambda _: None)
NAMES = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
RNG = np.random.default_rng(0)
ROWS = RNG.integers(0, 256, (60, 3073), np.uint8)
ROWS[:, 0] %= 10


def tar(files: dict[str, bytes], mode: str = "w") -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as tape:  # type: ignore[call-overload]
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            tape.addfile(member, io.BytesIO(data))
    return buffer.getvalue()


def zipped(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def small_archives(name: str) -> list[bytes]:
    """Archives laid out as the official ones."""
    if name == "cifar10":
        batches = {f"data_batch_{i}.bin": ROWS[10 * i : 10 * i + 10].tobytes() for i in range(1, 6)}
        files = {
            "test_batch.bin": ROWS[:10].tobytes(),
            **batches,
            "batches.meta.txt": "\n".join(NAMES).encode(),
        }
        return [tar({f"cifar-10-batches-bin/{n}": data for n, data in files.items()}, "w:gz")]
    if name == "coco-val2017":
        told = {
            "images": [{"id": 9, "file_name": "9.jpg", "height": 4, "width": 6}],
            "categories": [{"id": 1, "name": "person"}],
            "annotations": [
                {
                    "image_id": 9,
                    "category_id": 1,
                    "bbox": [0, 0, 3, 2],
                    "segmentation": [[0, 0, 3, 0, 3, 2, 0, 2]],
                }
            ],
        }
        annotations = {"annotations/instances_val2017.json": json.dumps(told).encode()}
        return [
            zipped({"val2017/": b"", "val2017/9.jpg": PICTURE}),
            zipped({**annotations, "annotations/captions_val2017.json": b"{}"}),
        ]
    if name == "voc2012":
        box = "<bndbox><xmin>1</xmin><ymin>1</ymin><xmax>6</xmax><ymax>4</ymax></bndbox>"
        xml = f"<annotation><object><name>cat</name>{box}</object></annotation>".encode()
        mask = encode_png(np.full((4, 6, 3), 8, np.uint8))
        files = {
            "JPEGImages/a.jpg": PICTURE, "Annotations/a.xml": xml, "SegmentationClass/a.png": mask,
            "SegmentationObject/a.png": mask, "ImageSets/Main/val.txt": b"a\n",
            "ImageSets/Segmentation/val.txt": b"a\n",
        }  # fmt: skip
        return [tar({f"VOCdevkit/VOC2012/{n}": data for n, data in files.items()})]
    folder = name.replace("imagenette", "imagenette2")
    files = {f"{folder}/{split}/n0{i}/x.JPEG": PICTURE for split in ("train", "val") for i in range(2)}
    return [tar({**files, f"{folder}/noisy_imagenette.csv": b"x", f"{folder}/val/.DS_Store": b""}, "w:gz")]


@pytest.fixture
def site() -> Iterator[Site]:
    with running(b"") as site:
        yield site


def served(site: Site, archive: bytes, wanted: OfficialSet) -> OfficialSet:
    site.content = archive
    return replace(wanted, files=(File(site.url, hashlib.sha256(archive).hexdigest(), len(archive)),), room=0)


@pytest.mark.parametrize("name", SETS)
def test_a_set_becomes_what_its_reader_reads(name: str, tmp_path: Path) -> None:
    """From archives that are there already."""
    archives, files = small_archives(name), []
    for data, file in zip(archives, SETS[name].files, strict=True):
        path = tmp_path / "have" / file.url.rpartition("/")[2]
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
        files.append(replace(file, sha256=hashlib.sha256(data).hexdigest(), size=len(data)))
    wanted = replace(SETS[name], files=tuple(files), room=0)
    folder = obtain(name, wanted, tmp_path / "sets", given=tmp_path / "have")
    assert folder == tmp_path / "sets" / name
    for told, reads in wanted.reads:
        task: TaskName = told.partition(",")[0]  # type: ignore[assignment]
        sample = open_data(reads.replace("{}", str(folder)), task)[0]
        assert decode(sample.file).size
    assert [p.name for p in (tmp_path / "sets").iterdir()] == [name]
    assert not [p for p in folder.rglob("*") if p.suffix in (".csv", ".bin") or "captions" in p.name]
    assert obtain(name, wanted, tmp_path / "sets", given=tmp_path / "gone") == folder  # nobody is asked again


def test_pixels_of_cifar_are_kept(tmp_path: Path) -> None:
    (tmp_path / "x.tar.gz").write_bytes(small_archives("cifar10")[0])
    (tmp_path / "out").mkdir()
    cifar({"x": tmp_path / "x.tar.gz"}, tmp_path / "out", lambda _: None)
    assert sorted(p.name for p in (tmp_path / "out").iterdir()) == ["test.tar", "train.tar"]
    for split, rows in (("test", ROWS[:10]), ("train", ROWS[10:])):
        data = open_data(f"tar:{tmp_path / 'out' / split}.tar", "classification")
        assert len(data) == len(rows)
        for sample in data:
            row = rows[int(sample.id.partition("/")[2].removesuffix(".png"))]
            assert data.labels[int(str(sample.expected))] == NAMES[row[0]]
            np.testing.assert_array_equal(decode(sample.file), row[1:].reshape(3, 32, 32).transpose(1, 2, 0))


@pytest.mark.parametrize("change", [b"\x0b" + bytes(3072), bytes(3000), b""])
def test_rows_that_are_no_cifar(tmp_path: Path, change: bytes) -> None:
    files = {"a/test_batch.bin": change, "a/data_batch_1.bin": change, "a/batches.meta.txt": b"x\n"}
    (tmp_path / "x.tar").write_bytes(tar(files))
    with pytest.raises(DatasetError, match="must hold rows of a class and 3072 pixels"):
        cifar({"x": tmp_path / "x.tar"}, tmp_path, lambda _: None)


def test_a_cut_download_goes_on(site: Site, tmp_path: Path) -> None:
    wanted = served(site, small_archives("imagenette-160")[0], SETS["imagenette-160"])
    site.behaviours = [cut(100), cut(200)]
    obtain("nette", wanted, tmp_path / "sets", cache=tmp_path / "cache", patience=HASTY)
    assert [asked.get("Range") for asked in site.asked] == [None, "bytes=100-", "bytes=300-"]
    obtain("again", wanted, tmp_path / "sets", cache=tmp_path / "cache", patience=HASTY)
    assert len(site.asked) == 3  # the archive is in the cache


def test_nothing_is_left_of_a_set_that_is_not_whole(site: Site, tmp_path: Path) -> None:
    wanted = served(site, small_archives("voc2012")[0], SETS["voc2012"])
    altered = replace(wanted, files=(replace(wanted.files[0], sha256="0" * 64),))
    for broken, message in (
        (altered, "must have a sha256 of 0000"),
        (served(site, tar({"VOCdevkit/VOC2012/JPEGImages/../../../x": b""}), wanted), "leads out of it"),
        (replace(wanted, room=1 << 62), "must have room for"),
    ):
        site.content = (
            tar({"VOCdevkit/VOC2012/JPEGImages/../../../x": b""})
            if "leads" in message
            else (small_archives("voc2012")[0])
        )
        with pytest.raises(DatasetError, match=message):
            obtain("voc", broken, tmp_path / "sets", cache=tmp_path / message[:4], patience=HASTY)
        assert not (tmp_path / "sets").exists() or list((tmp_path / "sets").iterdir()) == []


def test_what_is_given_must_be_it(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x")
    with pytest.raises(DatasetError, match=r"it is not https://www\.cs\.toronto\.edu"):
        obtain("c", SETS["cifar10"], tmp_path / "sets", given=tmp_path / "x")
    with pytest.raises(DatasetError, match="cannot be read"):
        obtain("c", SETS["cifar10"], tmp_path / "sets", given=tmp_path)


@pytest.mark.parametrize("wanted", SETS.values(), ids=SETS)
def test_official_sets_are_told_wholly(wanted: OfficialSet) -> None:
    assert all(
        wanted.__getattribute__(name) for name in ("what", "licence", "stated", "notes", "room", "reads")
    )
    for file in wanted.files:
        assert allowed(file.url)
        assert file.url.startswith("https://")
        assert re.fullmatch("[0-9a-f]{64}", file.sha256)
        assert file.size > 10_000_000
    assert {reads.partition(":")[0] for _, reads in wanted.reads} <= set(READERS)


def test_the_command_shows_the_terms_and_wants_a_yes(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = served(site, small_archives("imagenette-160")[0], SETS["imagenette-160"])
    monkeypatch.setattr(sets, "SETS", {"imagenette-160": wanted})
    monkeypatch.setenv("ASSAY_CACHE_DIR", str(tmp_path / "cache"))
    asked = ["get", "imagenette-160", "--into", str(tmp_path / "sets")]
    refused = CliRunner().invoke(command, asked)
    assert (refused.exit_code, site.asked) == (1, [])
    assert "licence  Apache-2.0" in refused.output
    assert "add --accept-licence" in refused.output
    done = CliRunner().invoke(command, [*asked, "--accept-licence"])
    assert done.exit_code == 0, done.output
    assert cache_folder() == tmp_path / "cache"
    use = next(line for line in done.output.splitlines() if line.startswith("use"))
    name = use.split("--data ")[1].split()[0]
    assert open_data(name, "classification").labels == ("n00", "n01")
    assert CliRunner().invoke(command, asked).exit_code == 0  # it is there: nothing to accept
    unknown = CliRunner().invoke(command, ["get", "imagenet", "--into", str(tmp_path)])
    assert (unknown.exit_code, "must be one of imagenette-160" in unknown.output) == (1, True)


def test_the_list_names_every_set() -> None:
    shown = CliRunner().invoke(command, ["list"], env={"COLUMNS": "200"}).output
    assert all(name in shown for name in SETS)
    assert "folder:DIR" in shown

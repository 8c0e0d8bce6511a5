"""Official data sets that can be fetched: where they are, on what terms, and how they become a folder.

Checksums of the archives are those that TensorFlow Datasets publishes (`url_checksums/`). A set whose
checksum nobody publishes is not here.
"""

from __future__ import annotations

import io
import tarfile
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path

import numpy as np

from eval.data.unpack import Limits, unpack
from eval.errors import DatasetError
from models.decoding import encode_png

__all__ = ["SETS", "File", "Make", "OfficialSet", "cifar", "unpacked"]

Make = Callable[[Mapping[str, Path], Path, Callable[[int], None]], None]


@dataclass(frozen=True, slots=True)
class File:
    """A published archive: https address, sha256, bytes."""

    url: str
    sha256: str
    size: int


@dataclass(frozen=True, slots=True)
class OfficialSet:
    """A data set as its makers publish it.

    Attributes:
        licence: its name, or that there is none; `stated` is where its makers say so.
        make: (archives by name, an empty folder to fill, told the bytes written).
        room: bytes on the disk once it is made.
        reads: what to give to `--data`, with `{}` for the folder; by task.
    """

    what: str
    files: tuple[File, ...]
    licence: str
    stated: str
    notes: str
    make: Make
    room: int
    reads: tuple[tuple[str, str], ...]


def unpacked(patterns: tuple[str, ...], limits: Limits) -> Make:
    """Unpack the members of all archives that match one of the patterns."""

    def make(archives: Mapping[str, Path], folder: Path, came: Callable[[int], None]) -> None:
        for archive in archives.values():
            unpack(archive, folder, lambda name: any(fnmatch(name, p) for p in patterns), limits, came)

    return make


def cifar(archives: Mapping[str, Path], folder: Path, came: Callable[[int], None]) -> None:
    """The binary version as two tar files of PNG, a folder per class: lossless, and no pickle is read."""
    (archive,) = archives.values()
    with tempfile.TemporaryDirectory(dir=folder) as raw:
        _cifar(archive, Path(raw), folder, came)


def _cifar(archive: Path, raw: Path, folder: Path, came: Callable[[int], None]) -> None:
    unpack(archive, raw, lambda name: fnmatch(name, "*.bin") or fnmatch(name, "*/batches.meta.txt"), CIFAR)
    (told,) = raw.rglob("batches.meta.txt")
    names = told.read_text(encoding="ascii").split()
    written = 0
    for split, pattern in (("train", "data_batch_*.bin"), ("test", "test_batch.bin")):
        number = 0
        with tarfile.open(folder / f"{split}.tar", "x") as tape:
            for batch in sorted(raw.rglob(pattern)):
                rows = np.fromfile(batch, np.uint8)
                if len(rows) % 3073 or not len(rows) or rows[::3073].max() >= len(names):
                    raise DatasetError(f"{batch} must hold rows of a class and 3072 pixels")
                for row in rows.reshape(-1, 3073):
                    png = encode_png(row[1:].reshape(3, 32, 32).transpose(1, 2, 0))
                    member = tarfile.TarInfo(f"{names[row[0]]}/{number:05d}.png")
                    member.size = len(png)
                    tape.addfile(member, io.BytesIO(png))
                    number, written = number + 1, written + len(png)
                came(written)
        if not number:
            raise DatasetError(f"{archive} has no {pattern}")


CIFAR = Limits(bytes=200_000_000, files=10)
AWS, FASTAI = "https://s3.amazonaws.com/images.cocodataset.org", "https://s3.amazonaws.com/fast-ai-imageclas"
IMAGENET = (
    "The pictures are ImageNet's: for non-commercial research and education only. Classes are WordNet ids; "
    "map them to the model's names with --map."
)


def _imagenette(side: int, size: int, sha256: str) -> OfficialSet:
    name = f"imagenette2-{side}"
    return OfficialSet(
        what=f"Imagenette: ten easy classes of ImageNet, {side} px, 9,469 + 3,925 pictures",
        files=(File(f"{FASTAI}/{name}.tgz", sha256, size),),
        licence="Apache-2.0 (the selection)",
        stated="https://github.com/fastai/imagenette",
        notes=IMAGENET,
        make=unpacked((f"{name}/train/*.JPEG", f"{name}/val/*.JPEG"), Limits(4 * size, 20_000)),
        room=2 * size,
        reads=(("classification", f"folder:{{}}/{name}/val"),),
    )


SETS: Mapping[str, OfficialSet] = {
    "cifar10": OfficialSet(
        what="CIFAR-10: ten classes, 32 x 32, 50,000 + 10,000 pictures",
        files=(
            File(
                "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz",
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd",
                170_052_171,
            ),
        ),
        licence="none stated",
        stated="https://www.cs.toronto.edu/~kriz/cifar.html",
        notes="Cite Krizhevsky 2009, Learning Multiple Layers of Features from Tiny Images.",
        make=cifar,
        room=400_000_000,
        reads=(("classification", "tar:{}/test.tar"),),
    ),
    "coco-val2017": OfficialSet(
        what="COCO 2017 val: 80 classes, boxes and masks, 5,000 pictures",
        files=(
            File(
                f"{AWS}/zips/val2017.zip",
                "4f7e2ccb2866ec5041993c9cf2a952bbed69647b115d0f74da7ce8f4bef82f05",
                815_585_330,
            ),
            File(
                f"{AWS}/annotations/annotations_trainval2017.zip",
                "113a836d90195ee1f884e704da6304dfaaecff1f023f49b6ca93c4aaae470268",
                252_907_541,
            ),
        ),
        licence="CC BY 4.0 (the annotations)",
        stated="https://cocodataset.org/#termsofuse",
        notes="The pictures are Flickr's, each on its own terms; some are non-commercial.",
        make=unpacked(("val2017/*.jpg", "annotations/instances_val2017.json"), Limits(1_200_000_000, 6_000)),
        room=900_000_000,
        reads=(
            ("detection", "coco:{}/annotations/instances_val2017.json,{}/val2017"),
            ("detection, with masks", "coco:{}/annotations/instances_val2017.json,{}/val2017,masks"),
        ),
    ),
    "voc2012": OfficialSet(
        what="Pascal VOC 2012 trainval: 20 classes, boxes of 11,540 pictures, masks of 2,913",
        files=(
            File(
                "https://thor.robots.ox.ac.uk/pascal/VOC/voc2012/VOCtrainval_11-May-2012.tar",
                "e14f763270cf193d0b5f74b169f44157a4b0c6efa708f4dd0ff78ee691763bcb",
                1_999_639_040,
            ),
        ),
        licence="Flickr terms of use (the pictures)",
        stated="http://host.robots.ox.ac.uk/pascal/VOC/voc2012/#rights",
        notes="The pictures are Flickr's and are used on Flickr's terms.",
        make=unpacked(
            tuple(
                f"VOCdevkit/VOC2012/{part}"
                for part in ("JPEGImages/*", "Annotations/*", "ImageSets/*", "SegmentationClass/*")
            ),
            Limits(2_400_000_000, 60_000),
        ),
        room=2_000_000_000,
        reads=(
            ("detection", "voc:{}/VOCdevkit/VOC2012,val"),
            ("segmentation", "voc:{}/VOCdevkit/VOC2012,val"),
        ),
    ),
    "imagenette-160": _imagenette(
        160, 98_948_031, "88daccb09b6fce93f45e6c09ddeb269cce705549e6bff322092a2a5a11489863"
    ),
    "imagenette-320": _imagenette(
        320, 341_553_947, "5020a9130cea0348272823cb12d2db7e981c6f2afa3dce71ccd5b8013005c55e"
    ),
}

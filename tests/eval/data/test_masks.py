"""Masks told by colour, and where masks are found."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from eval.data.tables import open_data
from eval.errors import DatasetError
from models.decoding import encode_png
from models.results import Array

REAL = Path(os.environ.get("ASSAY_DATA_DIR", "../shared/data")) / "camvid"
PALETTE = "# CamVid\n128 0 128\tCar\n64, 64, 0, Bicyclist\n0 0 0\t\tignore\n192 0 128  Car\n"
PIXELS = np.array([[[128, 0, 128], [64, 64, 0]], [[0, 0, 0], [192, 0, 128]]], np.uint8)


def colours(root: Path, pixels: Array = PIXELS, palette: str = PALETTE) -> str:
    for name in ("images", "masks"):
        (root / name).mkdir()
    (root / "images" / "a.png").write_bytes(encode_png(np.zeros((2, 2, 3), np.uint8)))
    (root / "masks" / "a_L.png").write_bytes(encode_png(pixels))
    (root / "colors.txt").write_text(palette)
    return f"masks:{root / 'images'},{root / 'masks'},{root / 'colors.txt'}"


def test_colours_are_classes(tmp_path: Path) -> None:
    data = open_data(colours(tmp_path), "segmentation")
    assert data.labels == ("Car", "Bicyclist")
    expected = data[0].expected
    assert isinstance(expected, np.ndarray)
    assert expected.tolist() == [[0, 1], [255, 0]]
    assert expected.dtype == np.uint8


def test_a_palette_picture_is_its_colours(tmp_path: Path) -> None:
    name = colours(tmp_path)
    picture = Image.fromarray(np.array([[3, 1]], np.uint8), "P")
    picture.putpalette([9, 9, 9, 64, 64, 0, 9, 9, 9, 128, 0, 128])
    picture.save(tmp_path / "masks" / "a.png")  # the same stem comes before STEM_L
    expected = open_data(name, "segmentation")[0].expected
    assert isinstance(expected, np.ndarray)
    assert expected.tolist() == [[0, 1]]


def test_a_colour_without_a_name(tmp_path: Path) -> None:
    pixels = PIXELS.copy()
    pixels[1, 0] = [1, 2, 3]
    name = colours(tmp_path, pixels)
    with pytest.raises(DatasetError, match=r"a_L\.png: the colour \[1, 2, 3\] has no name in .*colors\.txt"):
        open_data(name, "segmentation")[0]
    (tmp_path / "colors.txt").write_text(f"{PALETTE}* Rest of it\n")
    data = open_data(name, "segmentation")
    assert data.labels == ("Car", "Bicyclist", "Rest of it")
    assert np.asarray(data[0].expected).tolist() == [[0, 1], [2, 0]]


@pytest.mark.parametrize(
    ("palette", "message"),
    [
        ("1 2 3 x\n1 2 300 y\n", r"colors\.txt:2: must be `R G B NAME`, each 0 to 255, got '1 2 300 y'"),
        ("1 2 3 x\n\nroad\n", r"colors\.txt:3: must be `R G B NAME`"),
        ("1 2 3 x\n1,2,3 y\n", r"colors\.txt:2: a colour must be named once"),
        (
            "1 2 3 x\n" + "".join(f"1 {i} 4 c{i}\n" for i in range(256)),
            "must name at most 255 classes, got 257",
        ),
    ],
)
def test_a_broken_palette(tmp_path: Path, palette: str, message: str) -> None:
    with pytest.raises(DatasetError, match=message):
        open_data(colours(tmp_path, palette=palette), "segmentation")


def test_a_mask_that_is_no_picture(tmp_path: Path) -> None:
    name = colours(tmp_path)
    (tmp_path / "masks" / "a_L.png").write_bytes(b"x")
    with pytest.raises(DatasetError, match=r"a_L\.png must be a colour mask"):
        open_data(name, "segmentation")[0]


def test_masks_of_cities_lie_below_the_same_folders(tmp_path: Path) -> None:
    """As Cityscapes has them: by index, and by colour where the names are told by colour."""
    picture, stem = encode_png(np.zeros((2, 2, 3), np.uint8)), "aachen/aachen_000000_000019"
    for name in ("images/aachen", "masks/aachen"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "images" / f"{stem}_leftImg8bit.png").write_bytes(picture)
    Image.fromarray(np.array([[1, 0], [0, 0]], np.uint8)).save(
        tmp_path / "masks" / f"{stem}_gtFine_labelIds.png"
    )
    (tmp_path / "masks" / f"{stem}_gtFine_color.png").write_bytes(encode_png(PIXELS))
    (tmp_path / "names.txt").write_text("sky\nroad\n")
    (tmp_path / "colors.txt").write_text(PALETTE)
    folders = f"masks:{tmp_path}/images,{tmp_path}/masks"
    for names, want in (("names", [[1, 0], [0, 0]]), ("colors", [[0, 1], [255, 0]])):
        data = open_data(f"{folders},{tmp_path}/{names}.txt", "segmentation")
        assert data.ids == [f"{stem}_leftImg8bit.png"]
        assert np.asarray(data[0].expected).tolist() == want


@pytest.mark.data
def test_real_masks_in_colour_are_the_masks_by_index(tmp_path: Path) -> None:
    """CamVid's masks, painted with a palette, read back."""
    if not REAL.is_dir():
        pytest.skip("ASSAY_DATA_DIR has no camvid")
    paint = np.random.default_rng(5).permutation(1 << 24)[:12]
    palette = np.stack([paint >> 16, paint >> 8 & 255, paint & 255], axis=1).astype(np.uint8)
    by_index = open_data(f"masks:{REAL / 'val'},{REAL / 'valannot'}", "segmentation").first(3)
    (tmp_path / "images").mkdir()
    (tmp_path / "masks").mkdir()
    (tmp_path / "colors.txt").write_text(
        "".join(f"{r} {g} {b} class {i}\n" for i, (r, g, b) in enumerate(palette.tolist()))
    )
    for sample in by_index:
        (tmp_path / "images" / sample.id).write_bytes(sample.file)
        (tmp_path / "masks" / sample.id).write_bytes(encode_png(palette[np.asarray(sample.expected)]))
    name = f"masks:{tmp_path / 'images'},{tmp_path / 'masks'},{tmp_path / 'colors.txt'}"
    by_colour = open_data(name, "segmentation")
    assert by_colour.labels == by_index.labels
    for one, other in zip(by_colour, by_index, strict=True):
        np.testing.assert_array_equal(np.asarray(one.expected), np.asarray(other.expected))

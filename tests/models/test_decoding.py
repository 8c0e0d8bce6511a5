"""Bytes become exactly Pillow's pixels, fast where they can be, and broken ones are refused."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pytest
import simplejpeg
from PIL import Image, ImageOps

from models.decoding import (
    Header,
    TooManyPixels,
    UnreadableImage,
    decode,
    decode_labels,
    encode_png,
    peek,
    read_picture,
)
from models.results import Array, Shape

ORIENTATION = 0x0112
SIZES = [(1, 1), (1, 40), (5, 64), (7, 7), (8, 8), (13, 17), (37, 53), (64, 9), (130, 171)]


def picture(height: int = 37, width: int = 53, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def saved(image: Array, format: str = "JPEG", mode: str = "RGB", **options: Any) -> bytes:  # noqa: A002
    buffer = io.BytesIO()
    made = Image.fromarray(image)
    (made if made.mode == mode else made.convert(mode)).save(buffer, format, **options)
    return buffer.getvalue()


def turned(turn: int) -> Image.Exif:
    exif = Image.Exif()
    exif[ORIENTATION] = turn
    return exif


def pillows(data: bytes) -> Array:
    """What Pillow makes of it, upright."""
    with Image.open(io.BytesIO(data)) as opened:
        return np.asarray(ImageOps.exif_transpose(opened).convert("RGB"))


def refuse(pixels: int) -> None:
    raise OverflowError(pixels)


@pytest.mark.parametrize(
    "image", [picture(), np.repeat(picture()[..., :1], 3, axis=2)], ids=["colour", "grey"]
)
def test_png_there_and_back_is_identity(image: Array) -> None:
    assert np.array_equal(decode(encode_png(image)), image)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "BMP", "GIF", "TIFF"])
def test_peek_reads_only_the_header(format: str) -> None:  # noqa: A002
    data = saved(picture(), format)
    assert peek(data) == Header(format, 53, 37)
    assert peek(data[: len(data) // 2]) == Header(format, 53, 37) if format in ("JPEG", "PNG") else True


@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "LA", "1", "CMYK"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    data = saved(picture(), "TIFF" if mode == "CMYK" else "PNG", mode)
    assert decode(data).shape == (37, 53, 3)
    assert np.array_equal(decode(memoryview(data)), decode(data))


def test_sixteen_bit_greys_are_scaled() -> None:
    levels = np.array([[0, 255, 256, 65535]], np.uint16)
    assert decode(saved(levels, "PNG", "I;16"))[0, :, 0].tolist() == [0, 0, 1, 255]


def test_transparency_is_dropped() -> None:
    clear = np.dstack([picture(), np.zeros((37, 53), np.uint8)])
    assert np.array_equal(decode(saved(clear, "PNG", "RGBA")), picture())


JPEGS: dict[str, dict[str, Any]] = {
    "4:2:0": {"subsampling": 2},
    "4:2:2": {"subsampling": 1},
    "4:4:4": {"subsampling": 0},
    "progressive": {"progressive": True},
    "best": {"quality": 100, "subsampling": 0},
    "worst": {"quality": 1},
    "restarts": {"restart_marker_blocks": 2},
    "grey": {"mode": "L"},
    "grey, progressive": {"mode": "L", "progressive": True},
    "RGB as it is": {"keep_rgb": True},
}


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("name", JPEGS)
def test_jpegs_are_exactly_pillows(name: str, size: Shape, monkeypatch: pytest.MonkeyPatch) -> None:
    data = saved(picture(*size), **JPEGS[name])
    want = pillows(data)
    monkeypatch.setattr(Image, "open", refuse)  # the fast way alone
    for told in (data, memoryview(data)):
        got = read_picture(told)
        assert np.array_equal(got.pixels, want)
        assert got.pixels.dtype == np.uint8
        assert (got.shape, got.scale) == (size, 1.0)


@pytest.mark.parametrize("format", ["JPEG", "PNG", "TIFF", "WEBP"])
@pytest.mark.parametrize("turn", range(1, 9))
def test_pictures_are_turned_upright(format: str, turn: int) -> None:  # noqa: A002
    options: dict[str, Any] = {"lossless": True} if format == "WEBP" else {}
    data = saved(picture(13, 40), format, exif=turned(turn), **options)
    got = read_picture(data)
    assert np.array_equal(got.pixels, pillows(data))
    assert got.shape == ((40, 13) if turn >= 5 else (13, 40))
    assert got.pixels.flags.c_contiguous


@pytest.mark.parametrize("turn", [0, 9, 65535])
def test_turns_that_are_none_are_let_be(turn: int) -> None:
    assert decode(saved(picture(13, 40), exif=turned(turn))).shape == (13, 40, 3)


XMP = b"http://ns.adobe.com/xap/1.0/\0" + (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
)


def segment(marker: int, data: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(data) + 2).to_bytes(2, "big") + data


EXIF = segment(0xE1, turned(6).tobytes())
HEADS = {
    "in XMP": segment(0xE1, XMP),
    "behind a large profile": segment(0xE2, bytes(65_000)) * 2 + EXIF,
    "behind filling": b"\xff" * 9 + EXIF,
    "behind 2,000 remarks": segment(0xFE, b"") * 2000 + EXIF,
}


@pytest.mark.parametrize("name", HEADS)
def test_the_turn_is_found_where_pillow_finds_it(name: str) -> None:
    plain = saved(picture(13, 40))
    data = plain[:2] + HEADS[name] + plain[2:]
    want = pillows(data)
    assert want.shape == (40, 13, 3)
    assert np.array_equal(decode(data), want)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data:UserWarning")
def test_broken_exif_of_an_intact_picture_is_let_be() -> None:
    plain = saved(picture(13, 40))
    data = plain[:2] + segment(0xE1, b"Exif\0\0MM\0*\xff\xff\xff\xff") + plain[2:]
    assert np.array_equal(decode(data), decode(plain))


def test_what_the_fast_way_cannot_read_falls_back() -> None:
    cmyk = saved(picture(), mode="CMYK")
    assert np.array_equal(decode(cmyk), pillows(cmyk))
    whole = saved(picture(), restart_marker_blocks=2)
    odd = whole[:-2] + b"\x12" * 40 + whole[-2:]
    with pytest.raises(ValueError, match="extraneous"):
        simplejpeg.decode_jpeg(odd)
    assert np.array_equal(decode(odd), pillows(odd))


def test_pixels_are_counted_once_and_before_they_are_decoded() -> None:
    whole = saved(picture(), restart_marker_blocks=2)
    odd = whole[:-2] + b"\x12" * 40 + whole[-2:]  # both readers have a look at it
    for data in (whole, odd, saved(picture(), mode="CMYK"), encode_png(picture())):
        told: list[int] = []
        read_picture(data, admit=told.append)
        assert sum(told) == 37 * 53
        with pytest.raises(OverflowError):
            read_picture(data, admit=refuse)
        with pytest.raises(OverflowError):
            read_picture(data[:-30], admit=refuse)  # the header suffices


def test_pixels_that_only_the_second_reader_finds_are_counted_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file can be made to look small to one reader and large to the other."""

    def fail(*_: object, **__: object) -> None:
        raise ValueError("cannot be read")

    monkeypatch.setattr(simplejpeg, "decode_jpeg_header", lambda data: (10, 10, "YCbCr", "420"))
    monkeypatch.setattr(simplejpeg, "decode_jpeg", fail)
    told: list[int] = []
    read_picture(saved(picture()), admit=told.append)
    assert told == [100, 37 * 53 - 100]


BROKEN = {
    "text": b"http://127.0.0.1/picture.png",
    "nothing": b"",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "a format that is not read": saved(picture(), "PPM"),
    "JPEG, only its mark": b"\xff\xd8\xff",
    "JPEG cut short": saved(picture(200, 200))[:700],
    "JPEG without its last bytes": saved(picture(200, 200))[:-60],
    "progressive JPEG cut short": saved(picture(200, 200), progressive=True)[:9000],
    "CMYK JPEG cut short": saved(picture(200, 200), mode="CMYK")[:9000],
    "PNG cut short": encode_png(picture(200, 200))[:-900],
    "WebP cut short": saved(picture(200, 200), "WEBP")[:-900],
}


@pytest.mark.parametrize("data", BROKEN.values(), ids=BROKEN)
def test_broken_pictures_are_refused(data: bytes) -> None:
    with pytest.raises(UnreadableImage):
        decode(data)


def test_pillows_own_limit_is_told_as_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    with pytest.raises(TooManyPixels):
        decode(encode_png(picture()))


def test_masks_keep_their_numbers() -> None:
    indices = np.arange(12, dtype=np.uint8).reshape(3, 4)
    assert np.array_equal(decode_labels(saved(indices, "PNG", "L")), indices)
    assert decode_labels(saved(indices % 2 * 255, "PNG", "1")).max() == 255
    with pytest.raises(UnreadableImage, match="grey or have a palette"):
        decode_labels(encode_png(picture()))

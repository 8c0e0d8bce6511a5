"""Pictures that lie: large ones in few bytes, hidden loads, several frames, two formats at once."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from PIL import Image

__all__ = ["BOMBS", "FRAMES", "HIDDEN", "SEEDS", "STRANGERS", "png", "saved", "scans", "thin", "tiff", "webp"]

SIDE = 3000  # of a picture of nine times the pixels that the service takes


def saved(kind: str, *pictures: Image.Image, **options: object) -> bytes:
    """A file; several pictures make several frames."""
    more = {"save_all": True, "append_images": list(pictures[1:])} if len(pictures) > 1 else {}
    buffer = io.BytesIO()
    pictures[0].save(buffer, kind, **more, **options)
    return buffer.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def png(
    width: int, height: int, *, bits: int = 1, colour: int = 0, interlaced: int = 0, extra: bytes = b""
) -> bytes:
    """A black PNG by hand, in as few bytes as there can be. `extra` are chunks before the pixels."""
    channels = {0: 1, 2: 3, 3: 1, 6: 4}[colour]
    rows = zlib.compress(bytes(((width * bits * channels + 7) // 8 + 8) * (height + 8)), 9)
    header = struct.pack(">IIBBBBB", width, height, bits, colour, 0, 0, interlaced)
    palette = _chunk(b"PLTE", bytes(3)) if colour == 3 else b""
    chunks = [_chunk(b"IHDR", header), palette, extra, _chunk(b"IDAT", rows), _chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def thin(pixels: int) -> bytes:
    """One row; cropped to its middle it would first be scaled to `pixels` times the height of the input."""
    return png(pixels, 1)


def tiff(tile: int, *, side: int = 16) -> bytes:
    """A picture of 16 x 16 pixels in one tile of `tile` x `tile`: a reader makes room for the tile."""
    data = zlib.compress(bytes(tile * tile), 9)
    data += b"\0" * (len(data) % 2)
    fields = {256: side, 257: side, 258: 8, 259: 8, 262: 1, 277: 1, 322: tile, 323: tile, 324: 8}
    fields[325] = len(data)
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in fields.items())
    directory = struct.pack("<H", len(fields)) + directory + bytes(4)
    return b"II*\0" + struct.pack("<I", 8 + len(data)) + data + directory


def scans(side: int, count: int) -> bytes:
    """A progressive JPEG of many scans that change nothing: each is 33 bytes and one pass over all blocks."""
    whole = saved("JPEG", Image.new("L", (side, side), 128), progressive=True)
    left, bits = ((side + 7) // 8) ** 2, ""
    while left > 0:  # runs of up to 32,767 blocks, as a one-bit code and fourteen bits
        run = max(16384, min(left, 32767))
        bits += "0" + format(run - 16384, "014b")
        left -= run
    bits += "1" * (-len(bits) % 8)
    data = int(bits, 2).to_bytes(len(bits) // 8, "big").replace(b"\xff", b"\xff\0")
    table = b"\xff\xc4" + struct.pack(">H", 20) + bytes([0x10, 1, *[0] * 15, 0xE0])
    scan = b"\xff\xda" + struct.pack(">HBBBBBB", 8, 1, 1, 0, 1, 63, 0) + data
    return whole[:-2] + table + scan * count + b"\xff\xd9"


def webp(side: int) -> bytes:
    """An animation whose canvas is large and whose one frame is small."""
    frame = bytes(6) + (15).to_bytes(3, "little") * 2 + (10).to_bytes(3, "little") + b"\0"
    frame += saved("WEBP", Image.new("RGB", (16, 16)), lossless=True)[12:]
    canvas = bytes([2, 0, 0, 0]) + (side - 1).to_bytes(3, "little") * 2
    body = b"WEBP" + b"VP8X" + struct.pack("<I", len(canvas)) + canvas
    body += b"ANIM" + struct.pack("<I", 6) + bytes(6) + b"ANMF" + struct.pack("<I", len(frame)) + frame
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _bmp(width: int, height: int) -> bytes:
    return b"BM" + struct.pack("<IHHIIiiHHIIiiII", 54, 0, 0, 54, 40, width, height, 1, 24, *[0] * 6)


def _gif(side: int) -> bytes:
    """A canvas of one pixel and a frame that is larger: Pillow's size is the frame's."""
    canvas = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    return canvas + b"," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x4c\x01\x00;"


BOMBS: Mapping[str, Callable[[], bytes]] = {
    "png": lambda: png(20_000, 20_000),
    "png at the reader's own limit": lambda: png(9_000, 9_000),
    "png 16 bit": lambda: png(SIDE, SIDE, bits=16, colour=6),
    "png interlaced": lambda: png(SIDE, SIDE, bits=8, colour=2, interlaced=1),
    "png palette": lambda: png(SIDE, SIDE, colour=3),
    "png of the largest size": lambda: (
        png(1, 1)[:8] + _chunk(b"IHDR", b"\x7f\xff\xff\xff" * 2 + b"\1\0\0\0\0") + _chunk(b"IDAT", b"")
    ),
    "jpeg": lambda: saved("JPEG", Image.new("L", (SIDE, SIDE))),
    "jpeg progressive": lambda: saved("JPEG", Image.new("RGB", (SIDE, SIDE)), progressive=True),
    "jpeg for printers": lambda: saved("JPEG", Image.new("CMYK", (SIDE, SIDE))),
    "gif": lambda: saved("GIF", Image.new("L", (SIDE, SIDE))),
    "gif frame beyond its canvas": lambda: _gif(SIDE),
    "bmp": lambda: _bmp(SIDE, SIDE),
    "bmp upside down": lambda: _bmp(SIDE, -SIDE),
    "tiff": lambda: saved("TIFF", Image.new("L", (SIDE, SIDE)), compression="tiff_deflate"),
    "webp": lambda: saved("WEBP", Image.new("RGB", (SIDE, SIDE)), lossless=True),
    "webp canvas": lambda: webp(13_000),
}

_BIG = zlib.compress(bytes(100_000_000), 9)
_PICTURE = saved("PNG", Image.new("L", (16, 16), 230))


def _jpeg_segments() -> bytes:
    whole = saved("JPEG", Image.new("L", (16, 16), 230))
    return whole[:2] + (b"\xff\xe1\xff\xffExif\0\0" + bytes(65527)) * 14 + whole[2:]


HIDDEN: Mapping[str, Callable[[], bytes]] = {
    "zTXt": lambda: png(8, 8, extra=_chunk(b"zTXt", b"k\0\0" + _BIG)),
    "iTXt": lambda: png(8, 8, extra=_chunk(b"iTXt", b"k\0\1\0\0\0" + _BIG)),
    "iCCP": lambda: png(8, 8, extra=_chunk(b"iCCP", b"k\0\0" + _BIG)),
    "many texts": lambda: png(
        8, 8, extra=_chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(1_000_000), 9)) * 500
    ),
    "EXIF of a PNG": lambda: png(8, 8, extra=_chunk(b"eXIf", b"II*\0\x08\0\0\0\xff\xff" + b"\xff" * 60_000)),
    "EXIF of a JPEG": _jpeg_segments,
    "pixels beyond the picture": lambda: (
        _PICTURE[:33] + _chunk(b"IDAT", _BIG) + _chunk(b"IEND", b"")  # behind signature and header
    ),
}


def _frames(kind: str, **options: object) -> bytes:
    """The first is light, forty more are dark."""
    shades = [230, *[20] * 40]
    frames = [Image.new("RGB", (20, 10), (level, level, max(0, level - i))) for i, level in enumerate(shades)]
    return saved(kind, *frames, **options)


FRAMES: Mapping[str, Callable[[], bytes]] = {
    "GIF": lambda: _frames("GIF"),
    "APNG": lambda: _frames("PNG"),
    "TIFF": lambda: _frames("TIFF"),
    "WebP": lambda: _frames("WEBP", lossless=True),
    "MPO": lambda: _frames("MPO"),
}

NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8))
SEEDS: Mapping[str, bytes] = {
    "PNG": saved("PNG", NOISE),
    "JPEG": saved("JPEG", NOISE),
    "progressive JPEG": saved("JPEG", NOISE, progressive=True),
    "GIF": saved("GIF", NOISE),
    "WebP": saved("WEBP", NOISE, lossless=True),
    "TIFF": saved("TIFF", NOISE, compression="tiff_lzw"),
    "BMP": saved("BMP", NOISE),
}


def _strangers() -> Sequence[tuple[str, bytes]]:
    """Pictures and documents of other formats, and mixtures that begin like something else."""
    pixel = Image.new("RGB", (16, 16))
    others = [(kind, saved(kind, pixel)) for kind in ("PPM", "TGA", "PCX", "SGI", "ICO", "EPS", "PDF", "DDS")]
    return [
        *others,
        ("svg", b"<svg xmlns='http://www.w3.org/2000/svg'><image href='file:///etc/passwd'/></svg>"),
        ("html before a png", b"<html><script>alert(1)</script></html>" + _PICTURE),
        ("zip before a gif", b"PK\3\4" + bytes(26) + saved("GIF", pixel)),
        ("postscript", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(/etc/passwd) run\n"),
        ("playlist", b"#EXTM3U\nhttp://127.0.0.1:1/i.png\n"),
        ("pickle", b"\x80\x04\x95" + bytes(40)),
        ("one byte", b"\x89"),
        ("nothing", b""),
    ]


STRANGERS: Mapping[str, bytes] = dict(_strangers())

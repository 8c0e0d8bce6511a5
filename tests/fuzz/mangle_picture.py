"""Picture files, broken by their parts and not only anywhere; PNG has a file of its own."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from random import Random

from tests.fuzz.mangle import mangled, number
from tests.fuzz.mangle_png import PNG, mangled_png
from tests.fuzz.parts import EXIF_HEAD, SIDES, Part, exif, length, shuffled

__all__ = ["mangled_picture"]


def mangled_picture(data: bytes, chance: Random, others: Sequence[bytes]) -> bytes:
    """The file after a few changes to its parts, or to its bytes where it has none that are known."""
    kinds: tuple[tuple[bytes, Callable[[bytes, Random, Sequence[bytes]], bytes]], ...] = (
        (PNG, mangled_png),
        (b"\xff\xd8", _jpeg),
        (b"RIFF", _riff),
        (b"II*\0", _tiff),
        (b"MM\0*", _tiff),
        (b"BM", _bmp),
        (b"GIF8", _gif),
    )
    way = next((way for magic, way in kinds if data.startswith(magic)), mangled)
    made = way(data, chance, others) if chance.random() < 0.75 else mangled(data, chance, others)
    return mangled(made, chance, others, most=1) if chance.random() < 0.15 else made


def _jpeg(data: bytes, chance: Random, others: Sequence[bytes]) -> bytes:
    parts: list[Part] = []
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] != 0xDA:
        size = int.from_bytes(data[at + 2 : at + 4], "big")
        parts.append((data[at : at + 2], data[at + 4 : at + 2 + size]))
        at += 2 + size
    scan = data[at:]
    for _ in range(chance.randint(1, 3)):
        match chance.randrange(5):
            case 0:
                parts = [_jpeg_frame(part, chance) for part in parts]
            case 1:
                marker = chance.choice((b"\xff\xe1", b"\xff\xee", b"\xff\xe2", b"\xff\xfe", b"\xff\xdd"))
                body = (
                    EXIF_HEAD + exif(chance) if marker[1] == 0xE1 else chance.randbytes(chance.randint(0, 20))
                )
                parts.insert(chance.randint(0, len(parts)), (marker, body))
            case 2:
                scan = mangled(scan, chance, others, most=2)
            case _:
                shuffled(parts, chance, others)
    made = [name + length(len(body) + 2, 2, chance) + body for name, body in parts]
    return b"\xff\xd8" + b"".join(made) + scan


def _jpeg_frame(part: Part, chance: Random) -> Part:
    """A start of frame with another height, width, number of components or sampling; the rest unchanged."""
    name, body = part
    if not 0xC0 <= name[1] <= 0xCF or name[1] in (0xC4, 0xC8, 0xCC) or len(body) < 6:
        return part
    fields = bytearray(body)
    at = chance.choice((1, 3))
    fields[at : at + 2] = (chance.choice(SIDES) % 65536).to_bytes(2, "big")
    if chance.random() < 0.3:
        fields[chance.randrange(5, len(fields))] = chance.randrange(256)
    marker = bytes((0xFF, chance.choice((0xC0, 0xC1, 0xC2, 0xC3, 0xC9)))) if chance.random() < 0.2 else name
    return marker, bytes(fields)


def _riff(data: bytes, chance: Random, others: Sequence[bytes]) -> bytes:
    parts: list[Part] = []
    at = 12
    while at + 8 <= len(data):
        size = int.from_bytes(data[at + 4 : at + 8], "little")
        parts.append((data[at : at + 4], data[at + 8 : at + 8 + size]))
        at += 8 + size + size % 2
    for _ in range(chance.randint(1, 3)):
        if chance.random() < 0.2:
            name = chance.choice(
                (b"VP8X", b"ALPH", b"ANIM", b"ANMF", b"EXIF", b"ICCP", b"VP8 ", b"VP8L", b"XMP ")
            )
            body = (
                EXIF_HEAD[6:] + exif(chance) if name == b"EXIF" else chance.randbytes(chance.randint(0, 20))
            )
            parts.insert(chance.randint(0, len(parts)), (name, body))
        else:
            shuffled(parts, chance, others)
    inner = b"".join(
        name + length(len(body), 4, chance, "little") + body + bytes(len(body) % 2) for name, body in parts
    )
    return b"RIFF" + length(len(inner) + 4, 4, chance, "little") + b"WEBP" + inner


def _tiff(data: bytes, chance: Random, others: Sequence[bytes]) -> bytes:
    """Entries of the first directory: other tags, types, counts, values; and a chain that may be a ring."""
    order = "<" if data[:1] == b"I" else ">"
    made = bytearray(data)
    (start,) = struct.unpack_from(order + "I", made, 4)
    if start + 2 > len(made):
        return mangled(data, chance, others)
    (count,) = struct.unpack_from(order + "H", made, start)
    for _ in range(chance.randint(1, 3)):
        at = start + 2 + 12 * chance.randrange(max(1, count))
        if at + 16 > len(made):
            break
        match chance.randrange(5):
            case 0:
                struct.pack_into(
                    order + "H", made, at, chance.choice((256, 257, 258, 259, 262, 273, 277, 279, 317))
                )
            case 1:
                struct.pack_into(order + "H", made, at + 2, chance.randrange(18))
            case 2:
                struct.pack_into(order + "I", made, at + 4, number(chance) % (1 << 32))
            case 3:
                struct.pack_into(order + "I", made, at + 8, number(chance) % (1 << 32))
            case _:
                end = min(start + 2 + 12 * count, len(made) - 4)
                struct.pack_into(
                    order + "I", made, end, chance.choice((start, 0, 8, number(chance) % (1 << 32)))
                )
    return bytes(made)


def _bmp(data: bytes, chance: Random, others: Sequence[bytes]) -> bytes:
    """Fields of the header: offset, size of the header, sides, planes, bits, compression, colours."""
    made = bytearray(data)
    at, width = chance.choice(
        ((10, 4), (14, 4), (18, 4), (22, 4), (26, 2), (28, 2), (30, 4), (34, 4), (46, 4))
    )
    value = chance.choice((*SIDES, 12, 40, 108, 124, 3, 4, 8, 16, 24, 32))
    if len(made) >= at + width:
        made[at : at + width] = (value % (1 << 8 * width)).to_bytes(width, "little")
    return bytes(made)


def _gif(data: bytes, chance: Random, others: Sequence[bytes]) -> bytes:
    """The screen's size and flags, or a frame's; extensions in between."""
    made = bytearray(data)
    frame = data.find(b",", 13)
    at = chance.choice((6, 8, 10, max(0, frame) + chance.choice((1, 3, 5, 7, 9, 10))))
    if at + 2 <= len(made):
        made[at : at + 2] = (chance.choice(SIDES) % 65536).to_bytes(2, "little")
    if chance.random() < 0.3 and frame > 0:
        kind = chance.choice((b"\xf9", b"\xfe", b"\xff", b"\x01"))
        body = chance.randbytes(chance.randint(0, 12))
        made[frame:frame] = b"!" + kind + bytes([len(body)]) + body + chance.choice((b"\0", b""))
    return bytes(made)

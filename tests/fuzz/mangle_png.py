"""PNG files, broken chunk by chunk: checksums are made right again, so that a reader gets past them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from random import Random

from tests.fuzz.mangle import number
from tests.fuzz.parts import SIDES, Part, exif, shuffled

__all__ = ["PNG", "mangled_png"]

PNG = b"\x89PNG\r\n\x1a\n"
# Chunks that make readers do something: palettes, profiles, text, animation, EXIF.
NAMES = b"tRNS PLTE iCCP zTXt iTXt tEXt eXIf acTL fcTL fdAT gAMA IHDR IDAT IEND sBIT cHRM pHYs zzzz".split()


def mangled_png(data: bytes, chance: Random, others: Sequence[bytes]) -> bytes:
    parts: list[Part] = []
    at = len(PNG)
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        parts.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    for _ in range(chance.randint(1, 3)):
        match chance.randrange(5):
            case 0:
                parts[0] = b"IHDR", _png_head(parts[0][1], chance)
            case 1:
                body = zlib.compress(bytes(chance.choice((0, 10, 70_000)))) if chance.random() < 0.5 else b""
                made = body or chance.randbytes(chance.randint(0, 30))
                words = b"a\0\0" + made if chance.random() < 0.5 else made
                parts.insert(chance.randint(0, len(parts)), (chance.choice(NAMES), words))
            case 2:
                turned = b"MM\0*\0\0\0\x08" + exif(chance)
                parts.insert(min(1, len(parts)), (b"eXIf", turned))
            case _:
                shuffled(parts, chance, others)
        if not parts:
            break
    return PNG + b"".join(_png_chunk(name, body, chance) for name, body in parts)


def _png_head(body: bytes, chance: Random) -> bytes:
    """Another size, depth, kind of colour or interlacing."""
    fields = bytearray(body.ljust(13, b"\0")[:13])
    match chance.randrange(3):
        case 0:
            at = chance.choice((0, 4))
            fields[at : at + 4] = chance.choice(SIDES).to_bytes(4, "big")
        case 1:
            fields[8:10] = bytes((chance.choice((1, 2, 4, 8, 16, 3)), chance.choice((0, 2, 3, 4, 6, 1))))
        case _:
            fields[chance.randrange(10, 13)] = chance.choice((0, 1, 2, 255))
    return bytes(fields)


def _png_chunk(name: bytes, body: bytes, chance: Random) -> bytes:
    """With its checksum, mostly; and now and then with a length that is not its own."""
    size = len(body) if chance.random() < 0.97 else number(chance) % (1 << 32)
    check = zlib.crc32(name + body) if chance.random() < 0.97 else chance.getrandbits(32)
    return struct.pack(">I", size) + name + body + struct.pack(">I", check)

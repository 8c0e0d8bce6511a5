"""What the formats of pictures share: named parts with a length in front, sides, EXIF."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from random import Random
from typing import TypeAlias

from tests.fuzz.mangle import mangled, number

__all__ = ["EXIF_HEAD", "SIDES", "Part", "exif", "length", "shuffled"]

Part: TypeAlias = tuple[bytes, bytes]  # its name, its bytes
SIDES = (0, 1, 2, 7, 255, 256, 4000, 65535, 1 << 24, (1 << 31) - 1, (1 << 32) - 1)
EXIF_HEAD = b"Exif\0\0MM\0*\0\0\0\x08"
ORIENTATION = 0x0112


def shuffled(parts: list[Part], chance: Random, others: Sequence[bytes]) -> None:
    """One change to which parts there are, or to what one of them holds."""
    if not parts:
        return
    at = chance.randrange(len(parts))
    name, body = parts[at]
    match chance.randrange(7):
        case 0:
            del parts[at]
        case 1:
            parts.insert(chance.randrange(len(parts)), parts[at])
        case 2:
            parts[at : at + 1] = [parts[at]] * chance.choice((2, 3, 40))
        case 3:
            other = chance.randrange(len(parts))
            parts[at], parts[other] = parts[other], parts[at]
        case _:
            parts[at] = name, mangled(body, chance, others, most=2)


def exif(chance: Random) -> bytes:
    """One directory: the orientation, right or absurd, and perhaps a tag that leads anywhere."""
    turn = chance.choice((0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 65535))
    tags = [struct.pack(">HHIHH", ORIENTATION, chance.choice((3, 3, 4, 2, 5, 99)), 1, turn, 0)]
    if chance.random() < 0.5:
        kind, count, where = chance.randrange(14), number(chance) % (1 << 32), number(chance) % (1 << 32)
        tags.append(
            struct.pack(">HHII", chance.choice((0x8769, 0x8825, 0x927C, 0xA005, 1)), kind, count, where)
        )
    return struct.pack(">H", len(tags)) + b"".join(tags) + bytes(4)


def length(true: int, width: int, chance: Random, order: str = "big") -> bytes:
    """A length; a lie now and then."""
    told = true if chance.random() < 0.97 else number(chance)
    return (told % (1 << 8 * width)).to_bytes(width, "big" if order == "big" else "little")

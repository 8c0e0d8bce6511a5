"""Bytes, slightly broken: what any format may meet. The same `Random`, the same bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from random import Random

__all__ = ["NUMBERS", "mangled", "number"]

LARGEST = 1 << 17  # bytes of one input; what is larger is cut
# Where code forgets a sign, a carry or a limit.
NUMBERS = tuple(
    sign * (1 << bits) + more
    for bits in (0, 7, 8, 15, 16, 24, 31, 32, 62, 63, 64)
    for more in (-1, 0, 1)
    for sign in (1, -1)
)
Change = Callable[[bytearray, Random, Sequence[bytes]], None]


def mangled(data: bytes, chance: Random, others: Sequence[bytes] = (), most: int = 4) -> bytes:
    """The bytes after one to `most` changes.

    Args:
        others: what may be spliced in.
    """
    made = bytearray(data)
    for _ in range(chance.randint(1, most)):
        chance.choice(CHANGES)(made, chance, others)
    return bytes(made[:LARGEST])


def number(chance: Random) -> int:
    """One of those that break things, or any small one."""
    return chance.choice(NUMBERS) if chance.random() < 0.7 else chance.randint(-3, 300)


def _span(data: bytearray, chance: Random, longest: int = 64) -> slice:
    """A short piece of the bytes, perhaps an empty one."""
    start = chance.randint(0, len(data))
    return slice(start, min(len(data), start + chance.randint(0, longest)))


def _flip(data: bytearray, chance: Random, others: Sequence[bytes]) -> None:
    for _ in range(chance.randint(1, 6) if data else 0):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _overwrite(data: bytearray, chance: Random, others: Sequence[bytes]) -> None:
    where = _span(data, chance, 8)
    data[where] = chance.randbytes(where.stop - where.start)


def _insert(data: bytearray, chance: Random, others: Sequence[bytes]) -> None:
    at = chance.randint(0, len(data))
    data[at:at] = chance.randbytes(chance.randint(1, 16))


def _drop(data: bytearray, chance: Random, others: Sequence[bytes]) -> None:
    del data[_span(data, chance)]


def _repeat(data: bytearray, chance: Random, others: Sequence[bytes]) -> None:
    where = _span(data, chance)
    times = chance.choice((1, 2, 16, 200))
    data[where.stop : where.stop] = bytes(data[where]) * times


def _swap(data: bytearray, chance: Random, others: Sequence[bytes]) -> None:
    first, second = _span(data, chance), _span(data, chance)
    data[first], data[second] = data[second], data[first]


def _cut(data: bytearray, chance: Random, others: Sequence[bytes]) -> None:
    del data[chance.randint(0, len(data)) :]


def _splice(data: bytearray, chance: Random, others: Sequence[bytes]) -> None:
    other = chance.choice(others) if others else bytes(data)
    start = chance.randint(0, len(other))
    at = chance.randint(0, len(data))
    if chance.random() < 0.5:
        data[at:] = other[start:]
    else:
        data[at:at] = other[start : start + chance.randint(1, 200)]


def _field(data: bytearray, chance: Random, others: Sequence[bytes]) -> None:
    """Some bytes taken for a length, a size or an offset."""
    width = chance.choice((1, 2, 4, 8))
    if len(data) < width:
        return
    at = chance.randrange(len(data) - width + 1)
    value = number(chance) % (1 << 8 * width)
    data[at : at + width] = value.to_bytes(width, chance.choice(("little", "big")))


def _digits(data: bytearray, chance: Random, others: Sequence[bytes]) -> None:
    """A number written in digits."""
    found = [i for i, byte in enumerate(data) if 48 <= byte <= 57]
    if found:
        at = chance.choice(found)
        data[at : at + 1] = str(number(chance)).encode()


def _blank(data: bytearray, chance: Random, others: Sequence[bytes]) -> None:
    where = _span(data, chance)
    data[where] = bytes([chance.choice((0, 32, 255))]) * (where.stop - where.start)


CHANGES: tuple[Change, ...] = (
    _flip, _flip, _overwrite, _insert, _drop, _repeat, _swap, _cut, _splice, _field, _field, _digits, _blank,
)  # fmt: skip

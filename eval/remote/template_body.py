"""The body of a request to any JSON API: the template's text with a picture in its place.

The text around the picture is written once; a request only joins bytes.
"""

from __future__ import annotations

import base64
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson

from models.decoding import decode

__all__ = ["Body", "form_of", "mime_of"]

BOUNDARY = b"assay-5f0e6b7c9a"
MAGIC = (
    (b"\x89PNG", "image/png"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"RIFF", "image/webp"),
    (b"GIF8", "image/gif"),
    (b"BM", "image/bmp"),
    (b"II*\0", "image/tiff"),
    (b"MM\0*", "image/tiff"),
)
MARK = "\x00the picture\x00"
MOST_VALUES = 10_000  # in a body, picture apart
DEEPEST = 32


def mime_of(file: bytes) -> str:
    """What a picture file is, by its first bytes."""
    return next((mime for magic, mime in MAGIC if file.startswith(magic)), "application/octet-stream")


def form_of(files: Sequence[bytes], field: str, *, typed: bool = True) -> tuple[bytes, str]:
    """A form with the files in one field, and its content type.

    The boundary is made longer until no file holds it.

    Args:
        typed: say of each file what it is.
    """
    boundary = next(b for n in itertools.count() if not any((b := BOUNDARY + b"%d" % n) in f for f in files))
    head = b'--%b\r\ncontent-disposition: form-data; name="%b"; filename="i"' % (boundary, field.encode())
    parts: list[bytes] = []
    for file in files:
        kind = b"\r\ncontent-type: " + mime_of(file).encode() if typed else b""
        parts += (head, kind, b"\r\n\r\n", file, b"\r\n")
    body = b"".join([*parts, b"--", boundary, b"--\r\n"])
    return body, f"multipart/form-data; boundary={boundary.decode()}"


def _base64(file: bytes) -> bytes:
    return b'"' + base64.b64encode(file) + b'"'


def _data_url(file: bytes) -> bytes:
    return b'"data:' + mime_of(file).encode() + b";base64," + base64.b64encode(file) + b'"'


def _pixels(file: bytes) -> bytes:
    return orjson.dumps(decode(file), option=orjson.OPT_SERIALIZE_NUMPY)


PLACES: Mapping[str, Callable[[bytes], bytes]] = {
    "{base64}": _base64,
    "{data_url}": _data_url,
    "{pixels}": _pixels,
}


@dataclass(frozen=True, slots=True)
class Body:
    """JSON with a hole.

    Attributes:
        before, after: the text around what is there for each picture.
        head, tail: the text around one picture, where there may be several.
    """

    before: bytes
    head: bytes
    write: Callable[[bytes], bytes]
    tail: bytes
    after: bytes

    @classmethod
    def of(cls, value: Any, images: int) -> Body:
        """Read from a template's `json`.

        Raises:
            ValueError: not just one place for the picture, or no list of one for several.
        """
        found = list(_places(value, (), [0]))
        if len(found) != 1:
            raise ValueError(f"json must hold one of {', '.join(PLACES)} once, got {len(found)}")
        (place, name), write = found[0], PLACES[found[0][1]]
        if images == 1:
            before, after = _around(value, place)
            return cls(before, b"", write, b"", after)
        lists = [n for n in range(len(place)) if isinstance(_at(value, place[:n]), list)]
        lists = [n for n in lists if len(_at(value, place[:n])) == 1]
        if not lists:
            raise ValueError(f"json must hold {name} in a list of one element, to be made longer")
        before, after = _around(value, place[: lists[-1]])
        element, within = _at(value, place[: lists[-1] + 1]), place[lists[-1] + 1 :]
        head, tail = _around(element, within)
        return cls(before + b"[", head, write, tail, b"]" + after)

    def filled(self, files: Sequence[bytes]) -> bytes:
        """The body with pictures. Raises UnreadableImage where pixels are wanted of what is no picture."""
        pictures = b",".join([self.head + self.write(file) + self.tail for file in files])
        return b"".join((self.before, pictures, self.after))


def _places(value: Any, at: tuple[Any, ...], count: list[int]) -> Any:
    """Every placeholder and where it is; YAML's aliases may make a small file a huge tree."""
    count[0] += 1
    if count[0] > MOST_VALUES or len(at) > DEEPEST:
        raise ValueError(f"json must have at most {MOST_VALUES} values, {DEEPEST} deep")
    if isinstance(value, str) and value in PLACES:
        yield at, value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from _places(inner, (*at, key), count)
    elif isinstance(value, list):
        for key, inner in enumerate(value):
            yield from _places(inner, (*at, key), count)


def _at(value: Any, place: Sequence[Any]) -> Any:
    for key in place:
        value = value[key]
    return value


def _around(value: Any, place: Sequence[Any]) -> tuple[bytes, bytes]:
    """The JSON of a value before and behind one place in it."""
    try:
        text = orjson.dumps(_marked(value, place))
    except TypeError as error:  # dates, keys that are numbers
        raise ValueError(f"json must be plain: {error}") from error
    before, mark, after = text.partition(orjson.dumps(MARK))
    if not mark or MARK in str(value):
        raise ValueError("json must be text that can be read")
    return before, after


def _marked(value: Any, place: Sequence[Any]) -> Any:
    if not place:
        return MARK
    if isinstance(value, dict):
        return {**value, place[0]: _marked(value[place[0]], place[1:])}
    return [*value[: place[0]], _marked(value[place[0]], place[1:]), *value[place[0] + 1 :]]

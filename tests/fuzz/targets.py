"""What is fed, by itself and in this process: for each, how an input is made and what it may end with."""

from __future__ import annotations

import base64
import gzip
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from python_multipart.multipart import parse_options_header

from models.decoding import UnreadableImage, read_picture
from models.graphfile import BrokenGraph, external_tensors
from models.imaging import fit
from models.tensors import DATATYPES, BadTensor, read_json, read_raw
from service.access import Access
from service.body import _decompressed
from service.calls import Call
from service.errors import ServiceError
from service.intake import Pixels
from service.multipart import Parts
from tests.fuzz.asks import ADMIN_KEY
from tests.fuzz.asks_form import form, some_picture
from tests.fuzz.asks_v2 import SHAPES, infer_body
from tests.fuzz.edge import Refused, Served, asked
from tests.fuzz.mangle import mangled, number
from tests.fuzz.mangle_json import WORDS, strange
from tests.fuzz.served import graphs

__all__ = ["Target", "targets"]


@dataclass(frozen=True)
class Target:
    """One entrance.

    Attributes:
        share: how many of the inputs it gets, as a weight.
        make: an input of it, from chance alone.
        run: feeds it; returning is acceptance.
        refusals: what it may raise; anything else is a bug.
    """

    name: str
    share: int
    make: Callable[[Random], Any]
    run: Callable[[Any], object]
    refusals: tuple[type[Exception], ...] = (ServiceError,)


def targets(served: Served, folder: Path) -> list[Target]:
    """Every entrance. `folder` gets the files that some of them need."""
    keys = folder / "keys"
    keys.write_text(f"{ADMIN_KEY}\n")
    access = Access(None, keys), Access(keys, keys)
    return [
        Target(
            "infer", 20, lambda chance: infer_body(chance, some_picture), lambda told: served.loaded(*told)
        ),
        Target("form", 10, lambda chance: form(chance, [("model", "lamp"), ("top_k", "3")]), _form(served)),
        Target("picture", 22, _picture, _read_picture(served), (UnreadableImage, ServiceError)),
        Target(
            "tensor-json",
            9,
            _tensor_json,
            lambda told: read_json(*told[:4], content_type=told[4]),
            (BadTensor,),
        ),
        Target("tensor-raw", 6, _tensor_raw, lambda told: read_raw(*told), (BadTensor,)),
        Target("graph", 7, lambda chance: _some(chance, graphs()), external_tensors, (BrokenGraph,)),
        Target("packed", 4, _packed, lambda told: _decompressed(*told)),
        Target("access", 2, _headers, lambda told: access[told[0]].check(told[1])),
        Target("edge", 20, asked, served.answer, (Refused,)),
    ]


def _some(chance: Random, seeds: tuple[bytes, ...]) -> bytes:
    return mangled(chance.choice(seeds), chance, seeds)


def _form(served: Served) -> Callable[[tuple[str, bytes]], object]:
    def run(told: tuple[str, bytes]) -> object:
        kind, body = told
        _, options = parse_options_header(kind)
        parts = Parts(served.settings.max_images)
        parts.read(body, options.get(b"boundary", b""))
        return parts.files, parts.texts

    return run


def _picture(chance: Random) -> tuple[bytes, str, bool]:
    return (
        some_picture(chance, 0.9),
        chance.choice(("lamp", "levels", "frame", "shade")),
        chance.random() < 0.3,
    )


def _read_picture(served: Served) -> Callable[[tuple[bytes, str, bool]], object]:
    """To pixels and into the graph's input; scaled while it is decoded, now and then."""

    def run(told: tuple[bytes, str, bool]) -> object:
        data, model, scaled = told
        spec, pixels = served.live(model).card.input, Pixels(served.settings.max_pixels)
        view = memoryview(data) if scaled else data
        wanted = (lambda shape: (2 * spec.height, 2 * spec.width)) if scaled else None
        picture = read_picture(view, admit=pixels.take, wanted=wanted)
        return fit(picture.pixels, spec, shape=picture.shape, scale=picture.scale)

    return run


def _datatype(chance: Random) -> str:
    return chance.choice((*DATATYPES, "BYTES", "BYTES", chance.choice(WORDS)))


def _shape(chance: Random) -> tuple[int, ...]:
    if chance.random() < 0.4:
        return tuple(chance.choice(SHAPES))
    return tuple(
        chance.choice((1, 2, 3, 4, number(chance))) for _ in range(chance.choice((1, 1, 2, 3, 4, 9)))
    )


def _count(shape: tuple[int, ...], chance: Random) -> int:
    """How many values there are: as many as the shape has, where that can be."""
    size = int(np.prod([float(side) for side in shape])) if shape else 1
    return size if 0 <= size <= 600 and chance.random() < 0.8 else chance.randint(0, 40)


def _tensor_json(chance: Random) -> tuple[str, str, tuple[int, ...], Any, str | None]:
    """As parsed JSON: lone surrogates and integers of any size are possible there."""
    datatype, shape = _datatype(chance), _shape(chance)
    kinds: Mapping[str, Callable[[], Any]] = {
        "BYTES": lambda: (
            chance.choice(WORDS) if chance.random() < 0.5 else base64.b64encode(chance.randbytes(5)).decode()
        ),
        "BOOL": lambda: chance.random() < 0.5,
        "FP32": lambda: chance.choice((chance.random(), 1e39, 70000.0, 1e-50, number(chance), 10**400)),
    }
    one: Callable[[], Any] = kinds.get(
        datatype, kinds["FP32"] if datatype.startswith("FP") else lambda: number(chance)
    )
    if datatype not in ("BYTES", "BOOL") and chance.random() < 0.3:
        one = partial(chance.randint, 0, 1)
    data: Any = [one() for _ in range(_count(shape, chance))]
    if data and chance.random() < 0.3:
        data[chance.randrange(len(data))] = strange(chance)
    if chance.random() < 0.3:
        data = [data[i : i + 2] for i in range(0, len(data), 2)]
    if chance.random() < 0.05:
        data = strange(chance)
    return chance.choice(WORDS), datatype, shape, data, chance.choice((None, "base64", "x"))


def _tensor_raw(chance: Random) -> tuple[str, str, tuple[int, ...], memoryview]:
    datatype, shape = _datatype(chance), _shape(chance)
    count = _count(shape, chance)
    if datatype == "BYTES":
        parts = [chance.randbytes(chance.randint(0, 9)) for _ in range(count)]
        data = b"".join(len(part).to_bytes(4, "little") + part for part in parts)
    else:
        data = chance.randbytes(count * DATATYPES.get(datatype, np.dtype("u1")).itemsize)
    return (
        chance.choice(WORDS),
        datatype,
        shape,
        memoryview(mangled(data, chance) if chance.random() < 0.4 else data),
    )


def _packed(chance: Random) -> tuple[bytes, str, int]:
    plain = chance.randbytes(20) if chance.random() < 0.5 else bytes(chance.choice((0, 1, 5000, 3_000_000)))
    seeds = (
        gzip.compress(plain, 9, mtime=0),
        zlib.compress(plain, 9),
        zlib.compress(plain)[2:-4],
        plain[:40],
    )
    data = chance.choice(seeds)
    if chance.random() < 0.6:
        data = mangled(data, chance, seeds)
    return data, chance.choice(("gzip", "deflate")), chance.choice((0, 10, 100_000))


def _headers(chance: Random) -> tuple[int, Call]:
    names = (b"x-api-key", b"authorization", b"x-api-key ", b"AUTHORIZATION")
    values = (
        ADMIN_KEY.encode(),
        b"Bearer " + ADMIN_KEY.encode(),
        b"Bearer",
        b"bearer \xff\0",
        b"Basic x",
        b"",
    )
    headers = {chance.choice(names): mangled(chance.choice(values), chance, values) for _ in range(2)}
    paths = ("/v2/repository/models/lamp/load", "/classify", "/metrics", "/v2/repository/models/", "", "/\0")
    scope = {"type": "http", "path": chance.choice(paths), "method": "POST", "state": {}}
    return chance.randrange(2), Call(scope, _nothing, "", 0.0, headers)


async def _nothing() -> dict[str, Any]:
    return {"type": "http.disconnect"}

"""What the load sends and what a right answer to it is. No Locust here."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import simplejpeg

from models.decoding import encode_png
from models.results import Array
from models.scenes import scene

__all__ = ["BATCH", "BOUNDARY", "KINDS", "MODELS", "ROUTES", "Ask", "asks", "wrong"]

BOUNDARY = "assay-load-7c1d"
BATCH = 8
ROUTES = ("/classify", "/detect", "/segment")
MODELS = ("digits", "scenes-detector", "scenes-segmenter")  # whom the routes ask, unless told otherwise
KINDS = ("png", "jpeg", "batch", "tensor", "file", "bad")
LENGTH = "inference-header-content-length"
FORM = {"content-type": f"multipart/form-data; boundary={BOUNDARY}", "accept-encoding": "identity"}


@dataclass(frozen=True, slots=True)
class Ask:
    """One request, made once and sent often, and what must come back.

    `images` is how many pictures it carries; `status` and `code` are the right answer's, so that a broken
    request that is refused as it should be is no failure.
    """

    name: str
    path: str
    headers: Mapping[str, str]
    data: bytes
    images: int
    status: int = 200
    code: str = ""


def asks(route: str, model: str, kind: str, *, count: int, seed: int) -> list[Ask]:
    """`count` requests of one kind to one route's model, the same for the same seed.

    Kinds: `png`, `jpeg` (one picture, small or of some 600 pixels), `batch` (`BATCH` pictures), `tensor` (raw
    uint8 pictures over /v2), `file` (a JPEG as the whole body over /v2), `bad` (refused in six ways).
    """
    pictures, pngs = _pictures(count, seed), _pngs(count, seed)
    if kind == "bad":
        return [_bad(i, route, model, *both) for i, both in enumerate(zip(pictures, pngs, strict=True))]
    name, path, infer = f"{route} {kind}", f"{route}?model={model}", f"/v2/models/{model}/infer"
    made = []
    for i, picture in enumerate(pictures):
        if kind == "png":
            made.append(Ask(name, path, FORM, _form([pngs[i]]), 1))
        elif kind == "jpeg":
            made.append(Ask(name, path, FORM, _form([_jpeg(_grown(picture) if i % 2 else picture)]), 1))
        elif kind == "batch":
            made.append(Ask(name, path, FORM, _form([pngs[i]] * BATCH), BATCH))
        elif kind == "file":
            headers = {"content-type": "image/jpeg", "accept-encoding": "identity"}
            made.append(Ask(f"/v2{name}", infer, headers, _jpeg(picture), 1))
        else:
            made.append(_tensor(f"/v2{name}", infer, picture))
    return made


@cache
def _pictures(count: int, seed: int) -> list[Array]:
    """Procedural pictures; drawing is slow, so that all kinds and routes share them."""
    rng = np.random.default_rng(seed)
    return [scene(int(i)).image for i in rng.integers(0, 1000, count)]


@cache
def _pngs(count: int, seed: int) -> list[bytes]:
    """The same as files, which takes as long."""
    return [encode_png(picture) for picture in _pictures(count, seed)]


def _jpeg(picture: Array) -> bytes:
    return bytes(simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality=90))


def _grown(picture: Array) -> Array:
    return picture.repeat(4, axis=0).repeat(4, axis=1)


def _form(files: Sequence[bytes], field: str = "image") -> bytes:
    head = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="{field}"; filename="i"\r\n\r\n'
    parts = [part for file in files for part in (head.encode(), file, b"\r\n")]
    return b"".join([*parts, f"--{BOUNDARY}--\r\n".encode()])


def _tensor(name: str, path: str, picture: Array, *, cut: int = 0) -> Ask:
    """Raw pixels over /v2; with `cut`, that many bytes are missing."""
    raw = np.ascontiguousarray(picture).tobytes()
    sized = {"binary_data_size": len(raw) - cut}
    tensor = {"name": "images", "datatype": "UINT8", "shape": [1, *picture.shape], "parameters": sized}
    head = json.dumps({"inputs": [tensor]}).encode()
    headers = {
        "content-type": "application/octet-stream",
        "accept-encoding": "identity",
        LENGTH: str(len(head)),
    }
    return Ask(name, path, headers, head + raw[: len(raw) - cut], 1)


def _bad(number: int, route: str, model: str, picture: Array, png: bytes) -> Ask:
    """The `number`th way to be refused, round and round."""
    path = f"{route}?model={model}"
    ways = [
        (path, _form([png[: len(png) // 3]]), 422, "undecodable_image"),
        (path, _form([b"no picture at all"]), 422, "undecodable_image"),
        (path, _form([]), 422, "no_image"),
        (f"{route}?model=no-such-model", _form([png]), 404, "unknown_model"),
        (f"{path}&version=nine", _form([png]), 422, "bad_parameter"),
    ]
    name = f"{route} bad"
    if number % (len(ways) + 1) == len(ways):
        short = _tensor(name, f"/v2/models/{model}/infer", picture, cut=7)
        return Ask(short.name, short.path, short.headers, short.data, 0, 400, "bad_tensor")
    where, data, status, code = ways[number % (len(ways) + 1)]
    return Ask(name, where, FORM, data, 0, status, code)


def wrong(ask: Ask, status: int, answer: Any) -> str | None:
    """What is wrong with an answer; None when it is right. A wrong answer under load is a failure."""
    told = answer if isinstance(answer, dict) else {}
    code = str(told.get("code", ""))
    if (status, code if ask.code else "") != (ask.status, ask.code):
        expected = f"{ask.status} {ask.code}".strip()
        return f"{expected} expected, got {f'{status} {code}'.strip()}"
    if ask.status != 200:
        return None
    if ask.path.startswith("/v2"):
        return None if told.get("outputs") else "outputs expected, got none"
    rows = told.get("predictions")
    if not isinstance(rows, list) or len(rows) != ask.images:
        return f"{ask.images} predictions expected, got {len(rows) if isinstance(rows, list) else 'none'}"
    return None

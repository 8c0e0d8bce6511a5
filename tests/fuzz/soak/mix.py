"""What the load asks: mostly right, of every kind there is; then wrong, then what leaves half way."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from random import Random

import numpy as np
from PIL import Image

from tests.bench.serving.answers import BOUNDARY, Ask, as_form, as_picture
from tests.bench.serving.client import get
from tests.fuzz.asks import ADMIN_KEY
from tests.fuzz.pictures import pictures, plain_png
from tests.fuzz.wire import Sent, sent

__all__ = ["Good", "Made", "made"]

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Good:
    """A request that must be answered as told."""

    wire: bytes
    status: int = 200


Made = Good | Sent


def made(chance: Random) -> tuple[str, Made]:
    """The next request and its kind."""
    kind = chance.choices(list(KINDS), [share for share, _ in KINDS.values()])[0]
    return kind, KINDS[kind][1](chance)


@cache
def _photograph(height: int, width: int) -> bytes:
    """A JPEG with detail; the large ones are what memory is needed for."""
    rng = np.random.default_rng(height)
    coarse = Image.fromarray(rng.integers(0, 256, (height // 8, width // 8, 3), dtype=np.uint8))
    buffer = io.BytesIO()
    coarse.resize((width, height), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=85)
    return buffer.getvalue()


def _route(chance: Random) -> str:
    return chance.choice(("/classify?model=lamp", "/classify?model=levels", "/detect", "/segment"))


def _one(chance: Random) -> Good:
    return Good(as_form(_route(chance), chance.choice(pictures())).on_wire(HOST))


def _several(chance: Random) -> Good:
    """Two to sixteen pictures in one form."""
    head = b'Content-Disposition: form-data; name="image"; filename="i"\r\n\r\n'
    edge = b"--" + BOUNDARY.encode()
    files = [chance.choice(pictures()) for _ in range(chance.randint(2, 16))]
    body = b"".join(edge + b"\r\n" + head + file + b"\r\n" for file in files) + edge + b"--\r\n"
    ask = Ask(_route(chance), body, {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"})
    return Good(ask.on_wire(HOST))


def _drawn(chance: Random) -> Good:
    ask = as_picture(_route(chance), _photograph(240, 320))
    return Good(Ask(ask.path, ask.body, {**ask.headers, "Accept": "image/png"}).on_wire(HOST))


def _large(chance: Random) -> Good:
    height, width = chance.choice(((480, 640), (1200, 1600), (2000, 3000)))
    route = chance.choice(("/classify?model=lamp", "/classify?model=levels", "/detect"))
    return Good(as_picture(route, _photograph(height, width)).on_wire(HOST))


def _whole(chance: Random) -> Good:
    model = chance.choice(("lamp", "levels", "frame", "shade"))
    return Good(as_picture(f"/v2/models/{model}/infer", chance.choice(pictures()), raw=True).on_wire(HOST))


def _tensor(chance: Random) -> Good:
    """The graph's own input, as JSON or as bytes; answered as the other."""
    rows = chance.choice((1, 2, 8))
    values = np.random.default_rng(chance.getrandbits(32)).random((rows, 3, 8, 8), dtype=np.float32)
    told: dict[str, object] = {"name": "images", "datatype": "FP32", "shape": list(values.shape)}
    behind = b""
    if chance.random() < 0.5:
        behind = values.tobytes()
        told["parameters"] = {"binary_data_size": len(behind)}
    else:
        told["data"] = values.ravel().tolist()
    head = json.dumps({"inputs": [told], "parameters": {"binary_data_output": not behind}}).encode()
    headers = {"Content-Type": "application/json", "Inference-Header-Content-Length": str(len(head))}
    model = chance.choice(("lamp", "frame"))
    return Good(Ask(f"/v2/models/{model}/infer", head + behind, headers).on_wire(HOST))


def _levels(chance: Random) -> Good:
    """Pictures that are decoded already."""
    sizes = (chance.choice((1, 4)), chance.randint(1, 64), chance.randint(1, 64), 3)
    pixels = np.random.default_rng(chance.getrandbits(32)).integers(0, 256, sizes, dtype=np.uint8)
    told = {"name": "images", "datatype": "UINT8", "shape": list(sizes)}
    head = json.dumps({"inputs": [{**told, "parameters": {"binary_data_size": pixels.nbytes}}]}).encode()
    headers = {"Content-Type": "application/json", "Inference-Header-Content-Length": str(len(head))}
    return Good(Ask("/v2/models/levels/infer", head + pixels.tobytes(), headers).on_wire(HOST))


def _looked(chance: Random) -> Good:
    paths = ("/models", "/livez", "/readyz", "/v2", "/v2/models/lamp", "/v2/models/stats", "/docs.json")
    return Good(get(chance.choice(paths)))


def _scrape(chance: Random) -> Good:
    return Good(get("/metrics"))


def _unknown(chance: Random) -> Good:
    """Paths and models nobody has heard of, each of them new: nothing may be kept of them."""
    word = f"{chance.getrandbits(64):x}"
    if chance.random() < 0.5:
        return Good(get(chance.choice((f"/{word}", f"/v2/{word}", f"/v2/models/{word}"))), 404)
    return Good(as_form(f"/classify?model={word}", plain_png()).on_wire(HOST), 404)


def _loaded(chance: Random) -> Sent:
    """A model comes and goes; which of the two is refused depends on which was last."""
    verb = chance.choice(("load", "unload"))
    ask = Ask(f"/v2/repository/models/spare/{verb}", b"", {"X-API-Key": ADMIN_KEY})
    return Sent((ask.on_wire(HOST),), right=True)


def _leaves(chance: Random) -> Sent:
    """Gone in the middle of the upload, or before the answer."""
    wire = as_form(_route(chance), _photograph(1200, 1600)).on_wire(HOST)
    return Sent((wire[: chance.choice((len(wire) // 2, 400, len(wire)))],), leaves=True)


KINDS: Mapping[str, tuple[float, Callable[[Random], Made]]] = {
    "one": (20, _one),
    "several": (8, _several),
    "drawn": (2, _drawn),
    "large": (2, _large),
    "whole": (8, _whole),
    "tensor": (12, _tensor),
    "levels": (6, _levels),
    "looked": (4, _looked),
    "scrape": (1, _scrape),
    "unknown": (5, _unknown),
    "loaded": (0.2, _loaded),
    "leaves": (4, _leaves),
    "bad": (20, sent),
}

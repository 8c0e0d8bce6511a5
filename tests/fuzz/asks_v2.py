"""Bodies of `POST /v2/models/{model}/infer`: JSON, binary, whole pictures; then broken here or there."""

from __future__ import annotations

import base64
from collections.abc import Callable
from random import Random
from typing import Any

import numpy as np

from models.results import Array
from tests.fuzz.mangle import mangled, number
from tests.fuzz.mangle_json import mangled_tree, written

__all__ = ["infer_body"]

Picture = Callable[[Random], bytes]
# Of the models, those with a small input: shade's own tensor is too large to be sent.
# Model -> what its graph takes, without the first size.
OWN: dict[str, tuple[str, tuple[int, ...]]] = {
    "lamp": ("FP32", (3, 8, 8)),
    "frame": ("FP32", (3, 8, 8)),
    "levels": ("UINT8", (6, 5, 3)),
}
MODELS = (*OWN, "shade")
TYPES: dict[str, np.dtype[Any]] = {"FP32": np.dtype("<f4"), "UINT8": np.dtype("u1")}
OUTPUTS = (
    *("logits", "boxes", "scores", "answer.scores", "answer.boxes", "answer.labels", "answer.images"),
    *("nope", "", "logits"),
)
SHAPES: tuple[list[int], ...] = (
    *([0], [1], [2], [0, 3, 8, 8], [1, 0, 0, 3], [1, 1, 4000, 3], [1, 4000, 1, 3], [-1, 3, 8, 8], []),
    *(
        [1] * 9,
        [0, 1 << 62, 1 << 62],
        [1 << 32, 1 << 32],
        [0, 1 << 63],
        [1 << 63],
        [2**31, 2**31, 4],
        [0] * 8,
    ),
    *([1, 192], [192], [64, 3], [1, 3, 8, 8, 1], [129, 1, 1, 3], [200, 3, 8, 8], [(1 << 64) - 1, 2]),
)


def infer_body(chance: Random, picture: Picture) -> tuple[str, bytes, str, str]:
    """Model, body, `Inference-Header-Content-Length` or nothing, content type or nothing."""
    model = chance.choice(MODELS)
    if chance.random() < 0.12:
        return model, *_whole(model, chance, picture)
    tree, behind = _request(model, chance, picture)
    if chance.random() < 0.12:
        tree["inputs"][0]["shape"] = list(chance.choice(SHAPES))
    if chance.random() < 0.45:
        tree = mangled_tree(tree, chance)
    head = written(tree, chance)
    if chance.random() < 0.06:
        head = mangled(head, chance, [b'{"a":1}', b",", b"[[[[", b'"'], most=2)
    if behind and chance.random() < 0.15:
        behind = mangled(behind, chance, [behind, (1 << 31).to_bytes(4, "little")])
    header = str(len(head)) if behind or chance.random() < 0.2 else ""
    if chance.random() < 0.06:
        odd = ("-1", "0", "+1", "1e1", "\xb2", "1" * 19, " 5", "0x1", str(len(head) + 1), str(number(chance)))
        header = chance.choice(odd)
    kind = chance.choice(("application/json", "application/octet-stream", "", "image/png", "x" * 200))
    return model, head + behind, header, kind if chance.random() < 0.1 else "application/json"


def _whole(model: str, chance: Random, picture: Picture) -> tuple[bytes, str, str]:
    """The whole body is one picture, or the rows of one tensor."""
    body = (
        picture(chance) if chance.random() < 0.7 or model not in OWN else _values(model, 1, chance).tobytes()
    )
    if chance.random() < 0.2:
        body = mangled(body, chance)
    return body, *chance.choice((("0", ""), ("", "image/png"), ("0", "application/json"), ("00", "image/*")))


def _values(model: str, count: int, chance: Random) -> Array:
    """What the model's graph takes; now and then a value that is none, or too large to be computed with."""
    datatype, sizes = OWN[model]
    dtype = TYPES[datatype]
    rng = np.random.default_rng(chance.getrandbits(32))
    if dtype.kind == "u":
        return rng.integers(0, 256, (count, *sizes), dtype=np.uint8)
    values: Array = rng.random((count, *sizes), dtype=np.float32)
    if chance.random() < 0.1:
        values.flat[chance.randrange(values.size)] = chance.choice(
            (np.nan, np.inf, -np.inf, 3e38, 1e-45, -0.0)
        )
    return values


def _request(model: str, chance: Random, picture: Picture) -> tuple[dict[str, Any], bytes]:
    """A whole request and the bytes behind it."""
    ways = (_own, _own, _files, _levels) if model in OWN else (_files, _levels)
    told, behind = chance.choice(ways)(model, chance, picture)
    tree: dict[str, Any] = {"inputs": [{"name": "images", **told}]}
    if chance.random() < 0.3:
        tree["id"] = chance.choice(("1", "", "é" * 600, "\x00", "a" * 2000))
    if chance.random() < 0.4:
        tree["outputs"] = [_output(chance) for _ in range(chance.choice((0, 1, 1, 2, 5)))]
    if chance.random() < 0.3:
        odd = (0, 1, -1, 10_000_000, 1 << 62, "1", 1.5, True, None)
        tree["parameters"] = {"timeout": chance.choice(odd), "binary_data_output": chance.random() < 0.5}
    return tree, behind


def _output(chance: Random) -> dict[str, Any]:
    told: dict[str, Any] = {"name": chance.choice(OUTPUTS)}
    if chance.random() < 0.6:
        told["parameters"] = chance.choice(
            (
                {"binary_data": True},
                {"classification": chance.choice((0, 1, 2, 3, 1000, 1001, -1, True, "2"))},
                {},
            )
        )
    return told


def _sent(datatype: str, values: Array, chance: Random) -> tuple[dict[str, Any], bytes]:
    """An array as JSON, nested or flat, or as the bytes behind it."""
    told: dict[str, Any] = {"datatype": datatype, "shape": list(values.shape)}
    if chance.random() < 0.5:
        return {**told, "parameters": {"binary_data_size": values.nbytes}}, values.tobytes()
    finite = np.nan_to_num(values, posinf=1, neginf=1) if values.dtype.kind == "f" else values
    return {**told, "data": (finite if chance.random() < 0.3 else finite.ravel()).tolist()}, b""


def _own(model: str, chance: Random, picture: Picture) -> tuple[dict[str, Any], bytes]:
    return _sent(OWN[model][0], _values(model, chance.choice((1, 1, 2, 5)), chance), chance)


def _levels(model: str, chance: Random, picture: Picture) -> tuple[dict[str, Any], bytes]:
    """Pictures that are decoded already."""
    sizes = (chance.choice((1, 1, 2, 9)), chance.choice((1, 8, 13)), chance.choice((1, 8, 40)), 3)
    rng = np.random.default_rng(chance.getrandbits(32))
    return _sent("UINT8", rng.integers(0, 256, sizes, dtype=np.uint8), chance)


def _files(model: str, chance: Random, picture: Picture) -> tuple[dict[str, Any], bytes]:
    """Picture files as BYTES, in base64 or behind the JSON."""
    files = [picture(chance) for _ in range(chance.choice((1, 1, 2, 3, 9)))]
    told: dict[str, Any] = {"datatype": "BYTES", "shape": [len(files)]}
    if chance.random() < 0.5:
        behind = b"".join(len(file).to_bytes(4, "little") + file for file in files)
        return {**told, "parameters": {"binary_data_size": len(behind)}}, behind
    texts = [base64.b64encode(file).decode() for file in files]
    if chance.random() < 0.1:
        texts[0] = chance.choice(("", "=", "é", "a", "\ud800", texts[0] + "\n", texts[0][:-1]))
    return {
        **told,
        "data": texts,
        "parameters": {"content_type": chance.choice(("base64", "base64", "x"))},
    }, b""

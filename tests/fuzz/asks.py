"""Requests that are almost right, for every route: a whole one is made first, then it is broken."""

from __future__ import annotations

import base64
import gzip
import zlib
from dataclasses import dataclass, field
from random import Random
from urllib.parse import quote

from tests.fuzz.asks_form import form, some_picture
from tests.fuzz.asks_v2 import infer_body
from tests.fuzz.mangle import mangled, number
from tests.fuzz.mangle_json import mangled_tree, written

__all__ = ["ADMIN_KEY", "Ask", "ask"]

ADMIN_KEY = "fuzz-admin-key-0123456789"
PARAMETERS = ("model", "version", "top_k", "scores", "score_threshold", "x", "")
TYPED = ("/classify", "/detect", "/segment")
GETS = (
    *("/", "/livez", "/readyz", "/healthz", "/metrics", "/models", "/docs.json", "/schema.json", "/v2"),
    *("/v2/", "/v2/health/live", "/v2/health/ready", "/v2/models/stats", "/v2/repository/index"),
    *("/v2/models/lamp", "/v2/models/lamp/ready", "/v2/models/shade/config", "/v2/models/frame/stats"),
    *(
        "/v2/models/lamp/versions/1",
        "/v2/models/lamp/versions/1/ready",
        "/v2/models/levels/versions/1/config",
    ),
)
METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH", "TRACE", "CONNECT", "PURGE")
NAMES = (
    *("lamp", "levels", "frame", "shade", "nope", "", "..", "%2e%2e", "LAMP", "lamp%00", "l" * 300),
    *("%ff", "n\u00e9"),
)
TEXTS = (
    *(
        "",
        "1",
        "0",
        "-1",
        "5",
        "1e3",
        "nan",
        "true",
        "2",
        "99999999999999999999",
        "1.5",
        "light",
        "\x00",
        " 1 ",
    ),
    "\u0661",  # a digit, but not one of ours
)


@dataclass(slots=True)
class Ask:
    """One request; header names are lower-case."""

    method: str = "POST"
    target: str = "/"
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""


def ask(chance: Random) -> Ask:
    """Any request to any route."""
    kind = chance.random()
    if kind < 0.35:
        made = _infer(chance)
    elif kind < 0.65:
        made = _typed(chance)
    elif kind < 0.75:
        made = _repository(chance)
    else:
        target = chance.choice(GETS)
        made = Ask("GET", _odd_path(target, chance) if chance.random() < 0.5 else target)
    if chance.random() < 0.05:
        made.method = chance.choice(METHODS)
    if chance.random() < 0.15:
        made.headers.append(_odd_header(chance))
    if made.body and chance.random() < 0.08:
        _pack(made, chance)
    return made


def _infer(chance: Random) -> Ask:
    model, body, header, kind = infer_body(chance, some_picture)
    if chance.random() < 0.1:
        model = chance.choice(NAMES)
    number_ = (
        f"/versions/{chance.choice(('1', '2', '0', '-1', 'x', '٣', '1' * 12))}"
        if chance.random() < 0.1
        else ""
    )
    made = Ask("POST", f"/v2/models/{model}{number_}/infer", [("content-type", kind)] if kind else [], body)
    if header:
        made.headers.append(("inference-header-content-length", header))
    if chance.random() < 0.1:
        made.headers.append(
            ("accept-encoding", chance.choice(("gzip", "deflate", "br", "gzip, deflate", "*")))
        )
    return made


def _typed(chance: Random) -> Ask:
    made = _typed_plain(chance)
    if chance.random() < 0.2:
        made.headers.append(("accept", "image/png"))  # the answer drawn
    return made


def _typed_plain(chance: Random) -> Ask:
    told = [
        (chance.choice(PARAMETERS), _text(chance)) for _ in range(chance.choice((0, 0, 0, 0, 1, 1, 2, 5, 66)))
    ]
    route = chance.choice(TYPED)
    if route == "/classify" and chance.random() < 0.8:
        told.append(("model", chance.choice(("lamp", "levels"))))
    query = "&".join(f"{quote(name)}={quote(value)}" for name, value in told)
    if chance.random() < 0.05:
        query = mangled(query.encode(), chance).decode("latin-1")
    target = f"{route}?{query}" if query and chance.random() < 0.6 else route
    if chance.random() < 0.4:
        kind = chance.choice(
            ("image/png", "image/jpeg", "image/*", "application/octet-stream", "text/plain", "")
        )
        return Ask("POST", target, [("content-type", kind)], some_picture(chance))
    kind, body = form(chance, told if target == route else [])
    return Ask("POST", target, [("content-type", kind)], body)


def _text(chance: Random) -> str:
    return chance.choice((*TEXTS, *NAMES)) if chance.random() < 0.8 else str(number(chance))


def _repository(chance: Random) -> Ask:
    """The index, and loading or unloading of a model that nobody else asks."""
    if chance.random() < 0.4:
        tree = {"ready": True}
        body = written(mangled_tree(tree, chance) if chance.random() < 0.7 else tree, chance)
        return Ask("POST", "/v2/repository/index", [], body if chance.random() < 0.8 else b"")
    policies = (
        '{"version_policy":{"all":{}}}',
        '{"version_policy":{"latest":{"num_versions":1}}}',
        "[]",
        "{",
    )
    policy = written({"version_policy": {"specific": {"versions": [1, number(chance)]}}}, chance).decode()
    whole = {"parameters": {"config": chance.choice((*policies, policy)), "unload_dependents": True}}
    body = written(mangled_tree(whole, chance) if chance.random() < 0.6 else whole, chance)
    headers = [("x-api-key", ADMIN_KEY)] if chance.random() < 0.7 else []
    name = "spare" if chance.random() < 0.8 else quote(chance.choice(("nope", "..", "", "/", "\x00")))
    return Ask(
        "POST", f"/v2/repository/models/{name}/{chance.choice(('load', 'unload', 'x'))}", headers, body
    )


def _odd_path(path: str, chance: Random) -> str:
    """Segments dropped, doubled, renamed, encoded; a query nobody needs."""
    words = path.split("/")
    at = chance.randrange(len(words))
    match chance.randrange(6):
        case 0:
            words.insert(at, chance.choice(NAMES))
        case 1:
            del words[at]
        case 2:
            words[at] = chance.choice(NAMES)
        case 3:
            words[at] = "".join(f"%{ord(c):02x}" for c in words[at])
        case 4:
            words[-1] += "?" + chance.choice(("a=b", "%", "&&&&", "=" * 2000, "model=lamp"))
        case _:
            return mangled(path.encode(), chance, [b"/v2/models/", b"%2f", b"/../"], most=2).decode("latin-1")
    return "/".join(words) or "/"


def _odd_header(chance: Random) -> tuple[str, str]:
    secret = base64.b64encode(b"a:b").decode()
    return chance.choice(
        (
            ("authorization", f"Basic {secret}"),
            ("authorization", "Bearer "),
            ("authorization", "bearer \xff"),
            ("x-api-key", chance.choice(("", "x", "\xff" * 40, ADMIN_KEY[:-1]))),
            ("x-request-id", chance.choice(("a b", "a" * 65, "abc-1", "\xe9"))),
            ("traceparent", chance.choice(("00-" + "a" * 32 + "-" + "b" * 16 + "-01", "00-x-y-z"))),
            ("content-length", str(number(chance))),
            (
                "content-encoding",
                chance.choice(("gzip", "deflate", "br", "gzip, gzip", "identity", "", "\xff")),
            ),
            (
                "content-type",
                chance.choice(("", ";", "image/", 'multipart/form-data; boundary="', "a/b; x*0*=''")),
            ),
            ("accept", "text/html"),
            ("inference-header-content-length", str(number(chance))),
        )
    )


def _pack(made: Ask, chance: Random) -> None:
    """Compressed, rightly or not."""
    kind = chance.choice(("gzip", "deflate", "GZIP", "deflate-raw"))
    if kind.lower() == "gzip":
        body = gzip.compress(made.body, 1, mtime=0)
    else:
        stream = zlib.compressobj(1, wbits=15 if kind == "deflate" else -15)
        body = stream.compress(made.body) + stream.flush()
    made.body = mangled(body, chance, [body, bytes(100)]) if chance.random() < 0.4 else body
    made.headers.append(("content-encoding", kind.removesuffix("-raw")))

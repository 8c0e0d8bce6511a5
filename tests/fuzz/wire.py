"""Requests as bytes on a connection: whole ones, and what no HTTP library would send."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from tests.fuzz.asks import Ask, ask
from tests.fuzz.mangle import mangled, number

__all__ = ["Sent", "on_wire", "sent"]

TOKENS = (
    *(
        b"\r\n\r\n",
        b"\r\n",
        b"\n",
        b"\0",
        b"HTTP/1.1",
        b"HTTP/0.9",
        b"HTTP/9.9",
        b"Content-Length: 5\r\n",
        b": ",
        b" ",
    ),
    *(
        b"Transfer-Encoding: chunked\r\n",
        b"Expect: 100-continue\r\n",
        b"0\r\n\r\n",
        b"ffffffffffffffff\r\n",
        b"%",
    ),
    *(
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"\x16\x03\x01\x02\x00",
        b"Host: a\r\nHost: b\r\n",
        b"\xff",
        b"://a:b@c",
    ),
)
LINES = (
    *("Expect: 100-continue", "Expect: x", "Connection: close", "Connection: upgrade\r\nUpgrade: websocket"),
    *(
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__",
        "TE: trailers",
    ),
    *(
        "Transfer-Encoding: gzip",
        "Transfer-Encoding: chunked, chunked",
        "Content-Length: +5",
        "X: a\r\n b: folded",
    ),
    *(
        "Content-Length: 1, 1",
        "Content-Length: 0x5",
        "Content-Length:",
        ": nameless",
        "No colon",
        "Range: bytes=0-1",
    ),
)
# Of the inputs, those whose body or headers never end: each costs as long as the service waits.
STALLED = 0.02


@dataclass(frozen=True, slots=True)
class Sent:
    """What goes over one connection.

    Attributes:
        pieces: sent one after another, a moment apart.
        leaves: the client closes without waiting for an answer.
        right: it is HTTP and whole, so there must be an answer.
        head: asked with HEAD, so the answer has no body.
    """

    pieces: tuple[bytes, ...]
    leaves: bool = False
    right: bool = False
    head: bool = False


def on_wire(made: Ask, *, chunk: int = 0) -> bytes:
    """The request as a client would write it, its body in chunks of so many bytes or with its length."""
    lines = [f"{made.method} {made.target} HTTP/1.1", "Host: 127.0.0.1"]
    lines += [f"{name}: {value}" for name, value in made.headers]
    body = made.body
    if chunk:
        lines.append("Transfer-Encoding: chunked")
        parts = [made.body[i : i + chunk] for i in range(0, len(made.body), chunk)]
        body = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in (*parts, b""))
    elif made.method not in ("GET", "HEAD") or body:
        lines.append(f"Content-Length: {len(body)}")
    return "\r\n".join([*lines, "", ""]).encode("latin-1", "replace") + body


def sent(chance: Random) -> Sent:
    """Anything: right or wrong, at once or in pieces, answered or not waited for."""
    made = ask(chance)
    whole = on_wire(made, chunk=chance.choice((1, 7, 4096)) if made.body and chance.random() < 0.1 else 0)
    kind = chance.random()
    if kind < 0.12:
        whole = _lying(whole, chance)
    elif kind < 0.22:
        head, rest, body = whole.partition(b"\r\n\r\n")
        whole = _ended(mangled(head, chance, TOKENS)) + rest + body
    elif kind < 0.25:
        whole = _ended(mangled(whole, chance, TOKENS))
    elif kind < 0.28:
        whole = (
            whole * chance.choice((2, 3, 20)) + b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
        )
    elif kind < 0.285:
        whole = _huge(chance)
    elif kind < 0.285 + STALLED:
        whole = whole[: chance.randint(0, len(whole))]
    pieces: tuple[bytes, ...] = (whole,)
    if len(whole) > 2 and chance.random() < 0.08:
        at = sorted(chance.randint(1, len(whole) - 1) for _ in range(chance.choice((1, 2, 5))))
        pieces = tuple(whole[a:b] for a, b in zip((0, *at), (*at, len(whole)), strict=True))
    # A client that still writes when the service has answered and closed may lose the answer.
    right = kind >= 0.285 + STALLED and len(pieces) == 1
    return Sent(pieces, chance.random() < 0.04, right, whole.startswith(b"HEAD "))


def _ended(head: bytes) -> bytes:
    """With an end, so that it is judged and not waited for; mostly."""
    return head.replace(b"\n\n", b"\n") + b"\r\nConnection: close\r\n\r\n"


def _lying(whole: bytes, chance: Random) -> bytes:
    """Another request line, or header lines that contradict the body."""
    head, rest, body = whole.partition(b"\r\n\r\n")
    line, _, headers = head.partition(b"\r\n")
    match chance.randrange(4):
        case 0:
            method, _, more = line.partition(b" ")
            target, _, version = more.rpartition(b" ")
            method = chance.choice((method, b"get", b"G\0T", b"", b"GET" * 50, b"M-SEARCH"))
            target = chance.choice(
                (target, b"*", b"http://a" + target, b"//a" + target, b"\xe9", b"/%", b"/?" * 300)
            )
            line = (
                method
                + b" "
                + target
                + b" "
                + chance.choice((version, b"HTTP/1.0", b"HTTP/2", b"HTTP/1.1 x", b""))
            )
        case 1:
            headers += b"\r\n" + chance.choice(LINES).encode()
        case 2:
            # Shorter than the body: the rest is the next request, which is none. Never much longer.
            told = (
                max(-3, len(body) - chance.randint(1, 30))
                if chance.random() < 0.8
                else abs(number(chance)) % len(whole)
            )
            headers = headers.replace(b"Content-Length: %d" % len(body), b"Content-Length: %d" % told)
        case _:
            headers += b"\r\n" + mangled(chance.choice(LINES).encode(), chance, TOKENS)
    return line + b"\r\n" + headers + rest + body


def _huge(chance: Random) -> bytes:
    """More headers than anybody reads."""
    match chance.randrange(3):
        case 0:
            return b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n\r\n"
        case 1:
            return b"GET /models HTTP/1.1\r\n" + b"x: y\r\n" * 500 + b"\r\n"
        case _:
            return b"POST /classify HTTP/1.1\r\nx: " + b"y" * 70_000 + b"\r\n\r\n"

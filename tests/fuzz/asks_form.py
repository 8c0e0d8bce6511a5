"""Multipart forms and the pictures in them: whole, then broken."""

from __future__ import annotations

from random import Random

from tests.fuzz.mangle import mangled
from tests.fuzz.mangle_picture import mangled_picture
from tests.fuzz.pictures import pictures, thin_pictures

__all__ = ["form", "some_picture"]


def some_picture(chance: Random, broken: float = 0.5) -> bytes:
    """A picture file, perhaps a broken one, now and then a thin one."""
    if chance.random() < 0.03:
        return chance.choice(thin_pictures())
    data = chance.choice(pictures())
    return mangled_picture(data, chance, pictures()) if chance.random() < broken else data


def form(chance: Random, told: list[tuple[str, str]]) -> tuple[str, bytes]:
    """Content type and body of a multipart form, perhaps broken."""
    boundary = chance.choice(("B", "----7f3a", "b" * 70, "b" * 71, "a b", "--", "B"))
    parts = [
        b'content-disposition: form-data; name="image"; filename="i"\r\n\r\n' + some_picture(chance, 0.3)
        for _ in range(chance.choice((0, 1, 1, 1, 2, 9)))
    ]
    parts += [
        f'content-disposition: form-data; name="{name}"\r\n\r\n{value}'.encode("utf-8", "surrogatepass")
        for name, value in told
    ]
    chance.shuffle(parts)
    if parts and chance.random() < 0.4:
        at = chance.randrange(len(parts))
        head, _, body = parts[at].partition(b"\r\n\r\n")
        parts[at] = _odd_disposition(head, chance) + b"\r\n\r\n" + body
    edge = boundary.encode()
    whole = b"".join(b"--" + edge + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + edge + b"--\r\n"
    if chance.random() < 0.35:
        whole = mangled(whole, chance, [b"\r\n--" + edge, b"\r\n\r\n", b"--" + edge + b"--", b": ;=\"'*"])
    kind = f"multipart/form-data; boundary={boundary}"
    if chance.random() < 0.15:
        kind = mangled(kind.encode(), chance, [b"; boundary=C", b'"', b"boundary*=utf-8''B"]).decode(
            "latin-1"
        )
    return kind, whole


def _odd_disposition(head: bytes, chance: Random) -> bytes:
    """Quoting, continuations and encodings of parameters: what RFC 2231 and mail clients have invented."""
    odd = (
        b'content-disposition: form-data; name*=utf-8\'\'image; filename*0="a"; filename*1="b"',
        b"content-disposition: form-data; name=\"image\"; filename*=iso-8859-1'en'%ff%00",
        b"content-disposition: form-data; name=\"image\"; filename*=nope''x",
        b'content-disposition: form-data; name="im\\"age"; filename="C:\\\\i"',
        b"content-disposition: form-data; name=image; filename=",
        b"content-disposition: form-data; name*1*=x; filename*x=y",
        b"content-disposition:form-data;;;name=;=;filename",
        b"Content-Disposition: attachment\r\ncontent-disposition: form-data",
        b"x" * chance.choice((10, 9000)) + b": y",
        b"content-transfer-encoding: base64\r\n" + head,
    )
    return chance.choice(odd) if chance.random() < 0.6 else mangled(head, chance, odd)

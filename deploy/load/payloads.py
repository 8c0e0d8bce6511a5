"""What the load sends, what a right answer is, and when a run has kept its promise. No Locust here."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import numpy as np

from models.decoding import encode_png
from models.scenes import scene

__all__ = ["BOUNDARY", "ROUTES", "Body", "Slo", "bodies", "is_near", "verdict", "wrong"]

BOUNDARY = "assay-load-7c1d"
# route -> the model it asks; every route answers `predictions`
ROUTES: Mapping[str, str] = {
    "/classify": "digits",
    "/detect": "scenes-detector",
    "/segment": "scenes-segmenter",
}


@dataclass(frozen=True, slots=True)
class Body:
    """One multipart body, made once and sent often."""

    data: bytes
    images: int


def bodies(count: int, *, seed: int, images: Sequence[int] = (1, 1, 1, 4)) -> list[Body]:
    """Bodies of one or several procedural pictures, the same for the same seed."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(count):
        pictures = [encode_png(scene(int(i)).image) for i in rng.integers(0, 1000, rng.choice(images))]
        head = f'--{BOUNDARY}\r\ncontent-disposition: form-data; name="image"; filename="i.png"\r\n\r\n'
        parts = [part for picture in pictures for part in (head.encode(), picture, b"\r\n")]
        made.append(Body(b"".join([*parts, f"--{BOUNDARY}--\r\n".encode()]), len(pictures)))
    return made


def wrong(status: int, answer: Any, images: int) -> str | None:
    """What is wrong with an answer; None when it is right. A wrong answer under load is a failure."""
    if status != 200:
        return f"{status} {answer.get('code', '') if isinstance(answer, dict) else ''}".strip()
    told = answer.get("predictions") if isinstance(answer, dict) else None
    if not isinstance(told, list) or len(told) != images:
        return f"{images} predictions expected, got {len(told) if isinstance(told, list) else 'none'}"
    return None


@dataclass(frozen=True, slots=True)
class Slo:
    """What is promised: the 99th percentile of latency, and the share of failures."""

    p99_ms: float
    error_share: float


def verdict(slo: Slo, *, requests: int, failures: int, p99_ms: float) -> str | None:
    """Why the promise is broken; None when it is kept. No requests at all is a broken promise."""
    if requests == 0:
        return "no request was sent"
    if failures / requests > slo.error_share:
        return f"{failures} of {requests} requests failed; at most {slo.error_share:g} of them may"
    if p99_ms > slo.p99_ms:
        return f"99 % took up to {p99_ms:g} ms; at most {slo.p99_ms:g} ms was promised"
    return None


def is_near(host: str) -> bool:
    """True for this machine: load is never sent elsewhere by accident."""
    name = urlsplit(host).hostname or ""
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return name == "localhost"

"""Builds the images: Bento, base, build."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from deploy.image.base import base_image
from deploy.image.bento import ROOT, Bento, build_bento, version
from deploy.image.engine import Engine
from deploy.image.index import PROXIES, pip_settings, secrets

__all__ = ["MEGABYTE", "Built", "build_images", "megabytes"]

MEGABYTE = 1e6
UNITS = {"B": 1e-6, "kB": 1e-3, "KB": 1e-3, "MB": 1.0, "GB": 1e3}


@dataclass(frozen=True, slots=True)
class Built:
    """One image that was built.

    Attributes:
        name: its reference.
        digest: the engine's id of it.
        size_mb: of its layers unpacked, 10^6 bytes.
        seconds: of its Bento and itself; the base is not counted.
    """

    name: str
    digest: str
    size_mb: float
    seconds: float


def build_images(engine: Engine, bentos: Sequence[Bento], base: str | None = None) -> list[Built]:
    """Build them, one after the other.

    Raises:
        EngineError: what failed and what to do about it.
    """
    base = base_image(engine, base)
    built = []
    with tempfile.TemporaryDirectory() as folder:
        settings = secrets(Path(folder), pip_settings())
        for bento in bentos:
            began = time.monotonic()
            context = build_bento(bento, Path(folder) / "bentoml")
            _build(engine, bento, context, [f"--build-arg=BASE={base}", *settings])
            digest = engine.ask("inspect", "--type", "image", "--format", _id_field(engine), bento.image)
            built.append(Built(bento.image, digest, megabytes(engine, bento.image), time.monotonic() - began))
    return built


def megabytes(engine: Engine, reference: str) -> float:
    """Size of an image's layers unpacked, 10^6 bytes."""
    if engine.name != "buildah":
        return int(engine.ask("inspect", "--type", "image", "--format", "{{.Size}}", reference)) / MEGABYTE
    (told,) = json.loads(engine.ask("images", "--json", reference))
    number, unit = str(told["size"]).split()
    return float(number) * UNITS[unit]


def _id_field(engine: Engine) -> str:
    return "{{.FromImageID}}" if engine.name == "buildah" else "{{.Id}}"


def _build(engine: Engine, bento: Bento, context: Path, options: Sequence[str]) -> None:
    told, environment = _provenance(), os.environ
    words = [*options, f"--build-arg=VERSION={version()}", f"--build-arg=REVISION={told.revision}"]
    if engine.is_docker:
        words += [f"--build-arg={name}" for name in PROXIES if name in environment]
        words += [f"--build-arg=SOURCE_DATE_EPOCH={told.epoch}"]
    else:  # a health check is Docker's idea, and not in the OCI's format
        words += ["--format=docker", f"--timestamp={told.epoch}"]
    file = context / "env" / "docker" / "Dockerfile"
    engine.run("build", *words, "--tag", bento.image, "--file", str(file), str(context))


@dataclass(frozen=True, slots=True)
class _Provenance:
    revision: str
    epoch: int


def _provenance() -> _Provenance:
    """The commit and its date; SOURCE_DATE_EPOCH, if set, goes first."""
    said = ""
    if git := shutil.which("git"):
        words = [git, "log", "-1", "--format=%H %ct"]
        said = subprocess.run(words, cwd=ROOT, capture_output=True, text=True).stdout  # noqa: S603
    match = re.fullmatch(r"(\w+) (\d+)\n", said)
    revision, date = match.groups() if match else ("unknown", str(int(time.time())))
    return _Provenance(revision, int(os.environ.get("SOURCE_DATE_EPOCH", date)))

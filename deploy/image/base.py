"""The image that images are built on: Python's, or a Debian of our own where no registry answers."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from deploy.image.engine import Engine, EngineError, last_lines

__all__ = ["LOCAL", "PUBLIC", "base_image", "mirrors"]

PUBLIC = "python:3.11-slim-bookworm"
LOCAL = "localhost/assay-base:bookworm"
SUITE = "bookworm"  # its python3 is 3.11
# The builder needs pip and, to drop what only debuggers read, strip; none of it gets into an image of ours.
PACKAGES = ("python3-minimal", "python3-pip", "binutils", "ca-certificates")
TARGETS = (
    "indextargets",
    "--format",
    "$(REPO_URI) $(RELEASE) $(COMPONENT) $(CODENAME)",
    "Created-By: Packages",
)


def base_image(engine: Engine, wanted: str | None = None) -> str:
    """`wanted`, else the public image if it is here or can be had, else a local Debian, made once.

    Raises:
        EngineError: `wanted` cannot be had, or there is none of them; says how to get one.
    """
    if wanted:
        if not engine.has_image(wanted):
            _pull(engine, wanted)
        return wanted
    if engine.has_image(PUBLIC):
        return PUBLIC
    pulled = engine.run("pull", "--quiet", PUBLIC, check=False)
    if pulled.returncode == 0:
        return PUBLIC
    if engine.has_image(LOCAL):
        return LOCAL
    if shutil.which("mmdebstrap") is None:
        raise EngineError(
            f"no base image: {PUBLIC} cannot be pulled ({last_lines(pulled.stderr)}); give another "
            "with --base, or apt-get install mmdebstrap, which makes one from a Debian mirror"
        )
    with tempfile.TemporaryDirectory() as folder:
        tar = Path(folder) / "base.tar"
        _debian(tar)
        _import(engine, tar)
    return LOCAL


def _pull(engine: Engine, wanted: str) -> None:
    told = engine.run("pull", "--quiet", wanted, check=False)
    if told.returncode:
        reason = told.stderr.strip().rpartition("\n")[2] or "it said nothing"
        raise EngineError(f"--base must be an image that is here or can be pulled, got {wanted}: {reason}")


def mirrors() -> list[str]:
    """The machine's own lines for the suite, as apt has them configured; none where it is another system."""
    if shutil.which("apt-get") is None:
        return []
    told = subprocess.run(["apt-get", *TARGETS], capture_output=True, text=True)  # noqa: S603, S607
    lines: dict[tuple[str, str], list[str]] = {}
    for line in told.stdout.splitlines():
        words = line.split()
        if len(words) == 4 and words[3].partition("-")[0] == SUITE:
            lines.setdefault((words[0], words[1]), []).append(words[2])
    return [f"deb {uri} {release} {' '.join(parts)}" for (uri, release), parts in lines.items()]


def _debian(tar: Path) -> None:
    words = ["mmdebstrap", "--quiet", "--variant=minbase", f"--include={','.join(PACKAGES)}", SUITE, str(tar)]
    # Dates of files do not matter: nothing but the interpreter and its libraries goes on.
    told = subprocess.run([*words, *mirrors()], capture_output=True, text=True)  # noqa: S603
    if told.returncode:
        raise EngineError(f"mmdebstrap made no base image: {last_lines(told.stderr)}")


def _import(engine: Engine, tar: Path) -> None:
    if engine.name != "buildah":
        engine.run("import", os.fspath(tar), LOCAL)
        return
    container = engine.ask("from", "scratch")
    try:
        engine.run("add", container, os.fspath(tar), "/")
        engine.run("commit", container, LOCAL)
    finally:
        engine.run("rm", container, check=False)

"""Copies models from an object store into a folder, before the service starts.

    python pull.py pull FOLDER    # of what $MODEL_INDEX names; an init container does this
    python pull.py index FOLDER   # writes the index of a repository to stdout, to be put beside the models

The index lies in the store above `<name>/<version>/` and tells each file's size and sha256, and where it is
elsewhere (signed addresses) its `url`. Nothing but https is asked, nothing but the files of a version is
written, and a version appears in its place when all of it is there and right. A pull that was cut goes on
where it stopped. Runs in the evaluation image.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import sys
import urllib.request
from collections import defaultdict
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from models.card import NAME_PATTERN, ModelCard
from models.recipes.fetch import fetch
from models.recipes.remote import NotFetched, Remote, difference
from models.recipes.transport import allowed, opener

__all__ = ["main"]

INCOMING = ".incoming"  # a name that the service does not look at
MOST_INDEX = 4_000_000  # bytes
TIMEOUT_S = 30.0
FILE = rf"({NAME_PATTERN.strip('^$')})/([1-9][0-9]{{0,8}})/(model\.onnx|card\.json|[a-z0-9_]+\.npz)"
NEEDED = {"model.onnx", "card.json"}
SIGNED = re.compile(r"(https?://[^\s?]+)\?\S+")


class _File(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    path: str = Field(pattern=f"^{FILE}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")
    size: int = Field(gt=0)
    url: str = ""


class _Index(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)

    schema_version: int = Field(1, ge=1, le=1)
    files: list[_File] = Field(min_length=1)


def main(words: Sequence[str] | None = None, environment: Mapping[str, str] = os.environ) -> int:
    """0 when all is in its place, 1 with one line where it is not."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("verb", choices=["pull", "index"])
    parser.add_argument("folder", type=Path)
    told = parser.parse_args(words)
    try:
        if told.verb == "index":
            print(json.dumps(_index(told.folder), indent=1))  # noqa: T201
            return 0
        _pull(environment["MODEL_INDEX"], environment.get("MODEL_INDEX_SHA256", ""), told.folder)
    except (NotFetched, ValueError, KeyError, OSError) as error:
        line = " ".join(str(error).split()).partition(" Without a network")[0]
        sys.stderr.write("Error: " + SIGNED.sub(r"\1", line) + "\n")  # what signs an address is a secret
        return 1
    return 0


def _index(root: Path) -> dict[str, Any]:
    """Of each version what is served: graph, card and golden pair."""
    paths = []
    for card in sorted(root.glob("*/*/card.json")):
        golden = ModelCard.read(card).golden
        paths += [card, card.with_name("model.onnx"), *([card.with_name(golden.file)] if golden else [])]
    files = [
        {
            "path": path.relative_to(root).as_posix(),
            "sha256": _digest(path.read_bytes()),
            "size": path.stat().st_size,
        }
        for path in paths
    ]
    return {"schema_version": 1, "files": files}


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _pull(url: str, sha256: str, root: Path) -> None:
    incoming = root / INCOMING
    for (name, number), files in _versions(_read(url, sha256)).items():
        place, made = root / name / number, incoming / name / number
        if all(_is(place / file, remote) for file, remote in files.items()):
            continue
        for file, remote in files.items():
            if not _is(made / file, remote):
                fetch(remote, made).replace(made / file)
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists():
            shutil.rmtree(incoming / "old", ignore_errors=True)
            place.replace(incoming / "old")
        made.replace(place)
        print(f"{name}/{number}", flush=True)  # noqa: T201
    shutil.rmtree(incoming, ignore_errors=True)


def _is(path: Path, remote: Remote) -> bool:
    return path.is_file() and not difference(path, remote)


def _asked(url: str) -> bytes:
    """What the address answers with, now; the kubelet asks again later."""
    if not allowed(url):
        raise NotFetched(f"the address of the index must be https without a user name, got {url}")
    try:
        with opener(url).open(urllib.request.Request(url), timeout=TIMEOUT_S) as response:  # noqa: S310
            content: bytes = response.read(MOST_INDEX + 1)
    except OSError as error:
        raise NotFetched(f"{url} cannot be fetched: {error}") from error
    if len(content) > MOST_INDEX:
        raise NotFetched(f"{url} must have at most {MOST_INDEX} bytes, got more")
    return content


def _read(url: str, sha256: str) -> list[tuple[str, Remote]]:
    """Path and address of every file of the index."""
    content = _asked(url)
    if sha256 and (found := _digest(content)) != sha256:
        raise ValueError(f"the index must have the sha256 {sha256}, got {found}")
    try:
        index = _Index.model_validate_json(content)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise ValueError(f"{urlsplit(url).path} is no index of models: {where}: {first['msg']}") from error
    base = url.partition("?")[0]
    return [(f.path, Remote(urljoin(base, f.url or f.path), f.sha256, f.size)) for f in index.files]


def _versions(files: Sequence[tuple[str, Remote]]) -> dict[tuple[str, str], dict[str, Remote]]:
    found: dict[tuple[str, str], dict[str, Remote]] = defaultdict(dict)
    for path, remote in files:
        name, number, file = path.split("/")
        found[name, number][file] = remote
    for (name, number), one in found.items():
        if missing := NEEDED - one.keys():
            raise ValueError(
                f"the index must have all of {name}/{number}, got no {', '.join(sorted(missing))}"
            )
    return found


if __name__ == "__main__":
    sys.exit(main())

"""Container images: `python -m deploy.image build` and `python -m deploy.image smoke`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from deploy.image.bento import BENTOS
from deploy.image.build import build_images
from deploy.image.engine import RUNNERS, EngineError, find

__all__ = ["main"]

# The two images, their builders and the base.
SPACE = (
    "; 3 GB are needed, and `podman image prune` (docker, buildah likewise) gives back what builds have left"
)


def main(words: Sequence[str] | None = None) -> int:
    """Build or try the images; 1 with one line where it cannot be done."""
    parser = argparse.ArgumentParser(prog="python -m deploy.image", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    build = verbs.add_parser("build", help="build both Bentos and both images with docker, podman or buildah")
    build.add_argument("--base", metavar="IMAGE", help="what to build on (default: Python's, else a Debian)")
    build.add_argument("--only", choices=[bento.name for bento in BENTOS], help="one image alone")
    verbs.add_parser(
        "smoke", help="run both images, hardened, and try what they must do; 1 if it is not right"
    )
    told = parser.parse_args(words)
    try:
        return _smoke() if told.verb == "smoke" else _build(told.base, told.only)
    except EngineError as error:
        hint = SPACE if "no space left" in str(error).lower() else ""
        sys.stderr.write(f"Error: {error}{hint}\n")
        return 1


def _build(base: str | None, only: str | None) -> int:
    engine = find()
    sys.stderr.write(f"building with {engine.name} ...\n")
    for built in build_images(engine, [bento for bento in BENTOS if only in (None, bento.name)], base):
        short = built.digest.removeprefix("sha256:")[:12]
        print(f"{built.name:36} {short} {built.size_mb:6.0f} MB {built.seconds:5.0f} s")  # noqa: T201
    return 0


def _smoke() -> int:
    from deploy.image.smoke import smoke  # needs the models' packages, which building does without

    told = smoke(find(RUNNERS))
    for line in told.lines():
        print(line)  # noqa: T201
    return 1 if told.wrong else 0


if __name__ == "__main__":
    sys.exit(main())

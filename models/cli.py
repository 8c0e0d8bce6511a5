"""`assay-models`: what is in a model repository, and how models get there."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from models.recipes.carriers import MissingCarrier
from models.recipes.torchfile import UnsafeWeights
from models.repository import RepositoryError, Version, newest, open_version, versions

__all__ = ["main"]

ZOO = Path(__file__).parent / "zoo"
TIMES = "×"  # noqa: RUF001  # the sign people write sizes with


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it did what it says, 1 with one line on stderr when it could not."""
    options = _parser().parse_args(arguments)
    try:
        lines = options.run(options)
    except (RepositoryError, MissingCarrier, UnsafeWeights, OSError) as error:
        print(f"Error: {error}", file=sys.stderr)  # noqa: T201  # this is the command line
        return 1
    print("\n".join(lines))  # noqa: T201
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="assay-models", description="Look after a repository of models.")
    parser.add_argument(
        "--repository", type=Path, default=ZOO, help="folder of <name>/<version>/ (default: the shipped zoo)"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    listing = commands.add_parser("list", help="one line for each version")
    listing.set_defaults(run=_list)
    show = commands.add_parser("show", help="the input and output contract of one model")
    show.add_argument("name")
    show.set_defaults(run=lambda options: _show(newest(versions(options.repository), options.name)))
    check = commands.add_parser("check", help="verify digests and golden pairs, as a server does")
    check.set_defaults(run=_check)
    get = commands.add_parser("get", help="build a published model into the repository")
    get.add_argument("name", choices=["imagenet"])
    get.set_defaults(run=_get)
    return parser


def _list(options: argparse.Namespace) -> list[str]:
    return [_line(version) for version in versions(options.repository)] or ["no models"]


def _line(version: Version) -> str:
    card = version.card
    megabytes = version.model_path.stat().st_size / 1e6
    where = f"{card.name}/{card.version}"
    claims = ", ".join(f"{claim.metric} {claim.value:.4f}" for claim in card.claims)
    return f"{where:24} {card.task:15} {len(card.labels):5} classes {megabytes:6.1f} MB  {claims}".rstrip()


def _show(version: Version) -> list[str]:
    card, spec = version.card, version.card.input
    lines = {
        "model": f"{card.name}/{card.version}: {card.description}",
        "task": f"{card.task}, family {card.family}",
        "input": f"{spec.name} {spec.dtype} {spec.layout} {spec.channels} {spec.height} {TIMES} {spec.width}",
        "fitted": f"{spec.resize}, {spec.interpolation}",
        "scaled": f"(x - {list(spec.mean)}) / {list(spec.std)}, x in 0..255",
        "outputs": ", ".join(card.outputs),
        "labels": f"{len(card.labels)}: {', '.join(card.labels[:8])}{' ...' if len(card.labels) > 8 else ''}",
        "claims": "; ".join(f"{c.metric} {c.value:.4f} on {c.data}" for c in card.claims) or "none",
        "licence": card.licence,
        "source": card.source,
        "sha256": card.sha256,
    }
    return [f"{key:9}{value}" for key, value in lines.items()]


def _check(options: argparse.Namespace) -> list[str]:
    found = versions(options.repository)
    for version in found:
        open_version(version)
    return [f"{v.card.name}/{v.card.version}: digest and golden pair hold" for v in found]


def _get(options: argparse.Namespace) -> list[str]:
    from models.recipes.tables import RECIPES

    version = RECIPES[options.name](options.repository)
    return [f"built {version.folder}", _line(version)]


if __name__ == "__main__":
    sys.exit(main())

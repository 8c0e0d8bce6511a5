"""`assay-models`: what is in a model repository, and how models get there."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path

from models.contract import contract
from models.importing.command import add_import
from models.recipes.carriers import MissingCarrier
from models.recipes.command import add_get
from models.removing import add_remove, chosen
from models.repository import RepositoryError, Version, open_version, opened, read_version, versions

__all__ = ["main"]

ZOO = Path(__file__).parent / "zoo"
COMMANDS = "assay_models.commands"  # entry points
_DESCRIPTION = """\
Look after a repository of models: what is there, whether it holds, and how models get there.

  assay-models list
  assay-models show digits
  assay-models import model.onnx --labels names.txt
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when it did what it says, 1 with one line on stderr when it could not."""
    options = _parser().parse_args(arguments)
    try:
        for line in options.run(options):
            print(_plain(line), flush=True)  # noqa: T201  # this is the command line
    except (RepositoryError, MissingCarrier, ValueError, OSError) as error:
        print(f"Error: {_plain(' '.join(str(error).split()))}", file=sys.stderr)  # noqa: T201
        return 1
    return 0


def _plain(line: str) -> str:
    """Without signs that a terminal obeys: names come from files that somebody else made."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "?" for sign in line)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="assay-models", description=_DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--repository",
        type=Path,
        default=ZOO,
        metavar="DIR",
        help="folder of <name>/<version>/ (default: the shipped zoo)",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND", title="commands")
    listing = commands.add_parser(
        "list",
        help="one line for each version",
        description="One line for each version: task, classes, size, and the scores it claims.",
    )
    listing.set_defaults(run=_list)
    show = commands.add_parser(
        "show",
        help="the contract of one model, drawn: from the picture to the answer",
        description="Draw what becomes of a picture on its way through a model, and tell what its card says.",
    )
    show.add_argument("name", metavar="NAME[/VERSION]", help="the newest version where none is named")
    show.set_defaults(run=_show)
    check = commands.add_parser(
        "check",
        help="verify digests and golden pairs, as a server does",
        description="Verify what a server verifies before a version goes live: the file's digest, that the "
        "graph loads and fits its card, and that its golden pair reproduces.",
    )
    check.add_argument("name", nargs="?", metavar="NAME[/VERSION]", help="everything where nothing is named")
    check.set_defaults(run=_check)
    add_import(commands)
    add_get(commands)
    add_remove(commands)
    if missing := _plug_in(commands):
        parser.epilog = f"Not available: {'; '.join(missing)}"
    return parser


def _plug_in(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> list[str]:
    """Let installed packages add commands; returns what went wrong, one line for each that could not.

    An entry point of the group `assay_models.commands` is `add_commands(commands) -> None`; each parser
    it adds sets `run=function(options) -> Iterable[str]`, the lines to print. `options.repository` is the
    repository. Errors a person can mend are `RepositoryError` or `ValueError`.
    """
    wrong = []
    for point in entry_points(group=COMMANDS):
        try:
            point.load()(commands)
        except Exception as error:  # whatever is wrong with a plug-in, the other commands work
            wrong.append(f"{point.name} ({type(error).__name__}: {error})")
    return wrong


def _list(options: argparse.Namespace) -> list[str]:
    found = versions(options.repository)
    wide = max((len(_named(version)) for version in found), default=0)
    return [f"{_named(version):{wide}}  {_told(version)}" for version in found] or ["no models"]


def _named(version: Version) -> str:
    return f"{version.card.name}/{version.card.version}"


def _told(version: Version) -> str:
    card, megabytes = version.card, version.model_path.stat().st_size / 1e6
    claims = ", ".join(f"{claim.metric} {claim.value:.4f}" for claim in card.claims)
    return f"{card.task:14} {len(card.labels):5} classes {megabytes:6.1f} MB  {claims}".rstrip()


def _show(options: argparse.Namespace) -> list[str]:
    version = read_version(chosen(options.repository, options.name)[-1].folder)
    return contract(version.card, opened(version).outputs)


def _check(options: argparse.Namespace) -> Iterator[str]:
    root: Path = options.repository
    found = (
        versions(root)
        if options.name is None
        else [read_version(s.folder) for s in chosen(root, options.name)]
    )
    for version in found:
        open_version(version)
        yield f"{_named(version)}: {_proof(version)}"


def _proof(version: Version) -> str:
    return "digest and golden pair hold" if version.card.golden else "digest holds; it has no golden pair"


if __name__ == "__main__":
    sys.exit(main())

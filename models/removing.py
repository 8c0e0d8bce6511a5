"""`assay-models remove`: a version, or all of a model, out of the repository."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from pathlib import Path

from models.repository import RepositoryError, Seen, look

__all__ = ["add_remove", "chosen"]


def add_remove(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The command and its options."""
    parser = commands.add_parser(
        "remove",
        help="take a version, or a whole model, out of the repository",
        description="Take NAME/VERSION, or every version of NAME, out of the repository. Without --yes it "
        "only says what it would remove. A running service lets go of it at its next look.",
    )
    parser.add_argument("name", metavar="NAME[/VERSION]")
    parser.add_argument("--yes", action="store_true", help="do it")
    parser.set_defaults(run=_remove)


def chosen(root: Path, told: str) -> list[Seen]:
    """The version folders that `NAME` or `NAME/VERSION` means, broken ones too.

    Raises:
        RepositoryError: there is none.
    """
    seen = look(root)
    name, slash, number = told.partition("/")
    own = [one for one in seen if one.name == name]
    found = [one for one in own if not slash or str(one.number) == number]
    if found:
        return found
    if own:
        raise RepositoryError(
            f"no version {number!r} of {name}; there are: {', '.join(str(o.number) for o in own)}"
        )
    names = ", ".join(sorted({one.name for one in seen})) or "none"
    raise RepositoryError(f"no model {name!r}; there are: {names}")


def _remove(options: argparse.Namespace) -> Iterator[str]:
    root: Path = options.repository
    found = chosen(root, options.name)
    for one in found:
        megabytes = sum(size for _, size, *_ in one.files) / 1e6
        verb = "removed" if options.yes else "would remove"
        if options.yes:
            _drop(root, one)
        yield f"{verb} {one.name}/{one.number}, {megabytes:.1f} MB: {one.folder}"
    if not options.yes:
        yield "nothing was removed; say --yes to do it"


def _drop(root: Path, one: Seen) -> None:
    """Out of sight in one step, so that nobody sees half a version; then off the disk."""
    with tempfile.TemporaryDirectory(prefix=".removing-", dir=root) as hidden:
        one.folder.rename(Path(hidden) / str(one.number))
    if not any(one.folder.parent.iterdir()):
        one.folder.parent.rmdir()

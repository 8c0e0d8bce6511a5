"""`assay parity`: is what is served what was trained?"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import click

from eval.commands.options import one_line_errors, which

__all__ = ["command"]


@click.command(name="parity")
@which
@click.option(
    "--reference",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    required=True,
    help="reference.npz of the version: what PyTorch answered at export.",
)
@one_line_errors
def command(url: str, data: str, out: Path | None, **options: Any) -> None:
    """Is what is served what was trained? The largest difference to PyTorch's own answers."""
    from eval.console import finish
    from eval.parity import parity as run

    finish(asyncio.run(run(url, data, **options)), out)

"""`assay models`: what is served."""

from __future__ import annotations

import asyncio
from typing import Any

import click

from eval.commands.options import access_of, one_line_errors, reaching

__all__ = ["command"]


@click.command(name="models", short_help="What is served.")
@click.argument("url")
@reaching
@one_line_errors
def command(url: str, **options: Any) -> None:
    """What the service at URL serves; `assay probe` also asks what it can do."""
    from rich.console import Console

    from eval.commands.probe import models_table
    from eval.console import show_models
    from eval.remote.access import kind_of
    from eval.remote.assay import describe
    from eval.remote.probe import listed

    access = access_of(url, options)
    if asyncio.run(kind_of(access)) == "assay":
        show_models(asyncio.run(describe(url, timeout_s=access.timeout_s, headers=access.headers)))
    else:
        Console().print(models_table(asyncio.run(listed(access))))

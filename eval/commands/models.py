"""`assay models`: what is served."""

from __future__ import annotations

import asyncio

import click

from eval.commands.options import one_line_errors

__all__ = ["command"]


@click.command(name="models")
@click.argument("url")
@one_line_errors
def command(url: str) -> None:
    """What the service at URL serves."""
    from eval.console import show_models
    from eval.remote.assay import describe

    show_models(asyncio.run(describe(url)))

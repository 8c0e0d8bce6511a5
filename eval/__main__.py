"""`python -m eval`: the `assay` command without an installed script."""

from __future__ import annotations

from eval.cli import cli

if __name__ == "__main__":
    cli(prog_name="assay")

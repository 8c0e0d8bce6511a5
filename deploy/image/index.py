"""How pip gets its packages on this machine, told to the builder as secrets that no image keeps."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

__all__ = ["AUTHORITIES", "PROXIES", "pip_settings", "secrets"]

AUTHORITIES = "/build/authorities.pem"  # where the Containerfiles mount it
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
SETTING = re.compile(r"([^.]+)\.\.?(?P<name>[a-z-]+)=(?P<value>'.*'|\".*\")")
USED = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")
BUNDLES = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")  # pip heeds them as well


def pip_settings() -> dict[str, str]:
    """What pip is configured to, files first and the environment over them."""
    told = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=True
    )
    found = [match for line in told.stdout.splitlines() if (match := SETTING.fullmatch(line))]
    found.sort(key=lambda match: match[0].startswith(":env:"))
    return {match["name"].removeprefix("default-"): ast.literal_eval(match["value"]) for match in found}


def secrets(
    folder: Path, settings: Mapping[str, str], environment: Mapping[str, str] = os.environ
) -> list[str]:
    """`--secret` options of a build; `pip.conf` is written to the folder.

    Folders of this machine (`find-links`, `file:` indexes) are left out: they are not there where it builds.
    """
    lines = ["[global]"]
    for name in USED:
        words = [word for word in settings.get(name, "").split() if not word.startswith("file:")]
        if words:
            lines.append(f"{name} = {' '.join(words)}")
    bundle = settings.get("cert") or next(
        (environment[name] for name in BUNDLES if name in environment), None
    )
    options = [f"--secret=id=pip.conf,src={folder / 'pip.conf'}"]
    if bundle:
        lines.append(f"cert = {AUTHORITIES}")
        options.append(f"--secret=id=authorities.pem,src={bundle}")
    (folder / "pip.conf").write_text("\n".join(lines) + "\n")
    return options

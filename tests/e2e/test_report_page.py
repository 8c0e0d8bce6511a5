"""The report in a real browser: it renders, wide and narrow, light and dark."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from eval.report.html import to_html
from models.decoding import decode
from tests.eval.report.test_report import full

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
# Nothing in the background may look for the network.
QUIET = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--hide-scrollbars",
]
ALONE = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine"),
]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1200, 500])
def test_it_renders(tmp_path: Path, width: int, dark: bool) -> None:
    page, shot = tmp_path / "report.html", tmp_path / "shot.png"
    page.write_text(to_html(full()), encoding="utf-8")
    own = [f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},1600", f"--screenshot={shot}"]
    scheme = ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if dark else []
    subprocess.run(
        [str(BROWSER), *QUIET, *ALONE, *own, *scheme, page.as_uri()], check=True, capture_output=True
    )
    image = decode(shot.read_bytes())
    assert image.shape == (1600, width, 3)
    corner = image[2, 2].astype(int)
    assert bool(corner.mean() < 80) is dark
    inked = (np.abs(image.astype(int) - corner).max(axis=2) > 40).mean()
    assert 0.02 < inked < 0.6
    right_edge = image[:, -2:].astype(int)
    assert (np.abs(right_edge - corner).max(axis=2) < 40).mean() > 0.97  # nothing runs off the page

"""The report in a real browser: it renders, wide or narrow, light and dark; it sorts and runs no more."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest

from eval.report.document import Report, Section, Table
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
POLICY = re.compile(r'<meta http-equiv="Content-Security-Policy"[^>]*>')
VALUES = (0.5, 10.25, None, -3.0, 2e-5)

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(BROWSER is None, reason="no Chromium on this machine"),
]


def browse(folder: Path, page: str, *more: str) -> str:
    """What the browser prints of a page opened from disk."""
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    own = [f"--user-data-dir={folder / 'profile'}", *more]
    done = subprocess.run(
        [str(BROWSER), *QUIET, *ALONE, *own, path.as_uri()], check=True, capture_output=True
    )
    return done.stdout.decode()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [1200, 500])
def test_it_renders(tmp_path: Path, width: int, dark: bool) -> None:
    shot = tmp_path / "shot.png"
    scheme = ["--force-dark-mode", "--blink-settings=preferredColorScheme=0"] if dark else []
    browse(tmp_path, to_html(full()), f"--window-size={width},1600", f"--screenshot={shot}", *scheme)
    image = decode(shot.read_bytes())
    assert image.shape == (1600, width, 3)
    corner = image[2, 2].astype(int)
    assert bool(corner.mean() < 80) is dark
    inked = (np.abs(image.astype(int) - corner).max(axis=2) > 40).mean()
    assert 0.02 < inked < 0.6
    right_edge = image[:, -2:].astype(int)
    assert (np.abs(right_edge - corner).max(axis=2) < 40).mean() > 0.97  # nothing runs off the page


def sorted_by(folder: Path, clicks: int, column: int) -> list[str]:
    """First cells of the rows after so many clicks on a column's head."""
    rows = [{"name": f"class {i}", "value": value} for i, value in enumerate(VALUES)]
    page = to_html(Report("r", {}, [Section("s", tables=[Table(rows)])]))
    head = f'document.querySelectorAll("thead th")[{column}]'
    click = f"<script>for (let i = 0; i < {clicks}; i++) {head}.click()</script></body>"
    dom = browse(folder, POLICY.sub("", page).replace("</body>", click), "--dump-dom")
    return re.findall(r'<th scope="row">class (\d)</th>', dom)


@pytest.mark.parametrize(
    ("clicks", "column", "order"),
    [(0, 1, "01234"), (1, 1, "10432"), (2, 1, "34012"), (1, 0, "43210"), (2, 0, "01234")],
)
def test_a_click_sorts_by_number_and_leaves_the_undefined_last(
    tmp_path: Path, clicks: int, column: int, order: str
) -> None:
    assert "".join(sorted_by(tmp_path, clicks, column)) == order


def test_no_script_runs_but_its_own(tmp_path: Path) -> None:
    """What an escape might once let through stays dead, and the page's own script lives."""
    planted = (
        '<script>document.title = "owned"</script><img src="x" onerror="document.title = \'owned\'"></main>'
    )
    dom = browse(tmp_path, to_html(full()).replace("</main>", planted, 1), "--dump-dom")
    assert 'onerror="document.title' in dom
    assert "<title>owned" not in dom
    assert 'class="sorts"' in dom
    assert "<title>owned" in browse(
        tmp_path, POLICY.sub("", to_html(full())).replace("</main>", planted, 1), "--dump-dom"
    )

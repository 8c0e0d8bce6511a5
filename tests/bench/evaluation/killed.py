"""Runs that are killed and go on, and runs that are spread: is every byte of the report the same?"""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from eval.journal import progress
from eval.recorded import JOURNAL
from eval.served import ROOT, served

__all__ = ["evaluated", "killed", "measure", "parts"]

KILLS = 10
WORDS = ("--model", "digits", "--version", "1", "--data", "digits:test", "--slice", "brightness")
CLOCK = re.compile(r'<section id="clock">.*?</section>', re.DOTALL)
WAYS: dict[str, Sequence[str]] = {
    "1 worker, 1 request": ("--concurrency", "1"),
    "1 worker, 16 requests of 7": ("--concurrency", "16", "--batch", "7"),
    "2 workers": ("--workers", "2"),
    "8 workers": ("--workers", "8", "--batch", "4"),
    "ray, 2 workers": ("--ray", "local", "--workers", "2", "--batch", "4"),
}


def command(url: str, out: Path, *more: str) -> list[str]:
    """The line a person would type."""
    return [sys.executable, "-m", "eval", "evaluate", url, *WORDS, "--out", str(out), "--quiet", *more]


def evaluated(url: str, out: Path, *more: str) -> None:
    """Run it to its end."""
    subprocess.run(command(url, out, *more), check=True, stdout=subprocess.DEVNULL, cwd=ROOT)


def killed(url: str, out: Path, after: int, *more: str) -> int:
    """Run it, and end it with SIGKILL once `after` answers are kept; how many there were then."""
    with subprocess.Popen(command(url, out, *more), stdout=subprocess.DEVNULL, cwd=ROOT) as process:
        while process.poll() is None:
            found = progress(out / JOURNAL)
            if found is not None and found.done >= after:
                process.send_signal(signal.SIGKILL)
                break
    found = progress(out / JOURNAL)
    return 0 if found is None else found.done


def parts(out: Path) -> dict[str, str]:
    """The three reports, without what a clock said."""
    names = ("report.json", "report.md", "report.html")
    return {name: CLOCK.sub("", (out / name).read_text(encoding="utf-8")) for name in names}


def _resumed(url: str, folder: Path, wanted: dict[str, str]) -> int:
    """How many of ten runs that were killed at a random point end with another report."""
    chance, wrong = random.Random(0), 0
    for number in range(KILLS):
        out, after = folder / f"killed{number}", chance.randrange(1, 1000)
        pace = ("--batch", "4", "--concurrency", "2")
        done = killed(url, out, after, *pace)
        evaluated(url, out, "--resume", *pace)
        wrong += _differs(f"killed with {done:4} of 1000 answers", out, wanted)
    return wrong


def _differs(name: str, out: Path, wanted: dict[str, str]) -> bool:
    found = parts(out)
    other = [part for part in wanted if found[part] != wanted[part]]
    print(f"{name:36} {'the same bytes' if not other else 'OTHER BYTES in ' + ', '.join(other)}")
    return bool(other)


def measure() -> dict[str, float | int | None]:
    """`resume.*` and `workers.*`: how many reports differ from that of a run in one go."""
    with tempfile.TemporaryDirectory() as work, served() as url:
        folder = Path(work)
        evaluated(url, folder / "whole")
        wanted = parts(folder / "whole")
        resumed, spread = _resumed(url, folder, wanted), 0
        for number, (name, words) in enumerate(WAYS.items()):
            out = folder / f"way{number}"
            evaluated(url, out, *words)
            spread += _differs(name, out, wanted)
    return {
        "resume.kills": KILLS,
        "resume.mismatches": resumed,
        "workers.ways": len(WAYS),
        "workers.mismatches": spread,
    }

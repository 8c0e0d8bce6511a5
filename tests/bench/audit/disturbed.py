"""Audits that are killed and go on, and audits that are spread: is every byte of the report the same?"""

from __future__ import annotations

import difflib
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from eval.served import ROOT, served

__all__ = ["measure"]

RUNS, KILLS, FIRST_S = 4, 2, 1.5  # audits that are killed, how often each, and when at the earliest
WORDS = (
    "--model", "digits", "--version", "1", "--data", "digits:test", "--suite", "standard", "--epsilon", "48",
    "--samples", "20", "--budget", "100", "--corruptions", "quick", "--severities", "1,5",
)  # fmt: skip
WAYS: dict[str, Sequence[str]] = {
    "1 worker, 1 request of 7": ("--in-flight", "1", "--batch", "7"),
    "1 worker, 16 requests": ("--in-flight", "16"),
    "2 workers": ("--workers", "2"),
    "8 workers": ("--workers", "8", "--batch", "4"),
    "ray, 2 workers": ("--ray", "local", "--workers", "2"),
}
REPORTS, MOST_LINES = ("report.json", "report.md"), 8


def _command(url: str, out: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "eval", "audit", url, *WORDS, "--out", str(out), "--quiet", *more]


def _audited(url: str, out: Path, *more: str) -> None:
    """Run it to its end; 3 says that it is done and not valid, which the report says too."""
    done = subprocess.run(_command(url, out, *more), check=False, capture_output=True, text=True, cwd=ROOT)
    if done.returncode not in (0, 3):
        raise RuntimeError(f"the audit ended with {done.returncode}: {done.stderr[-1000:]}")


def _killed(url: str, out: Path, after_s: float, *more: str) -> bool:
    """Run it and end it with SIGKILL after so long; False if it was done before."""
    with subprocess.Popen(
        _command(url, out, *more), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=ROOT
    ) as process:
        try:
            process.wait(after_s)
        except subprocess.TimeoutExpired:
            process.kill()
            return True
    return False


def _differs(name: str, out: Path, wanted: dict[str, bytes]) -> bool:
    other = [part for part in REPORTS if (out / part).read_bytes() != wanted[part]]
    print(f"{name:36} {'the same bytes' if not other else 'OTHER BYTES in ' + ', '.join(other)}", flush=True)
    for part in other:
        lines = (wanted[part].decode().splitlines(), (out / part).read_text(encoding="utf-8").splitlines())
        print("\n".join(list(difflib.unified_diff(*lines, n=0, lineterm=""))[:MOST_LINES]), flush=True)
    return bool(other)


def _resumed(url: str, folder: Path, whole_s: float, wanted: dict[str, bytes]) -> tuple[int, int]:
    """SIGKILLs, and reports that are others than the one of an audit in one go."""
    chance, kills, wrong = random.Random(0), 0, 0
    for number in range(RUNS):
        out = folder / f"killed{number}"
        own = 0
        for again in range(KILLS):
            more = ("--resume",) if again else ()
            own += _killed(url, out, chance.uniform(FIRST_S, max(FIRST_S + 1, 0.8 * whole_s)), *more)
        _audited(url, out, "--resume")
        kills += own
        wrong += _differs(f"killed {own} times", out, wanted)
    return kills, wrong


def measure() -> dict[str, float | int | None]:
    """`resume.*` and `workers.*`: how many reports differ from that of an audit in one go."""
    with tempfile.TemporaryDirectory() as work, served() as url:
        folder = Path(work)
        began = time.monotonic()
        _audited(url, folder / "whole")
        whole_s = time.monotonic() - began
        wanted = {part: (folder / "whole" / part).read_bytes() for part in REPORTS}
        kills, resumed = _resumed(url, folder, whole_s, wanted)
        spread = 0
        for number, (name, words) in enumerate(WAYS.items()):
            out = folder / f"way{number}"
            _audited(url, out, *words)
            spread += _differs(name, out, wanted)
    return {
        "resume.kills": kills,
        "resume.mismatches": resumed,
        "workers.ways": len(WAYS),
        "workers.mismatches": spread,
    }

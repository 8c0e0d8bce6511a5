"""Memory of an audit of a thousand photographs."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
from pathlib import Path

from eval.remote.access import endpoint_of, target_of
from eval.served import ROOT, served
from models.decoding import encode_png
from tests.bench.audit.material import BATCH, DATA, photographs
from tests.bench.evaluation.cost import PEAK

__all__ = ["measure"]

IMAGES, SIDE, BUDGET = 1000, 224, 6
WORDS = (
    "--model", "imagenet", "--attacks", "square,hopskipjump", "--corruptions", "", "--no-curve",
    "--samples", str(IMAGES), "--budget", str(BUDGET), "--quiet",
)  # fmt: skip


async def _table(url: str, folder: Path) -> str:
    """A table of the photographs, each with the class that the model names, so that all are attacked."""
    images = photographs(IMAGES, SIDE)
    rows = ["file,label"]
    target = await target_of(url, "imagenet", None)
    async with endpoint_of(target) as endpoint:
        for start in range(0, IMAGES, BATCH):
            part = images[start : start + BATCH]
            for number, (image, answer) in enumerate(
                zip(part, await endpoint.predict(part), strict=True), start
            ):
                (folder / f"{number:04d}.png").write_bytes(encode_png(image))
                rows.append(f'{number:04d}.png,"{target.labels[answer.label]}"')
    (folder / "labels.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
    return f"csv:{folder / 'labels.csv'}"


def measure() -> dict[str, float | int | None]:
    """`memory_mb`: most that an audit of 1,000 photographs of 224 x 224 takes, by the command line."""
    if not (DATA / "imagenet_samples").is_dir():
        print(f"memory_mb: null, {DATA} is not there; set ASSAY_DATA_DIR")
        return {"memory_mb": None}
    with tempfile.TemporaryDirectory() as work, served() as url:
        folder = Path(work)
        data = asyncio.run(_table(url, folder))
        out = folder / "out"
        line = [
            sys.executable,
            "-m",
            "eval",
            "audit",
            url,
            "--data",
            data,
            *WORDS,
            "--out",
            str(out),
            "--quiet",
        ]
        told = subprocess.run(
            [sys.executable, "-c", PEAK, *line], capture_output=True, text=True, check=True, cwd=ROOT
        )
    code, kilobytes = map(int, told.stdout.split())
    if code not in (0, 3):
        raise RuntimeError(f"the audit ended with {code}: {told.stderr[-1000:]}")
    print(f"peak {kilobytes / 1e3:.0f} MB for {IMAGES} pictures, exit {code}")
    return {"memory_mb": kilobytes * 1024 / 1e6, "memory_images": IMAGES}

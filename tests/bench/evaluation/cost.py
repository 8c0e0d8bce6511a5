"""What an evaluation costs beside the bare requests, and what memory it takes as the data grows."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from eval.data.tables import open_data
from eval.metrics.truth import Objects
from eval.remote.access import endpoint_of, target_of
from eval.runs import evaluate
from eval.served import ROOT, served

__all__ = ["measure", "memory"]

DATA = Path(os.environ.get("ASSAY_DATA_DIR", ROOT.parent / "shared" / "data"))
IMAGES, ROUNDS, BATCH, CONCURRENCY = 1000, 3, 16, 4
PEAK = """
import resource, subprocess, sys
code = subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL).returncode
print(code, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def _photographs(folder: Path, count: int) -> str:
    """A table of `count` rows over copies of the sample photographs, in the model's own classes."""
    source = DATA / "imagenet_samples"
    header, *rows = (source / "labels.csv").read_text(encoding="utf-8").splitlines()
    lines = [header]
    for number in range(count):
        row = rows[number % len(rows)]
        name = next(cell for cell in row.split(",") if cell.endswith(".JPEG"))
        copy = f"{number:05d}.JPEG"
        shutil.copyfile(source / name, folder / copy)
        lines.append(row.replace(name, copy))
    (folder / "labels.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return f"csv:{folder / 'labels.csv'}"


def _scenes(folder: Path, count: int) -> str:
    """Scenes as files with COCO annotations: drawing one anew takes longer than asking about it."""
    data = open_data(f"scenes:test:{count}", "detection")
    images, objects = [], []
    for number, sample in enumerate(data):
        (folder / f"{number}.png").write_bytes(sample.file)
        images.append({"id": number, "file_name": f"{number}.png"})
        assert isinstance(sample.expected, Objects)
        for box, label in zip(sample.expected.boxes.tolist(), sample.expected.labels.tolist(), strict=True):
            place = [box[0], box[1], box[2] - box[0], box[3] - box[1]]
            objects.append({"image_id": number, "category_id": label, "bbox": place, "iscrowd": 0})
    names = [{"id": number, "name": name} for number, name in enumerate(data.labels)]
    told = {"images": images, "annotations": objects, "categories": names}
    (folder / "scenes.json").write_text(json.dumps(told), encoding="utf-8")
    return f"coco:{folder / 'scenes.json'},{folder}"


async def _bare(url: str, model: str, data: str) -> float:
    """Seconds of the same requests and nothing else: the files are in memory, the answers are dropped."""
    target = await target_of(url, model, None)
    files = [sample.file for sample in open_data(data, target.task).first(IMAGES)]
    waiting = iter([files[start : start + BATCH] for start in range(0, len(files), BATCH)])

    async def one(endpoint: Any) -> None:
        for batch in waiting:
            await endpoint.predict_files(batch)

    async with endpoint_of(target) as endpoint:
        began = time.perf_counter()
        await asyncio.gather(*(one(endpoint) for _ in range(CONCURRENCY)))
        return time.perf_counter() - began


async def _whole(url: str, model: str, data: str) -> float:
    """Seconds of an evaluation, from the description of the model to its report."""
    began = time.perf_counter()
    await evaluate(url, data, model=model, limit=IMAGES, batch=BATCH, concurrency=CONCURRENCY)
    return time.perf_counter() - began


def _ratio(url: str, model: str, data: str) -> float:
    """Median over interleaved rounds of whole / bare."""
    ratios = []
    for _ in range(ROUNDS):
        bare, whole = asyncio.run(_bare(url, model, data)), asyncio.run(_whole(url, model, data))
        ratios.append(whole / bare)
        print(f"{model:18} bare {bare:6.2f} s, evaluation {whole:6.2f} s, ratio {whole / bare:.3f}")
    return statistics.median(ratios)


def measure() -> dict[str, float | int | None]:
    """`overhead_ratio`: photographs asked about imagenet/1; the same of digits and of the detector."""
    told: dict[str, float | int | None] = {"overhead_ratio": None}
    with tempfile.TemporaryDirectory() as work, served() as url:
        if (DATA / "imagenet_samples").is_dir():
            told["overhead_ratio"] = _ratio(url, "imagenet", _photographs(Path(work), IMAGES))
        else:
            print(f"overhead_ratio: null, {DATA} is not there; set ASSAY_DATA_DIR")
        told["overhead_ratio.digits"] = _ratio(url, "digits", "digits:test")
        told["overhead_ratio.scenes_detector"] = _ratio(url, "scenes-detector", _scenes(Path(work), IMAGES))
    return told


def _many_digits(folder: Path, count: int) -> str:
    """A table of `count` rows over the thousand held-out digits."""
    samples = list(open_data("digits:test", "classification"))
    for number, sample in enumerate(samples):
        (folder / f"{number:04d}.png").write_bytes(sample.file)
    rows = (f"{n % len(samples):04d}.png,{samples[n % len(samples)].expected}" for n in range(count))
    (folder / "many.csv").write_text("file,label\n" + "\n".join(rows) + "\n", encoding="utf-8")
    return f"csv:{folder / 'many.csv'}"


def _peak(url: str, data: str, out: Path) -> int:
    """Largest memory of the command line, bytes."""
    words = ["--data", data, "--model", "digits", "--version", "1", "--batch", "128", "--out", str(out)]
    line = [sys.executable, "-m", "eval", "evaluate", url, *words, "--quiet"]
    told = subprocess.run(
        [sys.executable, "-c", PEAK, *line], capture_output=True, text=True, check=True, cwd=ROOT
    )
    code, kilobytes = map(int, told.stdout.split())
    if code:
        raise RuntimeError(f"the evaluation ended with {code}: {told.stderr[-500:]}")
    return kilobytes * 1024


def memory() -> dict[str, float | int | None]:
    """`memory_ratio_50k_5k`: peak of the evaluating process, 50,000 images against 5,000."""
    with tempfile.TemporaryDirectory() as work, served() as url:
        peaks = [
            _peak(url, _many_digits(Path(work), count), Path(work) / str(count)) for count in (5000, 50_000)
        ]
    print(f"peak {peaks[0] / 1e6:.0f} MB for 5,000 images, {peaks[1] / 1e6:.0f} MB for 50,000")
    return {"memory_ratio_50k_5k": peaks[1] / peaks[0], "memory_5k_bytes": peaks[0]}

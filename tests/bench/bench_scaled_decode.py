"""What `scaled_decode` on a card costs and gives: speed, pixels, and the answers of a real model.

    python -m tests.bench.bench_scaled_decode

Enlarges the photographs of ASSAY_DATA_DIR to the size of a camera's and asks imagenet/1 about each, decoded
whole and decoded at a few eighths of its size.
"""

from __future__ import annotations

import io
import os
import statistics
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from PIL import Image

from models.cli import ZOO
from models.decoding import Picture, read_picture
from models.imaging import fit, wanted
from models.repository import newest, open_version, versions
from models.results import Array, Classification

QUALITY = 90
SAMPLES = Path(os.environ.get("ASSAY_DATA_DIR", "../shared/data")) / "imagenet_samples"


def enlarged(width: int) -> Iterator[tuple[str, bytes]]:
    """(class, JPEG of that width) of each sample photograph."""
    for path in sorted(SAMPLES.glob("*.JPEG")):
        picture = Image.open(path).convert("RGB")
        height = round(picture.height * width / picture.width)
        buffer = io.BytesIO()
        picture.resize((width, height), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=QUALITY)
        yield path.stem.split("_", 1)[1].replace("_", " "), buffer.getvalue()


def main() -> None:
    if not SAMPLES.is_dir():
        print(f"ASSAY_DATA_DIR has no {SAMPLES.name}: nothing measured")
        return
    version = newest(versions(ZOO), "imagenet")
    predictor, spec = open_version(version), version.card.input

    def ready(picture: Picture) -> Array:
        return fit(picture.pixels, spec, shape=picture.shape, scale=picture.scale)

    def answer(row: Array) -> Classification:
        found = predictor.task.interpret([o[0] for o in predictor.runner.run(row[None])], (1, 1))
        if not isinstance(found, Classification):
            raise TypeError("imagenet must be a classifier")
        return found

    for width in (1000, 2000, 4000):
        levels, changes, ratios, scales = [], [], [], []
        same, right = 0, np.zeros(2, int)
        for name, data in enlarged(width):
            began = time.perf_counter()
            whole = ready(read_picture(data))
            middle = time.perf_counter()
            picture = read_picture(data, wanted=lambda shape: wanted(shape, spec))
            part = ready(picture)
            ended = time.perf_counter()
            ratios.append((middle - began) / (ended - middle))
            levels.append(float(np.abs(whole - part).mean() * np.mean(spec.std)))
            one, other = answer(whole), answer(part)
            changes.append(float(np.abs(one.scores - other.scores).max()))
            same += one.label == other.label
            labels = [version.card.labels[a.label].lower().replace("-", " ") for a in (one, other)]
            right += [name.lower().replace("-", " ") in label for label in labels]
            scales.append(picture.scale)
        print(
            f"{width} wide, {len(levels)} photographs at {statistics.median(scales):g} of their size: "
            f"decode and prepare {statistics.median(ratios):.1f} x faster; "
            f"{statistics.mean(levels):.2f} levels apart on average; same class {same} of {len(levels)}, "
            f"largest change of a probability {max(changes):.3f}, median {statistics.median(changes):.4f}; "
            f"named right {right[0]} whole, {right[1]} scaled"
        )


if __name__ == "__main__":
    main()

"""What every peer does with a picture: decode, resize, normalise, run, softmax, the five best classes.

It is Assay's arithmetic written the plain way, so that answers agree and only serving differs.
"""

from __future__ import annotations

import io
import json
import os
from pathlib import Path
from typing import IO, Any

import numpy as np
import onnxruntime
from PIL import Image

__all__ = ["Net", "cpus", "number"]


def number(name: str, default: int = 0) -> int:
    """An integer from the environment."""
    return int(os.environ.get(name, default))


def cpus() -> int:
    """CPUs this process may use."""
    return len(os.sched_getaffinity(0))


class Net:
    """The model in the folder `BENCH_MODEL`, on `BENCH_THREADS` threads a run (0: onnxruntime's default)."""

    def __init__(self) -> None:
        folder = Path(os.environ["BENCH_MODEL"])
        card = json.loads((folder / "card.json").read_bytes())
        self.labels: list[str] = card["labels"]
        self.size = (card["input"]["width"], card["input"]["height"])
        self.mean = np.array(card["input"]["mean"], np.float32)
        self.std = np.array(card["input"]["std"], np.float32)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = number("BENCH_THREADS", 1)
        self.session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )

    def file(self, file: bytes | Path | IO[bytes]) -> dict[str, Any]:
        """The answer to an encoded picture."""
        return self.picture(Image.open(io.BytesIO(file) if isinstance(file, bytes) else file))

    def picture(self, picture: Image.Image) -> dict[str, Any]:
        """The answer to an opened picture of any size."""
        picture = picture.convert("RGB")
        if picture.size != self.size:
            picture = picture.resize(self.size, Image.Resampling.BILINEAR)
        return self.pixels(np.asarray(picture))

    def pixels(self, pixels: np.ndarray) -> dict[str, Any]:
        """The answer to uint8 `(H, W, 3)` of the net's own size."""
        ready = np.ascontiguousarray(((pixels.astype(np.float32) - self.mean) / self.std).transpose(2, 0, 1))
        logits = self.session.run(["logits"], {"images": ready[None]})[0][0]
        odds = np.exp(logits - logits.max())
        scores = odds / odds.sum()
        top = [
            {"label": int(i), "name": self.labels[i], "score": float(scores[i])}
            for i in np.argsort(-scores)[:5]
        ]
        return {**top[0], "top": top}

"""The zoo's digits as somebody else would serve them: onnxruntime, Pillow and NumPy, nothing of ours."""

from __future__ import annotations

import base64
import io
import os
from typing import Any

import numpy as np
import onnxruntime
from PIL import Image


class Digits:
    """The graph at `$DIGITS`, on one thread."""

    def __init__(self) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(os.environ["DIGITS"], options)

    def logits(self, batch: Any) -> Any:
        """float32 `(N, 1, 28, 28)` -> `(N, 10)`."""
        (name,) = [port.name for port in self.session.get_inputs()]
        return self.session.run(None, {name: np.asarray(batch, np.float32)})[0]

    def answer(self, body: Any) -> Any:
        """`{"images": [base64, ...]}` -> each one's probabilities by name."""
        pictures = [Image.open(io.BytesIO(base64.b64decode(text))).convert("L") for text in body["images"]]
        batch = np.stack(
            [np.asarray(p.resize((28, 28)), np.float32)[None] / np.float32(255) for p in pictures]
        )
        logits = self.logits(batch).astype(np.float64)
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        rows = (odds / odds.sum(axis=1, keepdims=True)).astype(np.float32)
        return {"results": [{"probabilities": [float(p) for p in row]} for row in rows]}

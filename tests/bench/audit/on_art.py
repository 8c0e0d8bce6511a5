"""ART against the live endpoint, as its documentation has a model behind an API: runs in `.venv-art`.

A `BlackBoxClassifier` whose prediction function posts pictures with `requests`, one session, one request a
batch, and reads every class's score. The service takes 8-bit pictures, so what ART asks about is rounded.
Reads a plan from standard input (JSON) and prints what became of it (JSON).
"""

from __future__ import annotations

import io
import json
import sys
import time
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

warnings.filterwarnings("ignore")  # that there is no PyTorch

import requests  # type: ignore[import-untyped,unused-ignore]  # noqa: E402  # as are ART and PIL, in .venv-art
from art.attacks.evasion import (  # type: ignore[import-not-found]  # noqa: E402
    HopSkipJump,
    SquareAttack,
)
from art.estimators.classification import (  # type: ignore[import-not-found]  # noqa: E402
    BlackBoxClassifierNeuralNetwork,
)

Array = NDArray[Any]


class Spent(Exception):
    """The budget of a picture is used up."""


class Service:
    """`/classify`, counted.

    Attributes:
        left: pictures that may still be asked about.
        first: pictures asked about when another class was first answered to one inside `epsilon`; or None.
        nearest: L2 distance of the nearest picture that got another class; or None.
    """

    def __init__(self, url: str, model: str, version: int) -> None:
        self.session, self.url = requests.Session(), f"{url}/classify"
        self.query: dict[str, str | int] = {"model": model, "version": version, "scores": "true", "top_k": 1}
        self.asked, self.left = 0, float("inf")
        self.image: Array | None = None

    def watch(self, image: Array, label: int, epsilon: float) -> None:
        """Note from now on what becomes of this picture."""
        self.image, self.label, self.epsilon, self.begun = image, label, epsilon, self.asked
        self.first: int | None = None
        self.nearest: float | None = None

    def __call__(self, batch: Array) -> Array:
        if self.left < len(batch):
            raise Spent
        self.left -= len(batch)
        pictures = np.rint(np.clip(batch, 0, 255)).astype(np.uint8)
        files = []
        for picture in pictures:
            held = io.BytesIO()
            Image.fromarray(picture).save(held, "PNG")
            files.append(("image", ("x.png", held.getvalue(), "image/png")))
        told = self.session.post(self.url, params=self.query, files=files, timeout=60)
        told.raise_for_status()
        scores = np.array([row["scores"] for row in told.json()["predictions"]], np.float32)
        self.asked += len(batch)
        if self.image is not None:
            self._note(pictures.astype(np.float64) - self.image, scores)
        return scores

    def _note(self, change: Array, scores: Array) -> None:
        wrong = scores.argmax(axis=1) != self.label
        inside = np.abs(change).max(axis=(1, 2, 3)) <= self.epsilon
        if self.first is None and (wrong & inside).any():
            self.first = self.asked - self.begun - len(change) + int((wrong & inside).argmax()) + 1
        if wrong.any():
            least = float(np.sqrt((change[wrong] ** 2).sum(axis=(1, 2, 3))).min())
            self.nearest = least if self.nearest is None else min(self.nearest, least)


def square(model: Any, plan: dict[str, Any], images: Array, labels: Array) -> None:
    """All pictures at once, in batches of 128, its default and the most that the service takes."""
    attack = SquareAttack(
        model, norm=np.inf, eps=plan["epsilon"], max_iter=plan["iterations"], batch_size=128, verbose=False
    )
    attack.generate(images, y=labels)


def one_by_one(model: Any, service: Service, plan: dict[str, Any], images: Array, labels: Array) -> list[Any]:
    """For each picture, what it took; HopSkipJump has no other way and no budget of its own."""
    rows = []
    for image, label in zip(images, labels, strict=True):
        service.watch(image, int(label), plan["epsilon"])
        service.left = plan["budget"]
        try:
            if plan["attack"] == "square":
                square(model, plan, image[None], np.array([label]))
            else:
                HopSkipJump(model, norm=2, max_iter=10_000, verbose=False).generate(
                    image[None], y=np.array([label])
                )
        except Spent:
            pass
        rows.append({"first": service.first, "nearest": service.nearest})
    service.left = float("inf")
    return rows


def main() -> None:
    plan = json.load(sys.stdin)
    held = np.load(plan["pictures"])
    images, labels = held["images"].astype(np.float32), held["labels"]
    service = Service(plan["url"], plan["model"], plan["version"])
    model = BlackBoxClassifierNeuralNetwork(
        service, images.shape[1:], plan["classes"], channels_first=False, clip_values=(0.0, 255.0)
    )
    np.random.seed(plan["seed"])  # noqa: NPY002  # ART draws from it
    service(images[:1])  # the connection
    service.asked, began, rows = 0, time.perf_counter(), []
    if plan["together"]:
        square(model, plan, images, labels)
    else:
        rows = one_by_one(model, service, plan, images, labels)
    seconds = time.perf_counter() - began
    print(json.dumps({"seconds": seconds, "queries": service.asked, "rows": rows}))


if __name__ == "__main__":
    main()

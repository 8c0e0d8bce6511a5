"""Writes a version folder: graph, card and a golden pair taken from a real run of the graph."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from models.card import Golden, ModelCard
from models.repository import Version, loaded, open_version
from models.results import Array
from models.tasks import TASKS

__all__ = ["npz", "publish"]


def publish(
    root: Path, graph: bytes, facts: Mapping[str, Any], *, golden_image: Array, tolerance: float = 1e-3
) -> Version:
    """Write `<root>/<name>/<version>/` and prove it as a server would before it goes live.

    The card is written last: a folder without one is not a version, so a kill half way leaves
    nothing that looks finished.

    Args:
        graph: the ONNX file.
        facts: fields of `ModelCard` but `sha256` and `golden`.
        golden_image: uint8 RGB `(H, W, 3)`, typical input; its raw outputs are recorded.
        tolerance: largest difference of a raw output on another machine.

    Raises:
        pydantic.ValidationError: the facts do not make a card.
        models.repository.RepositoryError: the graph cannot be run or is of another family, or the written
            version does not prove itself.
    """
    card = ModelCard(**facts, sha256=hashlib.sha256(graph).hexdigest())
    folder = root / card.name / str(card.version)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "card.json").unlink(missing_ok=True)
    (folder / "model.onnx").write_bytes(graph)
    runner = loaded(card, graph)
    outputs = runner.run(TASKS[card.task](card).prepare(golden_image)[None])
    pair = npz(image=golden_image, **{f"output_{i}": out[0] for i, out in enumerate(outputs)})
    golden = Golden(sha256=hashlib.sha256(pair).hexdigest(), tolerance=tolerance)
    (folder / golden.file).write_bytes(pair)
    version = Version(folder, card.model_copy(update={"golden": golden}))
    version.card.write(folder / "card.json")
    open_version(version)
    return version


def npz(**arrays: Array) -> bytes:
    """The bytes of a compressed .npz."""
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **arrays)  # type: ignore[arg-type]  # numpy's stub mixes up its flag
    return buffer.getvalue()

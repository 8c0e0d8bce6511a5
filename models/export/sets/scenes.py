"""Procedural scenes as training pictures, prepared exactly as the server prepares them."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from functools import partial

from models.export.sets.objects import Objects
from models.scenes import SEED, Split, scene

__all__ = ["scene_objects"]


def _one(index: int, split: Split) -> Objects:
    drawn = scene(index, seed=SEED, split=split)
    return Objects(drawn.image, drawn.boxes, drawn.labels, drawn.semantic)


def scene_objects(count: int, *, split: Split = "train", workers: int = 2) -> list[Objects]:
    """The first `count` scenes, drawn in `workers` processes; same result for any number."""
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(partial(_one, split=split), range(count), chunksize=64))

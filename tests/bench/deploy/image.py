"""Both images, really built: how large they are and how long it took."""

from __future__ import annotations

from deploy.image.bento import BENTOS
from deploy.image.build import build_images
from deploy.image.engine import EngineError, find

__all__ = ["measure"]


def measure() -> dict[str, float | int | None]:
    """`image.*`: megabytes of the layers unpacked and seconds of the build; null without an engine.

    Layers that earlier builds left are used again, as they are in everyday work.
    """
    kinds = {"assay": "inference", "assay-evaluation": "evaluation"}
    told: dict[str, float | int | None] = {
        f"image.{kind}_{unit}": None for kind in kinds.values() for unit in ("mb", "build_s")
    }
    try:
        built = build_images(find(), BENTOS)
    except EngineError as absent:
        print(f"image.*: null, {absent}")
        return told
    for bento, image in zip(BENTOS, built, strict=True):
        told[f"image.{kinds[bento.name]}_mb"] = round(image.size_mb, 1)
        told[f"image.{kinds[bento.name]}_build_s"] = round(image.seconds, 1)
    return told

"""Train/serve skews planted in a really served endpoint, and whether a parity check names exactly them."""

from __future__ import annotations

import asyncio
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path

from eval.parity import parity
from eval.served import ROOT, served
from tests.eval.parity.doctored import SKEWS, doctored, worn

__all__ = ["measure"]

ZOO = ROOT / "models" / "zoo"
DATA = Path(os.environ.get("ASSAY_DATA_DIR", ROOT.parent / "shared" / "data"))
PHOTOGRAPHS = f"csv:{DATA / 'imagenet_samples' / 'labels.csv'}"
IMAGES = 12
# model -> (data whose sizes and colours can show them, skews planted)
PLAN: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "imagenet": (PHOTOGRAPHS, ("bgr", "wrong-mean", "nearest", "stale", "bilinear", "stretched", "no-scale")),
    "cifar10": (
        PHOTOGRAPHS,
        ("bgr", "wrong-mean", "nearest", "stale", "top-left", "scaled-decode"),
    ),
    "bccd": (f"voc:{DATA / 'bccd' / 'BCCD'},val", ("bgr", "wrong-mean", "nearest", "stale", "half")),
    "scenes-detector": ("scenes:test:500", ("bgr", "wrong-mean", "nearest", "stale", "stretched")),
    "scenes-segmenter": (
        "scenes:test:500",
        ("bgr", "wrong-mean", "nearest", "stale", "bicubic"),
    ),
}


async def _named(url: str, folders: Mapping[str, Path]) -> list[tuple[str, bool]]:
    """(skew, named right) for each planted one, and for each model that is served as it should be."""
    rows = []
    for model in folders:
        data, skews = PLAN[model]
        for name in ("sound", *skews):
            report = await parity(
                url, data, onnx=folders[model], model=f"{model}-{name}", number=1, limit=IMAGES
            )
            told = report.manifest
            want = (None, "the same") if name == "sound" else (SKEWS[name].cause, "not the same")
            got = (told["cause"], told["verdict"])
            rows.append((name, got == want))
            print(f"  {model:18}{name:15}{'ok' if got == want else f'WRONG: {got}'}", flush=True)
    return rows


def _is_there(data: str) -> bool:
    kind, _, argument = data.partition(":")
    return kind == "scenes" or Path(argument.split(",")[0]).exists()


def measure() -> dict[str, int | None]:
    """`parity.skews_planted`, `parity.skews_named`: named is exactly the planted one and no other.

    `parity.sound_*` are the models served as they should be, and how many are said to be so. Models whose
    pictures or graph are not here are left out.
    """
    with tempfile.TemporaryDirectory() as home:
        root, folders = Path(home) / "served", {}
        for model, (data, skews) in PLAN.items():
            if not (ZOO / model / "1").is_dir() or not _is_there(data):
                continue
            folders[model] = ZOO / model / "1"
            if not (ZOO / model / "2").is_dir():
                folders[model] = worn(ZOO / model / "1", Path(home) / "sources")
            doctored(folders[model], root, f"{model}-sound")
            for name in skews:
                doctored(folders[model], root, f"{model}-{name}", SKEWS[name])
        with served(model_repository=root) as url:
            rows = asyncio.run(_named(url, folders))
    planted = [right for name, right in rows if name != "sound"]
    sound = [right for name, right in rows if name == "sound"]
    return {
        "parity.skews_planted": len(planted),
        "parity.skews_named": sum(planted),
        "parity.sound_planted": len(sound),
        "parity.sound_called_so": sum(sound),
    }


if __name__ == "__main__":
    for key, value in measure().items():
        print(key, value)

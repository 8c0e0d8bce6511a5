"""`python -m eval.claims`: measure the zoo on its held-out data and write the claims on its cards.

Part of `make train`. The answers are those of the local graphs; the tests then measure the same
claims again through HTTP.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path

from rich.console import Console

from eval.data.tables import open_data
from eval.metrics.tables import metric_for
from models.card import Claim, TaskName
from models.decoding import decode
from models.repository import Version, open_version, versions

__all__ = ["CLAIMED", "claims_of", "main"]

# What each task claims; the names are the evaluation's own.
CLAIMED: Mapping[TaskName, tuple[str, ...]] = {
    "classification": ("accuracy", "f1.macro"),
    "detection": ("ap", "ap50"),
    "segmentation": ("miou", "pixel_accuracy"),
}
DATA: Mapping[str, str] = {
    "digits": "digits:test",
    "scenes-detector": "scenes:test:500",
    "scenes-segmenter": "scenes:test:500",
}


def claims_of(version: Version, data_name: str) -> tuple[Claim, ...]:
    """The claimed scores of one version, measured here and now."""
    task = version.card.task
    data = open_data(data_name, task)
    predictor, metrics = open_version(version), metric_for(task, version.card.labels)
    for sample in data:
        for metric in metrics:
            metric.update(predictor.predict([decode(sample.file)]), [sample.expected])
    scores = {score.name: score for metric in metrics for score in metric.compute()}
    return tuple(
        Claim(metric=name, value=value, support=len(data), data=data_name)
        for name in CLAIMED[task]
        if (value := scores[name].value) is not None
    )


def main() -> None:
    """Write the claims of every shipped version."""
    parser = argparse.ArgumentParser(prog="python -m eval.claims", description=__doc__)
    parser.add_argument("repository", type=Path, help="e.g. models/zoo")
    for version in versions(parser.parse_args().repository):
        if version.card.name not in DATA:
            continue
        claims = claims_of(version, DATA[version.card.name])
        version.card.model_copy(update={"claims": claims}).write(version.folder / "card.json")
        told = ", ".join(f"{claim.metric} {claim.value:.4f}" for claim in claims)
        Console().print(f"{version.card.name}/{version.card.version}: {told}")


if __name__ == "__main__":
    main()

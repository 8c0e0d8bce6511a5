"""`python -m eval.claims`: measure a repository on its held-out data and write the claims on its cards.

Part of `make train`. The answers are those of the local graphs; the tests then measure the same
claims again through HTTP. Where the data is absent, a version keeps the claims it has.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from rich.console import Console

from eval.data.tables import open_data
from eval.errors import DatasetError
from eval.metrics.tables import metric_for
from models.card import Claim, ModelCard, TaskName
from models.decoding import decode
from models.repository import Version, open_version, versions

__all__ = ["CLAIMED", "claims_of", "held_out", "main"]

# What each task claims; the names are the evaluation's own.
CLAIMED: Mapping[TaskName, tuple[str, ...]] = {
    "classification": ("accuracy", "f1.macro"),
    "detection": ("ap", "ap50"),
    "segmentation": ("miou", "pixel_accuracy"),
}


def held_out(card: ModelCard) -> str | None:
    """The data that a version is measured on: of its recipe, else of the claims it has; None without."""
    told = card.training.get("held_out")
    return str(told) if told else next((claim.data for claim in card.claims), None)


def claims_of(version: Version, data_name: str) -> tuple[Claim, ...]:
    """The claimed scores of one version, measured here and now.

    Raises:
        DatasetError: the data is not there, or has other classes.
    """
    task = version.card.task
    data = open_data(data_name, task).in_classes_of(version.card.labels)
    predictor, metrics = open_version(version), metric_for(task, version.card.labels)
    for sample in data:
        answers = predictor.predict([decode(sample.file)])
        for metric in metrics:
            metric.update(answers, [sample.expected])
    scores = {score.name: score for metric in metrics for score in metric.compute()}
    return tuple(
        Claim(metric=name, value=value, support=len(data), data=data_name)
        for name in CLAIMED[task]
        if (value := scores[name].value) is not None
    )


def main(told: Sequence[str] | None = None) -> None:
    """Write the claims of every version whose card or claims say what it is measured on."""
    parser = argparse.ArgumentParser(prog="python -m eval.claims", description=__doc__)
    parser.add_argument("repository", type=Path, help="e.g. models/zoo")
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these models; all by default")
    options = parser.parse_args(told)
    for version in versions(options.repository):
        card, name = version.card, held_out(version.card)
        if name is None or (options.names and card.name not in options.names):
            continue
        where = f"{card.name}/{card.version}"
        try:
            claims = claims_of(version, name)
        except DatasetError as error:
            kept = f"its {len(card.claims)} claims are kept" if card.claims else "it claims nothing"
            Console().print(f"{where}: not measured, {kept}: {error}", soft_wrap=True, markup=False)
            continue
        card.model_copy(update={"claims": claims}).write(version.folder / "card.json")
        scores = ", ".join(f"{claim.metric} {claim.value:.4f}" for claim in claims)
        Console().print(f"{where}: {scores}", soft_wrap=True, markup=False)


if __name__ == "__main__":
    main()

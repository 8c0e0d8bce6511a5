"""What PyTorch answered at export: a version's `reference.npz`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from eval.errors import DatasetError
from eval.parity.differences import SEEN
from models.results import Array, Classification, Detections, Result, Segmentation

__all__ = ["answers_of", "count_of", "difference", "read_record"]


def read_record(path: Path) -> dict[str, Array]:
    """Its columns; see `models.export.zoo.reference`.

    Raises:
        DatasetError: no such file, or not one of these.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    except (OSError, ValueError) as error:
        raise DatasetError(f"{path} must be a reference.npz of a model version: {error}") from error


def count_of(record: Mapping[str, Array]) -> int:
    """Of how many images it is: the first of the data set it was made on."""
    return next((len(record[name]) for name in ("probabilities", "counts", "sizes") if name in record), 0)


def answers_of(record: Mapping[str, Array]) -> list[Result]:
    """The recorded answers, one an image.

    Raises:
        DatasetError: the columns do not fit each other.
    """
    try:
        if "probabilities" in record:
            return [Classification(row) for row in record["probabilities"]]
        if "counts" in record:
            ends = np.cumsum(record["counts"])[:-1]
            columns = [np.split(record[name], ends) for name in ("boxes", "scores", "labels")]
            return [Detections(*row) for row in zip(*columns, strict=True)]
        sizes = record["sizes"]
        flat = np.split(record["labels"], np.cumsum(sizes.prod(axis=1))[:-1])
        return [Segmentation(one.reshape(size)) for one, size in zip(flat, sizes.tolist(), strict=True)]
    except (KeyError, ValueError) as error:
        raise DatasetError(f"the reference is not a record of answers: {error}") from error


def difference(answers: Sequence[Result], recorded: Mapping[str, Array]) -> float:
    """The largest difference of a probability; for label maps, the share of pixels that differ.

    Of objects, those with a score of 0.3 or more, best first.

    Args:
        recorded: the columns of a version's `reference.npz`; see `models.export.zoo.reference`.

    Raises:
        DatasetError: the record is of another task or of other images.
    """
    try:
        if all(isinstance(a, Classification) for a in answers):
            live = np.stack([a.scores for a in answers if isinstance(a, Classification)])
            return _largest(live, recorded["probabilities"])
        if all(isinstance(a, Detections) for a in answers):
            seen = [a.scores[a.scores >= SEEN] for a in answers if isinstance(a, Detections)]
            each = np.split(recorded["scores"], np.cumsum(recorded["counts"])[:-1])
            kept = [scores[scores >= SEEN] for scores in each]
            if list(map(len, seen)) != list(map(len, kept)):
                return 1.0  # an object more or less is as different as can be
            return _largest(np.concatenate(seen), np.concatenate(kept))
        maps = [a.labels.ravel() for a in answers if isinstance(a, Segmentation)]
        return float((np.concatenate(maps) != recorded["labels"]).mean())
    except (KeyError, ValueError) as error:
        raise DatasetError(f"the reference is not of these answers: {error}") from error


def _largest(live: Array, recorded: Array) -> float:
    if live.shape != recorded.shape:
        raise ValueError(f"shapes must be equal, got {live.shape} and {recorded.shape}")
    return float(np.abs(live.astype(np.float64) - recorded).max(initial=0.0))

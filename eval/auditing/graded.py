"""How good answers of a detector or segmenter still are under attack: mAP and mIoU, clean beside attacked.

A share of pictures that are fooled says little where an answer can be half right. Every attack with a graded
goal leaves the answer to its final picture; these are scored as those to clean pictures are.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from eval.attacks.goals.detection import Seen, Wanted
from eval.attacks.results import AttackResult
from eval.data.dataset import IGNORED, Expected
from eval.errors import EndpointError
from eval.metrics.base import Metric, Score
from eval.metrics.coco import average_precision, coco_scores
from eval.metrics.detection import DetectionMetric
from eval.metrics.intervals import bootstrap, bootstrap_sums
from eval.metrics.ratios import defined, ratio
from eval.metrics.segmentation import SegmentationMetric
from eval.metrics.truth import Objects
from models.card import TaskName
from models.results import Array, Detections, Result, Segmentation

__all__ = ["Graded", "graded"]

ROUNDING = 1e-9  # of a distance in L2
FATES = ("found", "vanished_error", "mislabelled_error", "fabricated_error")


@dataclass(frozen=True, slots=True)
class Graded:
    """Scores of the same pictures, as they are and as attacks left them.

    Attributes:
        goal: of all attacks.
        images: that were scored.
        left_out: that got no answer, clean or under any attack.
        clean: of the untouched pictures.
        attacked: by attack.
        worst: of each picture the one of the attack that brought the goal's loss lowest. For `pixels` it is
            that with the lowest pixel accuracy (Croce et al. 2023, "Towards reliable evaluation and fast
            training of robust semantic segmentation models", arXiv 2306.12941).
    """

    goal: str
    images: int
    left_out: int
    clean: Sequence[Score]
    attacked: Mapping[str, Sequence[Score]]
    worst: Sequence[Score]


def graded(
    task: TaskName,
    labels: Sequence[str],
    truths: Sequence[Expected],
    clean: Sequence[Result | None],
    results: Sequence[AttackResult],
) -> Graded:
    """mAP and what became of the objects, or mIoU and pixel accuracy, with intervals over images.

    Detectors: COCO's numbers of boxes, and `objects.*`: of the objects that were found when clean, the share
    still `found`, `vanished_error` and `mislabelled_error`; `fabricated_error`, objects a picture that are
    not there. Segmenters: those of `SegmentationMetric`.

    An attack stops where its goal is reached, so scores tell how low they get only of a goal that leaves
    nothing: `vanish`, `pixels:0`.

    A final picture beyond the threat (of an attack that looks for the smallest change) does not count: the
    clean answer does. A picture that got no answer is left out everywhere: all scores are of the same ones.

    Args:
        truths: of the pictures attacked, in order.
        clean: the answers to them as they are.
        results: of attacks with one goal, which is graded, and one threat; on all of these pictures.

    Raises:
        EndpointError: an answer cannot be scored.
        ValueError: not equally many, or not of one graded goal and threat.
    """
    if not results or len({(result.goal, result.threat) for result in results}) > 1:
        told = "; ".join(f"{result.goal} within {result.threat}" for result in results) or "none"
        raise ValueError(f"results must be of one goal and threat, got {told}")
    if len({len(truths), len(clean), *map(len, results)}) > 1:
        raise ValueError(f"truths, answers and results must be equally many, got {len(truths)}, {len(clean)}")
    views = [_View(result, clean) for result in results]
    kept = [i for i, answer in enumerate(clean) if answer is not None and all(v.answered(i) for v in views)]
    lowest = np.argmin([view.losses for view in views], axis=0)
    card = _Card(task, labels, truths, clean, kept)
    return Graded(
        results[0].goal,
        len(kept),
        len(truths) - len(kept),
        card.scores(clean[i] for i in kept),
        {view.result.attack: card.scores(view.answer(i) for i in kept) for view in views},
        card.scores(views[lowest[i]].answer(i) for i in kept),
    )


class _View:
    """What an attack counts for: its pictures inside the threat, else the clean ones."""

    def __init__(self, result: AttackResult, clean: Sequence[Result | None]) -> None:
        self.result, self._clean = result, clean
        self._inside = result.distance <= result.threat.epsilon * (1 + ROUNDING)
        self.losses = np.where(self._inside, result.best_loss, result.start_loss)

    def answered(self, place: int) -> bool:
        return not self.result.errors[place]

    def answer(self, place: int) -> Result | None:
        if not self._inside[place]:
            return self._clean[place]
        answer = self.result.answers[place]
        if answer is None:
            raise ValueError(f"the goal must be graded, got {self.result.goal}, which keeps no answers")
        return answer


@dataclass(frozen=True, slots=True)
class _Card:
    """Scores answers to the pictures that are kept."""

    task: TaskName
    labels: Sequence[str]
    truths: Sequence[Expected]
    clean: Sequence[Result | None]
    kept: Sequence[int]

    def scores(self, answers: Iterable[Result | None]) -> list[Score]:
        return self._objects(answers) if self.task == "detection" else self._pixels(answers)

    def _pixels(self, answers: Iterable[Result | None]) -> list[Score]:
        metric = SegmentationMetric(self.labels, ignore_index=IGNORED)
        for place, answer in zip(self.kept, answers, strict=True):
            truth = self.truths[place]
            if not isinstance(answer, Segmentation) or not isinstance(truth, np.ndarray):
                raise EndpointError(f"answers must be a segmenter's, got {type(answer).__name__}")
            _update(metric, answer, truth)
        return metric.compute()

    def _objects(self, answers: Iterable[Result | None]) -> list[Score]:
        metric = DetectionMetric(self.labels, resamples=0)
        fates = [np.zeros(len(FATES) + 1)]
        for place, answer in zip(self.kept, answers, strict=True):
            truth, clean = self.truths[place], self.clean[place]
            if not isinstance(answer, Detections) or not isinstance(truth, Objects) or clean is None:
                raise EndpointError(f"answers must be a detector's, got {type(answer).__name__}")
            _update(metric, answer, truth)
            fates.append(_fates(Wanted.of(truth), clean, answer))
        table = metric.table()
        scores = coco_scores(table, self.labels)
        if table.images > 1:
            intervals = bootstrap(average_precision(table), table.images, shares=True)
            scores = [
                replace(s, low=low, high=high) for s, (low, high) in zip(scores, intervals, strict=True)
            ]
        return [*scores, *_told(np.array(fates[1:]).reshape(-1, len(FATES) + 1))]


def _update(metric: Metric[Any, Any], answer: Result, truth: Expected) -> None:
    try:
        metric.update([answer], [truth])
    except ValueError as error:
        raise EndpointError(f"an answer cannot be scored: {error}") from error


def _fates(wanted: Wanted, clean: Result, answer: Result) -> Array:
    """float64 `(5,)`: of the objects found when clean those found, vanished and mislabelled; how many are
    found that are not there; how many were found when clean."""
    seen = Seen.of(wanted, answer)
    before = Seen.of(wanted, clean).found()
    found, mistaken = before & seen.found(), before & seen.mistaken(seen.others())
    false = np.count_nonzero(seen.false() >= seen.score)
    counts = (found.sum(), (before & ~found & ~mistaken).sum(), mistaken.sum(), false, before.sum())
    return np.array(counts, np.float64)


def _told(fates: Array) -> list[Score]:
    """Of the rows of `_fates`."""
    rows = np.concatenate([fates, np.ones((len(fates), 1))], axis=1)

    def shares(sums: Array) -> Array:
        return ratio(sums[:, :4], sums[:, [4, 4, 4, 5]])

    values = shares(rows.sum(axis=0, keepdims=True))[0]
    support = [int(fates[:, 4].sum())] * 3 + [len(fates)]
    read = zip(FATES, values, support, bootstrap_sums(rows, shares, shares=True), strict=True)
    rule = "assay/objects,iou=0.5,score=0.3"
    return [Score(f"objects.{name}", defined(v), n, rule, *interval) for name, v, n, interval in read]

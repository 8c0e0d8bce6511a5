"""Scores of a recorded run: a pure function of what was recorded and of the data."""

from __future__ import annotations

import hashlib
from bisect import insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from eval.collect import Asked
from eval.errors import EndpointError
from eval.metrics.base import Metric, Score
from eval.metrics.classification import ClassificationMetric
from eval.metrics.intervals import wilson
from eval.metrics.tables import metric_for
from eval.recorded import Recorded
from eval.worst import Worst
from models.card import TaskName

__all__ = ["MOST_ERRORS", "Scored", "score"]

MOST_ERRORS = 0.01  # of the images; with more, the run is not valid
TOGETHER = 64  # images of a record that are held at once
ERRORS_TOLD = 20  # that are named in the report; all are counted


@dataclass(slots=True)
class Scored:
    """What is known of a run, grown one image at a time.

    Attributes:
        metrics: of all answered images; empty until then.
        slices: slice -> value -> the metrics of its images.
        partial: answers name only the best class; see `Target.partial`.
        noted: places of the images that are in, answered or not.
        errors: how many got no answer.
        failed: place, id and reason of the first of them.
        digest: of every id, file and truth, in order.
    """

    task: TaskName
    labels: tuple[str, ...]
    metrics: tuple[Metric[Any, Any], ...]
    worst: Worst
    slices: dict[str, dict[str, tuple[Metric[Any, Any], ...]]] = field(default_factory=dict)
    partial: bool = False
    noted: set[int] = field(default_factory=set)
    errors: int = 0
    failed: list[tuple[int, str, str]] = field(default_factory=list)
    digest: str = ""

    @staticmethod
    def of(run: Recorded) -> Scored:
        """Nothing of a run yet."""
        task, labels, partial = run.target.task, run.data.labels, run.target.partial
        return Scored(task, labels, metric_for(task, labels, partial=partial), Worst(), partial=partial)

    @property
    def images(self) -> int:
        """How many were asked about, answered or not."""
        return len(self.noted)

    @property
    def classes(self) -> int | None:
        """How many classes occur in the truth; None where images have no class of their own."""
        first = self.metrics[0]
        if not isinstance(first, ClassificationMetric):
            return None
        return int((first.confusion.sum(axis=1) > 0).sum())

    @property
    def why(self) -> list[tuple[str, str]]:
        """Id and reason of the first that got no answer, in the order of the data."""
        return [(name, reason) for _, name, reason in self.failed]

    @property
    def valid(self) -> bool:
        """Whether enough was answered for the numbers to mean anything."""
        return self.errors <= MOST_ERRORS * self.images

    def note(self, told: Sequence[tuple[Asked, Mapping[str, str]]]) -> None:
        """Add images, each with the slices it is in; their order does not matter.

        Raises:
            EndpointError: an answer is none that can be scored.
        """
        for asked, _ in told:
            self.noted.add(asked.place)
            if asked.answer is None:
                self.errors += 1
                insort(self.failed, (asked.place, asked.sample.id, asked.error))
                del self.failed[ERRORS_TOLD:]
        answered = [(asked, tags) for asked, tags in told if asked.answer is not None]
        if not answered:
            return
        self._update(self.metrics, [asked for asked, _ in answered])
        parts: dict[tuple[str, str], list[Asked]] = {}
        for asked, tags in answered:
            for part in tags.items():
                parts.setdefault(part, []).append(asked)
        for (name, value), inside in parts.items():
            self._update(self._part(name, value), inside)
        for asked, _ in answered:
            if asked.answer is not None:
                self.worst.note(asked.sample, asked.answer, asked.place)

    def _update(self, metrics: Sequence[Metric[Any, Any]], answered: Sequence[Asked]) -> None:
        try:
            for metric in metrics:
                metric.update([a.answer for a in answered], [a.sample.expected for a in answered])
        except ValueError as error:  # a foreign server may answer what is no probability, or another size
            if len(answered) == 1:
                name = answered[0].sample.id
                raise EndpointError(f"the answer to {name} cannot be scored: {error}") from error
            for one in answered:
                self._update(metrics, [one])
            raise

    def _part(self, name: str, value: str) -> tuple[Metric[Any, Any], ...]:
        parts = self.slices.setdefault(name, {})
        if value not in parts:
            parts[value] = metric_for(self.task, self.labels, part=True, partial=self.partial)
        return parts[value]

    def scores(self) -> list[Score]:
        """Every score of the answered images, and accuracy of all of them where some got no answer."""
        return _read(self.metrics) + self._effective()

    def _effective(self) -> list[Score]:
        """Whoever asks and hears nothing has no right answer either."""
        first = self.metrics[0]
        if not self.errors or not isinstance(first, ClassificationMetric):
            return []
        right = int(first.confusion.trace())
        rule = "assay/effective_accuracy,no_answer=wrong"
        interval = wilson(right, self.images)
        return [Score("effective_accuracy", right / self.images, self.images, rule, *interval)]

    def scores_of_slices(self) -> dict[str, dict[str, list[Score]]]:
        """Slice -> value -> its scores, both in sorted order."""
        return {
            name: {value: _read(parts[value]) for value in sorted(parts)}
            for name, parts in sorted(self.slices.items())
        }


def _read(metrics: Sequence[Metric[Any, Any]]) -> list[Score]:
    return [score for metric in metrics for score in metric.compute()]


def score(run: Recorded, begun: Scored | None = None) -> Scored:
    """Read from its record what of a run has not been scored yet, one image at a time.

    Raises:
        DatasetError: the data is no longer what was sent.
        EndpointError: an answer is none that can be scored.
    """
    scored = Scored.of(run) if begun is None else begun
    rows = run.rows(but=scored.noted)
    while some := [(asked, row.tags) for row, asked in islice(rows, TOGETHER)]:
        scored.note(some)
    digest = hashlib.blake2b(digest_size=16)
    for row in run.journal.rows():
        digest.update(f"{row.id}\0{row.digest}\0{row.truth}\0".encode())
    scored.digest = digest.hexdigest()
    return scored

"""The way from a picture's bytes to an answer as its card has it, every step replaceable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self, TypeAlias

import numpy as np

from models.card import ModelCard
from models.decoding import Picture, read_picture
from models.imaging import fit, place
from models.results import Array, Classification, Result, Shape
from models.tasks import TASKS, Runner

__all__ = ["After", "Pipeline", "Resize", "only_best"]

Resize: TypeAlias = Callable[[Array, Shape], Array]
After: TypeAlias = Callable[["Pipeline", Result, Sequence[Array], Shape], Result]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """One model, run here.

    Attributes:
        card: says how a picture gets into the graph.
        reader: says how an answer comes out of it; the same card, but for a skew.
        read: bytes -> picture.
        paint: what becomes of the picture's colours.
        resize: (picture, (H, W)) -> the picture in that size; None for the card's own filter.
        lay: what becomes of the tensor of one picture.
        after: (pipeline, answer, raw outputs of the picture, its (H, W)) -> what is answered.
        best_only: answers tell the best class and its score only, as those of some servers do.
    """

    card: ModelCard
    reader: ModelCard
    runner: Runner
    read: Callable[[bytes], Picture] = read_picture
    paint: Callable[[Array], Array] | None = None
    resize: Resize | None = None
    lay: Callable[[Array], Array] | None = None
    after: After | None = None
    best_only: bool = False

    @classmethod
    def of(cls, card: ModelCard, runner: Runner) -> Self:
        """As the card says."""
        return cls(card, card, runner)

    def with_input(self, **fields: Any) -> Self:
        """With another way into the graph, and out of it; checked as a card is checked."""
        spec = type(self.card.input).model_validate({**self.card.input.model_dump(), **fields})
        return replace(
            self,
            card=self.card.model_copy(update={"input": spec}),
            reader=self.reader.model_copy(update={"input": spec}),
        )

    def prepare(self, picture: Picture) -> Array:
        """The graph's input for one picture."""
        spec, shape, pixels = self.card.input, picture.shape, picture.pixels
        if self.paint is not None:
            pixels = self.paint(pixels)
        if self.resize is not None:
            placed = place(shape, spec)
            size = (max(1, round(placed.scale_y * shape[0])), max(1, round(placed.scale_x * shape[1])))
            pixels = pixels if size == pixels.shape[:2] else self.resize(pixels, size)
        # What has its size already is not resized again.
        tensor = fit(pixels, spec, shape=shape, scale=picture.scale if self.resize is None else 1.0)
        return tensor if self.lay is None else self.lay(tensor)

    def raw(self, pictures: Sequence[Picture]) -> list[Array]:
        """The graph's outputs for one batch."""
        return self.runner.run(np.stack([self.prepare(picture) for picture in pictures]))

    def answers(self, files: Sequence[bytes]) -> list[Result]:
        """One answer a file, same order.

        Raises:
            ValueError: a picture cannot be read, or the graph gave NaN or infinity.
        """
        task, size, found = TASKS[self.reader.task](self.reader), self.card.max_batch, []
        for start in range(0, len(files), size):
            pictures = [self.read(file) for file in files[start : start + size]]
            outputs = self.raw(pictures)
            for i, picture in enumerate(pictures):
                own = [output[i] for output in outputs]
                answer: Result = task.interpret(own, picture.shape)
                answer = answer if self.after is None else self.after(self, answer, own, picture.shape)
                found.append(only_best(answer) if self.best_only else answer)
        return found


def only_best(answer: Result) -> Result:
    """The best class and its score; the other scores are 0."""
    if not isinstance(answer, Classification):
        return answer
    scores = np.zeros_like(answer.scores)
    scores[answer.label] = answer.scores[answer.label]
    return Classification(scores)

"""A family: how the raw outputs of one kind of exported graph are shaped, and how they are read."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeAlias, TypeVar

import numpy as np

from models.card import InputSpec, ModelCard, TaskName
from models.families.shapes import Sizes, solved
from models.ports import Port
from models.results import Array

__all__ = ["FLOATS", "NUMBERS", "WHOLES", "Family", "Rule"]

Read = TypeVar("Read", covariant=True)
Rule: TypeAlias = Callable[[Sizes, InputSpec], str | None]

FLOATS, WHOLES, NUMBERS = "f", "iu", "fiu"  # NumPy's kinds of element types
_KINDS = {FLOATS: "floats", WHOLES: "whole numbers", NUMBERS: "numbers", "fu": "floats or unsigned"}


@dataclass(frozen=True, slots=True)
class Family(Generic[Read]):
    """One kind of exported graph.

    Attributes:
        contract: one line for people: what the outputs must be, N pictures at a time.
        shapes: the ways the outputs of one picture may be shaped, each a text for every output in the
            card's order: see `models.families.shapes`. C is the number of classes.
        kinds: the NumPy kinds each output may have.
        read: finite raw outputs of one picture, card -> what the task makes a result of.
        rule: why sizes that fit `shapes` do not fit the input, or None.
        always: the number of classes, where no shape tells it because it is always the same.
        masks: whether its objects have masks.
        batched: False where the outputs have no batch axis: such a graph takes one picture at a time.
    """

    name: str
    task: TaskName
    contract: str
    shapes: tuple[tuple[str, ...], ...]
    kinds: tuple[str, ...]
    read: Callable[[Sequence[Array], ModelCard], Read]
    rule: Rule | None = None
    always: int | None = None
    masks: bool = False
    batched: bool = True

    @property
    def most_outputs(self) -> int:
        """How many outputs are read; a card may name others behind them."""
        return max(map(len, self.shapes))

    def read_finite(self, outputs: Sequence[Array], card: ModelCard) -> Read:
        """As `read`. Raises ValueError where an output holds NaN or infinity, or not what the card says."""
        for output in outputs[: self.most_outputs]:
            if output.dtype.kind == "f" and output.size:
                ends = output.min(), output.max()  # they tell of all values, quicker than each for itself
                if not np.isfinite(ends).all():
                    raise ValueError("outputs must be finite, got NaN or infinity")
        return self.read(outputs, card)

    def mismatch(self, outputs: Sequence[Port], spec: InputSpec, classes: int | None) -> str | None:
        """Why these outputs are not of this family, in one line; None where they may be.

        Args:
            outputs: in the card's order, as the graph tells them: with their batch axis, -1 where any
                size goes, no sizes at all where it does not tell how many there are.
            classes: how many there are, if that is known.
        """
        if None not in (classes, self.always) and classes != self.always:
            return f"there are {self.always} classes, the labels name {classes}"
        fits = [self._fit(shapes, outputs, spec, classes) for shapes in self.shapes]
        reasons = [fit for fit in fits if isinstance(fit, str)]
        if len(reasons) == len(fits):
            return max(reasons, key=lambda reason: reason != self._told(outputs))
        if wrong := self._kind(outputs):
            return wrong
        told = all(port.shape and -1 not in port.shape[1:] for port in outputs)
        if told and len(fits) - len(reasons) > 1:
            return f"{_listed(outputs)} can be read in more ways than one: its axes must differ in size"
        return None

    def classes(self, outputs: Sequence[Port], spec: InputSpec) -> int | None:
        """The number of classes that the shapes tell, if they do."""
        fits = [self._fit(shapes, outputs, spec, None) for shapes in self.shapes]
        told = {fit.get("C", self.always) for fit in fits if not isinstance(fit, str)} - {None}
        return told.pop() if len(told) == 1 else None

    def _kind(self, outputs: Sequence[Port]) -> str | None:
        for port, kinds in zip(outputs, self.kinds, strict=False):
            if port.dtype.kind not in kinds:
                return f"{port.name} must be {_KINDS[kinds]}, got {port.dtype}"
        return None

    def _fit(
        self, shapes: tuple[str, ...], outputs: Sequence[Port], spec: InputSpec, classes: int | None
    ) -> Sizes | str:
        """The sizes of the letters, or why there are none."""
        if len(shapes) != len(outputs):
            return self._told(outputs)
        told = [
            (shape, port.shape[1:] if self.batched else port.shape)
            for shape, port in zip(shapes, outputs, strict=True)
            if port.shape
        ]
        sizes = solved(told, {})
        if sizes is None:
            return self._told(outputs)
        if classes is not None:
            found, sizes = sizes.get("C"), solved(told, {"C": classes})
            if sizes is None:
                many = "another number of classes" if found is None else f"{found} classes"
                return f"{_listed(outputs)} has {many}, the labels name {classes}"
        return (self.rule and self.rule(sizes, spec)) or sizes

    def _told(self, outputs: Sequence[Port]) -> str:
        return f"the graph must have {self.contract}; it has {_listed(outputs)}"


def _listed(outputs: Sequence[Port]) -> str:
    return ", ".join(f"{o.name} ({', '.join('any' if s < 0 else str(s) for s in o.shape)})" for o in outputs)

"""The thing under test.

`predict(images) -> answers` is the one verb of the project. This is its asynchronous form, which
live services, the wave scheduler and test doubles share; `models.tasks.Predictor` is the plain one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol, TypeVar

from models.results import Array, Result

__all__ = ["Endpoint"]

Answer = TypeVar("Answer", bound=Result, covariant=True)


class Endpoint(Protocol[Answer]):
    """Anything that answers images over time; many calls may be under way at once.

    `predict` raises `eval.errors.EndpointError` when the images got no answer.
    """

    async def predict(self, images: Sequence[Array]) -> Sequence[Answer]:
        """uint8 RGB `(H, W, 3)` images -> one result each, same order."""

"""The thing under test, how its queries are counted, and how to call it without a loop.

`predict(images) -> answers` is the one verb of the project. `Endpoint` is its asynchronous
form, which live services and the wave scheduler use; `Blocking` derives the plain form.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Generic, Protocol, TypeVar

from models.results import Array, Result

__all__ = ["Blocking", "Endpoint", "Local", "Metered", "Predicts"]

Answer = TypeVar("Answer", bound=Result)
Covariant = TypeVar("Covariant", bound=Result, covariant=True)


class Predicts(Protocol[Covariant]):
    """Anything that answers images at once. `models.tasks.Predictor` is one already."""

    def predict(self, images: Sequence[Array]) -> Sequence[Covariant]:
        """uint8 RGB `(H, W, 3)` images -> one result each, same order."""


class Endpoint(Protocol[Covariant]):
    """Anything that answers images over time; many calls may be under way at once.

    `predict` raises `eval.errors.EndpointError` when the images got no answer.
    """

    async def predict(self, images: Sequence[Array]) -> Sequence[Covariant]:
        """uint8 RGB `(H, W, 3)` images -> one result each, same order."""


class Local(Generic[Answer]):
    """A blocking predictor in the shape of an endpoint; for tests and parity checks."""

    def __init__(self, predictor: Predicts[Answer]) -> None:
        self._predictor = predictor

    async def predict(self, images: Sequence[Array]) -> Sequence[Answer]:
        return self._predictor.predict(images)


class Blocking(Generic[Answer]):
    """An endpoint in the shape of a predictor. Not for use inside a running loop."""

    def __init__(self, endpoint: Endpoint[Answer]) -> None:
        self._endpoint = endpoint

    def predict(self, images: Sequence[Array]) -> Sequence[Answer]:
        return asyncio.run(self._call(images))

    async def _call(self, images: Sequence[Array]) -> Sequence[Answer]:
        return await self._endpoint.predict(images)


class Metered(Generic[Answer]):
    """An endpoint that counts images, not requests."""

    def __init__(self, endpoint: Endpoint[Answer]) -> None:
        self._endpoint = endpoint
        self.queries = 0

    async def predict(self, images: Sequence[Array]) -> Sequence[Answer]:
        self.queries += len(images)
        return await self._endpoint.predict(images)

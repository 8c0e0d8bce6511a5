"""The thing under test.

`predict(images) -> answers` is the one verb of the project. This is its asynchronous form, which
live services, the wave scheduler and test doubles share; `models.tasks.Predictor` is the plain one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, Self, TypeVar

from models.results import Array, Result

__all__ = ["Endpoint", "RemoteEndpoint"]

Answer = TypeVar("Answer", bound=Result, covariant=True)


class Endpoint(Protocol[Answer]):
    """Anything that answers images over time; many calls may be under way at once.

    `predict` raises `eval.errors.EndpointError` when the images got no answer.
    """

    async def predict(self, images: Sequence[Array]) -> Sequence[Answer]:
        """uint8 RGB `(H, W, 3)` images -> one result each, same order."""


class RemoteEndpoint(Endpoint[Any], Protocol):
    """One that is reached over a network, entered with `async with`, and takes picture files as they are."""

    async def __aenter__(self) -> Self: ...

    async def __aexit__(self, *failure: Any) -> None: ...

    async def predict_files(self, files: Sequence[bytes]) -> Sequence[Any]:
        """Encoded pictures, sent as they are -> one result each, same order.

        Raises:
            Refused: it would not take what was sent; something else may be taken.
            EndpointError: failed after the last attempt, or answered nonsense.
        """

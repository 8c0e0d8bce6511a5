"""What every live endpoint has, whatever it speaks: a session, an order, an honest look at answers."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any, Generic, Self, TypeVar, cast

from eval.errors import EndpointError, Refused
from eval.remote.http import Http
from models.decoding import UnreadableImage, decode, encode_png, is_small, peek
from models.results import Array, Classification, Result

__all__ = ["Answer", "LiveEndpoint", "decoded", "pixels_of", "probable"]

ROUNDING = 1e-4  # how far beyond 0 or 1 a probability may lie that was summed in float16

Answer = TypeVar("Answer", bound=Result)


class LiveEndpoint(ABC, Generic[Answer]):
    """One model of a service, asked over HTTP. Use as `async with`.

    Args:
        classes: that answers may name; None where that is not known.

    Attributes:
        http: the session.
    """

    def __init__(self, http: Http, classes: int | None = None) -> None:
        self.http = http
        self._classes = classes

    @property
    def seconds(self) -> list[float]:
        """How long each answered request took, retries included."""
        return self.http.seconds

    async def __aenter__(self) -> Self:
        await self.http.__aenter__()
        try:
            await self._learn()
        except BaseException:
            await self.http.__aexit__()
            raise
        return self

    async def __aexit__(self, *failure: Any) -> None:
        await self.http.__aexit__()

    async def predict(self, images: Sequence[Array]) -> Sequence[Answer]:
        """uint8 RGB `(H, W, 3)` images, sent losslessly -> one result each, same order."""
        return await self.predict_files(await asyncio.to_thread(_pngs, images)) if images else []

    async def predict_files(self, files: Sequence[bytes]) -> Sequence[Answer]:
        """Encoded pictures, sent as they are -> one result each, same order.

        Raises:
            Refused: it would not take what was sent.
            EndpointError: failed after the last attempt, or answered nonsense.
        """
        return self._checked(await self._answers(files)) if files else []

    async def _learn(self) -> None:
        """What must be known of the service before it is asked."""

    @abstractmethod
    async def _answers(self, files: Sequence[bytes]) -> Sequence[Result]:
        """One result for each file. Raises EndpointError."""

    def _checked(self, results: Sequence[Result]) -> Sequence[Answer]:
        """The results, when they name no class that is not there."""
        if self._classes is not None:
            for result in results:
                if isinstance(result, Classification):
                    if len(result.scores) != self._classes:
                        raise EndpointError(
                            f"there must be {self._classes} scores, one a class, got {len(result.scores)}"
                        )
                elif result.labels.size:
                    _check_labels(result.labels, self._classes)
        return cast("Sequence[Answer]", results)


def _check_labels(labels: Array, classes: int) -> None:
    if labels.min() < 0 or labels.max() >= classes:
        raise EndpointError(f"labels must be 0 to {classes - 1}, got {labels.min()} to {labels.max()}")


def pixels_of(file: bytes) -> int:
    """Of a picture, by its header; 0 where it cannot be read, and then no map of it is believed."""
    try:
        header = peek(file)
    except UnreadableImage:
        return 0
    return header.width * header.height


def _pngs(images: Sequence[Array]) -> list[bytes]:
    return [encode_png(image) for image in images]


async def decoded(files: Sequence[bytes]) -> list[Array]:
    """Pictures as pixels, for services that want those. Raises Refused for one that cannot be read."""
    if all(map(is_small, files)):
        return _decoded(files)
    return await asyncio.to_thread(_decoded, files)


def _decoded(files: Sequence[bytes]) -> list[Array]:
    try:
        return [decode(file) for file in files]
    except UnreadableImage as error:
        raise Refused(f"the picture cannot be sent as pixels: {error}") from error


def probable(result: Result) -> Result:
    """A result of a service that is not ours, its scores certainly in [0, 1]: metrics rely on it.

    Raises:
        ValueError: they are no probabilities.
    """
    if not isinstance(result, Classification):
        return result
    low, high = float(result.scores.min()), float(result.scores.max())
    if low < -ROUNDING or high > 1 + ROUNDING:
        raise ValueError(f"scores must be in [0, 1], got {low:g} to {high:g}")
    return result if low >= 0 and high <= 1 else Classification(result.scores.clip(0, 1))

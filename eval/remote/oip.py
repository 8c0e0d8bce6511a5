"""A model behind the Open Inference Protocol v2 as an endpoint: ours, Triton, KServe, OVMS, MLServer."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from eval.errors import EndpointError, Gone
from eval.remote.endpoint import Answer, LiveEndpoint, decoded, pixels_of, probable
from eval.remote.http import Http
from eval.remote.protocol import model_of, server_of, where
from eval.remote.tensors import read_outputs, written
from eval.remote.ways import Way, way_of
from models.card import ModelCard, TaskName
from models.columns import from_columns
from models.decoding import UnreadableImage, peek
from models.families.tables import FAMILIES
from models.results import Array, Result, Shape
from models.tasks import TASKS

__all__ = ["OipEndpoint"]

LITTLE = 1 << 18  # numbers; preparing more is worth a thread


class OipEndpoint(LiveEndpoint[Answer]):
    """One model of a server that speaks the protocol. Use as `async with`.

    What the server says of the model decides how pictures are sent (`eval.remote.ways`); what it says
    of itself, whether tensors go as raw bytes or as JSON. Numbers survive either exactly.

    Args:
        version: as the server calls it; its own choice when None.
        card: how the model's pictures are prepared and its tensors read, where the server does neither.
    """

    def __init__(
        self,
        http: Http,
        url: str,
        *,
        task: TaskName,
        model: str,
        version: str | None = None,
        classes: int | None = None,
        card: ModelCard | None = None,
    ) -> None:
        super().__init__(http, classes)
        self._told: tuple[str, str, str | None] = (url, model, version)
        path = ("models", model, *(() if version is None else ("versions", version)), "infer")
        self._url = where(url, *path)
        self._task_name, self._card = task, card
        self._task = None if card is None else TASKS[card.task](card)
        self._binary = self._batched = False
        self._way: Way | None = None

    async def _learn(self) -> None:
        url, name, version = self._told
        model = await model_of(self.http, url, name, version)
        if model is None:
            raise EndpointError(f"{url} serves no model {name!r}")
        self._way = way_of(model, self._card)
        self._binary = (await server_of(self.http, url)).binary

    @property
    def way(self) -> Way:
        """How the model is asked."""
        if self._way is None:
            raise RuntimeError("the endpoint must be entered first: `async with ... as endpoint`")
        return self._way

    async def predict(self, images: Sequence[Array]) -> Sequence[Answer]:
        if self.way.send == "files" and not self.way.answers:
            return await super().predict(images)
        return self._checked(await self._of_pixels(images)) if images else []

    async def _answers(self, files: Sequence[bytes]) -> Sequence[Result]:
        if self.way.send != "files":
            return await self._of_pixels(await decoded(files))
        if not self.way.answers:
            shapes = [image.shape[:2] for image in await decoded(files)]  # what the answers are placed in
            return await self._in_batches(files, shapes)
        known = [pixels_of(file) for file in files]
        if self._task_name != "segmentation":
            return await self._in_batches(files, known)
        return await self._by_size([_size(file) for file in files], files, known)

    async def _of_pixels(self, images: Sequence[Array]) -> Sequence[Result]:
        """Pictures of one size in one tensor; or what the card makes of them, which has one size."""
        shapes = [image.shape[:2] for image in images]
        if self.way.send == "tensor":
            return await self._in_batches(await self._prepared(images), shapes)
        known = [height * width for height, width in shapes] if self.way.answers else shapes
        return await self._by_size(shapes, images, known)

    async def _by_size(
        self, sizes: Sequence[Hashable], rows: Sequence[Any], known: Sequence[Any]
    ) -> list[Result]:
        """As `_in_batches`, with rows of one size in a request."""
        groups: dict[Hashable, list[int]] = {}
        for number, size in enumerate(sizes):
            groups.setdefault(size, []).append(number)
        found: dict[int, Result] = {}
        for numbers in groups.values():
            results = await self._in_batches([rows[n] for n in numbers], [known[n] for n in numbers])
            found.update(zip(numbers, results, strict=True))
        return [found[number] for number in range(len(rows))]

    async def _prepared(self, images: Sequence[Array]) -> list[Array]:
        task = self._task
        if task is None:
            raise RuntimeError("a tensor is prepared by a card")
        if sum(image.size for image in images) <= LITTLE:
            return [task.prepare(image) for image in images]
        return await asyncio.to_thread(lambda: [task.prepare(image) for image in images])

    async def _in_batches(self, rows: Sequence[Any], known: Sequence[Any]) -> list[Result]:
        """Answers to rows, in requests as large as the server takes.

        Args:
            known: of each picture, its pixels or its shape: what its answer is read with.
        """
        most = self.way.most or len(rows)
        results: list[Result] = []
        for start in range(0, len(rows), most):
            part, told = rows[start : start + most], known[start : start + most]
            try:
                results += await self._request(part, told)
                self._batched = self._batched or len(part) > 1
            except Gone:
                raise
            except EndpointError:
                if self._batched or self.way.answers or self.way.exact or len(part) == 1:
                    raise
                # Some servers take one picture at a time and do not say so.
                results += [(await self._request([r], [k]))[0] for r, k in zip(part, told, strict=True)]
                self._way = replace(self.way, most=1)
                return results + await self._in_batches(rows[start + most :], known[start + most :])
        return results

    async def _request(self, rows: Sequence[Any], known: Sequence[Any]) -> list[Result]:
        way, count = self.way, len(rows)
        if way.exact and way.most:
            rows = [*rows, *[rows[-1]] * (way.most - count)]
        pictures = isinstance(rows[0], bytes)
        values = list(rows) if pictures else np.stack(rows)
        shape = (len(rows), *(1 for _ in way.port.shape[1:])) if pictures and not way.answers else None
        body, headers = written(way.port.name, values, binary=self._binary, shape=shape, outputs=way.outputs)
        reply = await self.http.ask(self._url, body, headers, images=count)
        outputs = read_outputs(reply, self._told[1:] if way.answers else (None, None))
        try:
            if way.answers:
                if self._task_name == "segmentation" and outputs["answer.labels"].size != sum(known):
                    raise ValueError("label maps must have the pixels of their pictures")
                return from_columns(self._task_name, outputs, count, pixels=list(known))
            return self._interpreted(outputs, known, len(rows))
        except (KeyError, ValueError, IndexError, OverflowError, TypeError) as error:
            raise EndpointError(f"{self._url.path} gave an answer that cannot be read: {error}") from error

    def _interpreted(self, outputs: dict[str, Array], shapes: Sequence[Shape], count: int) -> list[Result]:
        card, task, names = self._card, self._task, self.way.outputs
        if card is None or task is None:
            raise RuntimeError("tensors are read by a card")
        if not names:  # the server did not say: by name, else by place
            names = card.outputs if set(card.outputs) <= set(outputs) else tuple(outputs)
        arrays = [outputs[name] for name in names]
        if len(arrays) < len(card.outputs):
            raise ValueError(f"the card reads {', '.join(card.outputs)}, got {', '.join(names) or 'none'}")
        if not FAMILIES[card.task][card.family].batched:
            arrays = [array[None] for array in arrays]
        for name, array in zip(names, arrays, strict=True):
            if len(array) != count:
                raise ValueError(f"{name!r} must have {count} rows, one an image, got {len(array)}")
        return [
            probable(task.interpret([array[i] for array in arrays], shape)) for i, shape in enumerate(shapes)
        ]


def _size(file: bytes) -> tuple[int, int]:
    """Of a picture, by its header."""
    try:
        header = peek(file)
    except UnreadableImage:
        return 0, 0
    return header.height, header.width

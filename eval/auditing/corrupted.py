"""Asks a live model about every picture under every corruption, drawn as it goes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from eval.auditing.cells import CLEAN, UNKEPT, Cell, Cells, Corrupted, Standing, standing_of
from eval.auditing.headline import HEADLINES, Headline
from eval.collect import misfit
from eval.corruptions.tables import CORRUPTIONS, SEVERITIES, corrupt
from eval.data.dataset import Dataset, Expected
from eval.endpoint import Endpoint
from eval.errors import EndpointError
from eval.silence import Silence
from models.decoding import UnreadableImage, decode
from models.results import Array

__all__ = ["corrupted"]

MOST_BYTES = 32 << 20  # of pixels in one request, so that pictures from a camera do not fill the memory


async def corrupted(
    endpoint: Endpoint[Any],
    data: Dataset,
    names: Sequence[str],
    severities: Sequence[int] = SEVERITIES,
    *,
    seed: int,
    batch: int,
    in_flight: int,
    model: str = "",
    calibrated: bool = True,
    cells: Cells = UNKEPT,
    progress: Callable[[int, int], None] | None = None,
) -> Corrupted:
    """How well a model does on every picture under every corruption at every severity, and on it as it is.

    Pictures are drawn a request at a time, in threads; of the answers only what the numbers need is kept,
    and of the cell under way alone. The same seed gives the same pictures and the same numbers to the last
    bit, whatever `batch` and `in_flight` are and however often it was interrupted.

    A picture that gets no answer, or one that cannot be scored, is an error of its cell. What was asked
    together and failed is asked again one by one. With errors for more than 1 % of the images a cell has
    no score.

    Args:
        data: in the model's classes.
        names: in `CORRUPTIONS`.
        batch, in_flight: pictures in a request, and requests at once.
        model: what it is called in the result.
        calibrated: a classifier's best score is a probability: its calibration is measured too.
        cells: where answers are kept, to go on with.
        progress: told how many pictures are done, of how many.

    Raises:
        ValueError: no corruption, no severity, or one there is none of.
        EndpointError: nobody listens, or eight requests in a row got no answer. What `cells` keeps stays.
    """
    _check(names, severities)
    told = sorted(set(severities))
    every = [CLEAN, *(Cell(name, severity) for name in dict.fromkeys(names) for severity in told)]
    headline: Headline[Any, Any] = HEADLINES[data.task](data.labels)
    run = _Run(endpoint, data, headline, seed, cells)
    standings = await run.all(every, batch, in_flight, progress)
    return Corrupted(
        model,
        data.task,
        tuple(data.labels),
        len(data),
        seed,
        tuple(told),
        standings[CLEAN],
        {name: tuple(standings[Cell(name, s)] for s in told) for name in dict.fromkeys(names)},
        headline.calibration if calibrated else "",
    )


def _check(names: Sequence[str], severities: Sequence[int]) -> None:
    if unknown := [name for name in names if name not in CORRUPTIONS]:
        raise ValueError(f"corruption must be one of {', '.join(CORRUPTIONS)}, got {unknown[0]!r}")
    if not names or not severities or not set(severities) <= set(SEVERITIES):
        raise ValueError(
            f"there must be a corruption and severities in 1..5, got {list(names)}, {severities}"
        )


@dataclass(slots=True)
class _Open:
    """A cell under way.

    Attributes:
        kept: by place, what the numbers need of the answers.
        errors: by place, why there is none.
    """

    cell: Cell
    kept: dict[int, bytes]
    errors: dict[int, str] = field(default_factory=dict)

    @property
    def done(self) -> int:
        return len(self.kept) + len(self.errors)


@dataclass(frozen=True, slots=True)
class _Drawn:
    """A picture to send and what is expected of the answer; or why there is no picture."""

    place: int
    expected: Expected
    image: Array | None
    why: str = ""


@dataclass(slots=True)
class _Run:
    """One pass over all cells.

    Attributes:
        done: pictures that were answered or given up.
        stopped: nothing more is drawn or asked, for the pass has ended.
    """

    endpoint: Endpoint[Any]
    data: Dataset
    headline: Headline[Any, Any]
    seed: int
    cells: Cells
    silence: Silence = field(default_factory=Silence)
    done: int = 0
    stopped: bool = False

    @property
    def over(self) -> bool:
        return self.stopped or self.silence.over

    async def all(
        self,
        every: Sequence[Cell],
        batch: int,
        in_flight: int,
        progress: Callable[[int, int], None] | None,
    ) -> dict[Cell, Standing]:
        images, waiting = len(self.data), self._waiting(every, batch)
        under_way: set[asyncio.Task[_Open]] = set()
        reading: dict[Cell, asyncio.Task[Standing]] = {}
        try:
            while True:
                for work in islice(waiting, in_flight - len(under_way)):
                    under_way.add(asyncio.create_task(self._ask(*work)))
                if not under_way:
                    return {cell: await task for cell, task in reading.items()}
                finished, _ = await asyncio.wait(under_way, return_when=asyncio.FIRST_COMPLETED)
                for task in finished:
                    under_way.discard(task)
                    one = task.result()
                    if one.done == images and one.cell not in reading:
                        told = asyncio.to_thread(
                            standing_of, one.cell, one.kept, one.errors, self.data, self.headline
                        )
                        reading[one.cell] = asyncio.create_task(told)
                self.silence.end()
                if progress is not None:
                    progress(self.done, len(every) * images)
        finally:
            self.stopped = True
            unfinished: list[asyncio.Task[Any]] = [*under_way, *reading.values()]
            for left in unfinished:
                left.cancel()
            await asyncio.gather(*unfinished, return_exceptions=True)

    def _waiting(self, every: Sequence[Cell], batch: int) -> Iterator[tuple[_Open, list[int]]]:
        """What is still to be asked, a request at a time; an empty one of a cell that is complete."""
        for cell in every:
            kept = dict(self.cells.kept(str(cell)))
            self.done += len(kept)
            left = (place for place in range(len(self.data)) if place not in kept)
            one, asked = _Open(cell, kept), list(islice(left, batch))
            yield one, asked
            while asked := list(islice(left, batch)):
                yield one, asked

    async def _ask(self, one: _Open, places: list[int]) -> _Open:
        while places and not self.over:
            drawn = await asyncio.to_thread(self._draw, one.cell, places)
            places = places[len(drawn) :]
            found = [(d.place, b"", d.why) for d in drawn if d.image is None]
            found += await self._request([d for d in drawn if d.image is not None])
            rows = {place: kept for place, kept, why in found if not why}
            self.cells.keep(str(one.cell), rows.items())
            one.kept.update(rows)
            one.errors.update((place, why) for place, _, why in found if why)
            self.done += len(found)
        return one

    def _draw(self, cell: Cell, places: Sequence[int]) -> list[_Drawn]:
        """The first of the places, at least one, and no more than fit the memory; in a thread."""
        drawn: list[_Drawn] = []
        size = 0
        for place in places:
            if drawn and (self.over or size >= MOST_BYTES):
                break
            sample = self.data[place]
            try:
                image = decode(sample.file)
            except UnreadableImage as error:
                drawn.append(_Drawn(place, sample.expected, None, f"it cannot be read: {error}"))
                continue
            if cell.severity:
                image = corrupt(image, cell.corruption, cell.severity, seed=self.seed, sample=sample.id)
            size += image.nbytes
            drawn.append(_Drawn(place, sample.expected, image))
        return drawn

    async def _request(self, drawn: Sequence[_Drawn]) -> list[tuple[int, bytes, str]]:
        """Place, what is kept of the answer, and why there is none; fewer when it is given up meanwhile."""
        if self.over or not drawn:
            return []
        try:
            answers = await self.endpoint.predict([d.image for d in drawn if d.image is not None])
            if len(answers) != len(drawn):
                raise EndpointError(f"there must be {len(drawn)} answers, one an image, got {len(answers)}")
        except EndpointError as error:
            self.silence.failed(error)
            if len(drawn) == 1:
                return [(drawn[0].place, b"", str(error))]
            return [found for d in drawn for found in await self._request([d])]
        self.silence.heard()
        return await asyncio.to_thread(self._read, drawn, answers)

    def _read(self, drawn: Sequence[_Drawn], answers: Sequence[Any]) -> list[tuple[int, bytes, str]]:
        return [(d.place, *self._kept(answer, d.expected)) for d, answer in zip(drawn, answers, strict=True)]

    def _kept(self, answer: Any, expected: Expected) -> tuple[bytes, str]:
        why = misfit(answer, expected, len(self.data.labels))
        try:
            return (b"", why) if why else (self.headline.kept(answer, expected), "")
        except ValueError as error:  # a foreign server may answer a class there is none of
            return b"", str(error)

"""Why an answer is what it is: parts of the picture are covered, and the model is asked again.

The covered pictures go through the engine as any others do: they wait in the model's queue, count as
so many images of the request, and are refused, expired or dropped with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from models.decoding import decode
from models.drawing import heated
from models.results import Array, Result
from models.saliency import Occlusion, Target, advance, aim, reduced
from models.saliency.occlusion import spread
from models.wire import Json
from service.calls import Call
from service.errors import Unusable
from service.intake import array_piece
from service.live import Live
from service.running import Running

__all__ = ["Explained", "check_explainable", "explained"]

METHOD = Occlusion()
# Covered pictures are copies; of a larger one, they would take more memory than a coarse map is worth.
MOST_PIXELS = 1 << 18


@dataclass(frozen=True, slots=True, eq=False)
class Explained:
    """What one answer rests on.

    Attributes:
        grid: float32 `(R, C)`: what the target's score loses when a cell is covered.
    """

    target: Target
    grid: Array

    def told(self, labels: Sequence[str]) -> Json:
        """It as `models.wire.Explanation` describes it."""
        rows, cols = self.grid.shape
        return {
            "method": METHOD.name,
            "label": self.target.label,
            "name": labels[self.target.label],
            "score": self.target.clean,
            "rows": rows,
            "cols": cols,
            "values": self.grid.ravel(),
        }

    def drawn(self, image: Array) -> Array:
        """uint8 RGB `(H, W, 3)` -> the same under the map."""
        return heated(image, spread(self.grid, (image.shape[0], image.shape[1])))


def check_explainable(files: int) -> int:
    """The images that a request for an explanation counts as. Raises Unusable for several pictures."""
    if files != 1:
        raise Unusable(f"explain takes one picture, got {files}; send them one by one")
    return 2 + METHOD.queries  # as sent, at the size that is explained, and covered


async def explained(
    running: Running, call: Call, live: Live, file: bytes, answer: Result
) -> Explained | None:
    """What the answer rests on; None where it says nothing that could be explained.

    Args:
        answer: to the whole picture; decides what is explained, see `aim`.

    Raises:
        ServiceError: no room, no time, or the client has left.
    """
    if aim(answer) is None:
        return None
    image, whole = await asyncio.to_thread(_small, file)
    if not whole:
        (answer,) = await _asked(running, call, live, [image])
    target = aim(answer)
    if target is None:  # too small to be seen at that size
        return None
    running.memory.take(call, METHOD.queries * image.nbytes)
    dialogue = METHOD.grid(image, target)
    pictures, grid = await asyncio.to_thread(advance, dialogue)
    while pictures:
        answers = await _asked(running, call, live, pictures)
        pictures, grid = await asyncio.to_thread(advance, dialogue, answers)
    return None if grid is None else Explained(target, grid)


def _small(file: bytes) -> tuple[Array, bool]:
    """The picture, reduced where it is large, and whether it is as it was sent."""
    image = decode(file)
    small = reduced(image, MOST_PIXELS)
    return small, small is image


async def _asked(running: Running, call: Call, live: Live, pictures: Sequence[Array]) -> list[Result]:
    outcomes = await running.engine.run(
        live, [array_piece(live, picture) for picture in pictures], deadline=call.deadline, gone=call.gone
    )
    return [result for outcome in outcomes for result in outcome.answers]

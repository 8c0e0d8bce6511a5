"""Whose fault an image without an answer is: the model's, or that of what lies between it and us."""

from __future__ import annotations

from contextlib import aclosing

import numpy as np

from eval.errors import EvalError
from eval.pool import Pace
from eval.recorded import Recorded
from eval.spread import ask
from eval.target import name_of

__all__ = ["settled"]

TIMES = 2  # that each is asked again
MOST = 20  # images that are


async def settled(run: Recorded) -> int:
    """Images that the model itself does not answer: it answers another before and after, and never those.

    Each image without an answer is asked again by itself, `TIMES` times, in turn with one that was
    answered. What is answered now was disturbed before: its answer counts. Of many images, `MOST` that are
    spread evenly stand for all.

    Raises:
        EvalError: what was answered before is not answered now, or only some of many images that stand for
            all: the service was disturbed, which says nothing of the model.
    """
    silent = missing = run.journal.missing()
    if not missing:
        return 0
    if len(missing) > MOST:
        silent = [missing[i] for i in np.linspace(0, len(missing) - 1, MOST).astype(int)]
    control = next(iter(set(range(len(run.data))) - set(missing)))  # a run without any answer is none
    asked = len(silent)
    for _ in range(TIMES):
        silent = await _still(run, silent, control)
    if len(silent) < asked < len(missing):
        raise EvalError(
            f"{name_of(run.target)} did not answer {len(missing)} images the first time, and some of them "
            "the second: the service was disturbed; look at it and ask again"
        )
    return len(run.journal.missing())


async def _still(run: Recorded, silent: list[int], control: int) -> list[int]:
    """Those of the places that still get no answer; an answer that comes is recorded."""
    places = [place for one in silent for place in (one, control)] if silent else []
    still: list[int] = []
    async with aclosing(ask(run.request, run.data, places, Pace(batch=1, concurrency=1))) as answers:
        async for rows in answers:
            for row, _ in rows:
                if row.answer is not None and row.place != control:
                    run.journal.add([row])
                elif row.answer is None and row.place == control:
                    raise EvalError(
                        f"{name_of(run.target)} does not answer now what it answered before ({row.error}); "
                        "look at the service and ask again"
                    )
                elif row.answer is None:
                    still.append(row.place)
    return still

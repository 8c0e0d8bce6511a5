"""How one model answers plain pictures: how many at once, how fast, and whether always the same."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from eval.errors import EndpointError
from eval.remote.reply import words_of
from eval.remote.trial import Trial
from models.results import Array

__all__ = ["DENIED", "Answers", "tried"]

BATCHES = (1, 2, 8)
ASKS = 5
DENIED = (401, 403)


@dataclass(slots=True)
class Answers:
    """How one model answered plain pictures.

    Attributes:
        batches: pictures in a request -> whether it was answered, and readably.
        slowest_ms: of five requests about one picture.
        deterministic: whether their answers were equal; None where there were none.
        binary: whether raw tensors are taken behind the JSON; None where that has no meaning.
        refusal: the status and words for something that is no picture.
        trouble: why plain pictures got no answer.
        denied: because nobody said who is asking.
    """

    model: str
    batches: dict[int, bool] = field(default_factory=dict)
    slowest_ms: float | None = None
    deterministic: bool | None = None
    binary: bool | None = None
    refusal: str = ""
    trouble: str = ""
    denied: bool = False


async def tried(trial: Trial, name: str, most: int | None = None) -> Answers:
    """Ask nine times or less. `most`: pictures that a request may hold."""
    answers, found, slowest = Answers(name), list[Sequence[Array]](), 0.0
    for count in (*BATCHES, *[1] * (ASKS - 1)):
        if (most is not None and count > most) or not answers.batches.get(1, True):
            continue
        began = time.perf_counter()
        try:
            reply = await trial.ask(count)
            seconds = time.perf_counter() - began
            if not 200 <= reply.status < 300:
                answers.denied = answers.denied or reply.status in DENIED
                raise EndpointError(f"{reply.status} {words_of(reply)[:200]}")
            arrays = trial.read(reply, count)
        except (EndpointError, ValueError, TypeError, KeyError) as error:
            answers.batches[count] = False
            answers.trouble = answers.trouble or f"{count} at once: {error}"
            continue
        answers.batches.setdefault(count, True)
        if count == 1:
            found.append(arrays)
            slowest = max(slowest, seconds)
    if found:
        answers.slowest_ms = round(slowest * 1e3, 2)
        answers.deterministic = all(_equal(found[0], other) for other in found[1:])
        try:
            refused = await trial.ask_broken()
            answers.refusal = f"{refused.status} {words_of(refused)[:200]}"
        except EndpointError as error:
            answers.refusal = str(error)
    return answers


def _equal(one: Sequence[Array], other: Sequence[Array]) -> bool:
    return len(one) == len(other) and all(map(np.array_equal, one, other))

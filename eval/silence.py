"""Asking an endpoint that may fail, and when it is given up."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from eval.errors import EndpointError, Gone, Refused

__all__ = ["GIVE_UP", "Silence", "answered"]

Picture = TypeVar("Picture")
Answer = TypeVar("Answer")

GIVE_UP = 8  # requests in a row without an answer: the endpoint is gone


@dataclass(slots=True)
class Silence:
    """Requests in a row that got no answer, and why the last one did not."""

    requests: int = 0
    why: str = ""

    @property
    def over(self) -> bool:
        return self.requests >= GIVE_UP

    def heard(self) -> None:
        """Somebody answered."""
        self.requests = 0

    def failed(self, error: EndpointError) -> None:
        """A request got no answer; a refusal shows that somebody is there."""
        self.why = str(error)
        if isinstance(error, Refused):
            self.requests = 0
        else:
            self.requests += GIVE_UP if isinstance(error, Gone) else 1

    def end(self) -> None:
        """Raises EndpointError when it is over."""
        if self.over:
            raise EndpointError(f"no more is asked, for no answer can be had: {self.why}")


async def answered(
    ask: Callable[[Sequence[Picture]], Awaitable[Sequence[Answer]]],
    pictures: Sequence[Picture],
    silence: Silence,
) -> list[Answer | None]:
    """An answer to each picture, or None. What is asked together and gets none is asked again one by one."""
    if silence.over or not pictures:
        return [None] * len(pictures)
    try:
        answers = await ask(pictures)
        if len(answers) != len(pictures):
            raise EndpointError(f"there must be {len(pictures)} answers, one an image, got {len(answers)}")
    except EndpointError as error:
        silence.failed(error)
        if len(pictures) == 1:
            return [None]
        return [one for picture in pictures for one in await answered(ask, [picture], silence)]
    silence.heard()
    return list(answers)

"""When an endpoint is given up."""

from __future__ import annotations

from dataclasses import dataclass

from eval.errors import EndpointError, Gone, Refused

__all__ = ["GIVE_UP", "Silence"]

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

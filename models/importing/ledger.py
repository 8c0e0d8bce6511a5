"""What was settled about a model, and how: said by a person, read off the graph, or guessed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias, TypeVar

__all__ = ["How", "Ledger", "Reason"]

How: TypeAlias = Literal["given", "read", "guess"]
Value = TypeVar("Value")


@dataclass(frozen=True, slots=True)
class Reason:
    """One thing that was settled.

    Attributes:
        how: `given` by a person, `read` off the graph, or a `guess` that nothing in the graph proves.
    """

    what: str
    value: str
    how: How
    why: str = ""


class Ledger:
    """Settles one thing after the other: as it was said, else as it was found; keeps the reasons."""

    def __init__(self) -> None:
        self.reasons: list[Reason] = []

    def settle(
        self, what: str, said: Value | None, found: Value, how: How, why: str, text: str = ""
    ) -> Value:
        """The value that counts.

        Args:
            said: by a person; None where nothing was.
            found: what counts otherwise.
            how, why: of what was found.
            text: how to write what was found, where its plain form does not do.
        """
        if said is not None:
            self.reasons.append(Reason(what, _text(said), "given"))
            return said
        self.reasons.append(Reason(what, text or _text(found), how, why))
        return found


def _text(value: object) -> str:
    if isinstance(value, tuple):
        told = [_text(each) for each in value]
        return told[0] if len(set(told)) == 1 else ", ".join(told)
    return f"{value:.6g}" if isinstance(value, float) else str(value)

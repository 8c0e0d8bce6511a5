"""Where in a JSON answer something is: `$.results[0].boxes[*].score`.

The part of JSONPath (RFC 9535) that has one meaning everywhere: `$`, `.name`, `["name"]`, `[0]`, `[-1]`
and `[*]`, which gives a list of what is found in every element.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, TypeAlias

__all__ = ["Missed", "Path"]

STEP = re.compile(
    r"""\.(?P<name>[A-Za-z_][\w-]*)
      | \[(?P<index>-?\d{1,9})\]
      | \[(?P<each>\*)\]
      | \["(?P<double>[^"\\]+)"\]
      | \['(?P<single>[^'\\]+)'\]""",
    re.VERBOSE | re.ASCII,
)
MOST_STEPS = 32
Step: TypeAlias = str | int | None  # None: every element


class Missed(ValueError):
    """An answer has nothing at a path; tells how far it leads and what is there."""


@dataclass(frozen=True, slots=True)
class Path:
    """A path, read once and followed often.

    Attributes:
        text: as it was written.
    """

    text: str
    steps: tuple[Step, ...]

    @classmethod
    def read(cls, text: str) -> Path:
        """Raises ValueError where it is none, naming the place."""
        if not text.startswith("$"):
            raise ValueError(f"a path must begin with $, got {text[:40]!r}")
        steps: list[Step] = []
        at = 1
        while at < len(text):
            match = STEP.match(text, at)
            if match is None or len(steps) == MOST_STEPS:
                raise ValueError(
                    f'a path must go on with .name, ["name"], [0] or [*], got {text[at : at + 20]!r} '
                    f"after {text[:at][-40:]!r}"
                )
            named = match["name"] or match["double"] or match["single"]
            steps.append(named or (None if match["each"] else int(match["index"])))
            at = match.end()
        return cls(text, tuple(steps))

    def follow(self, value: Any) -> Any:
        """What is there. Raises Missed."""
        return self._from(value, 0)

    def _from(self, value: Any, at: int) -> Any:
        for number in range(at, len(self.steps)):
            step = self.steps[number]
            if step is None:
                if not isinstance(value, list):
                    raise self._missed(number, value)
                return [self._from(element, number + 1) for element in value]
            inside: Any = value if isinstance(value, dict if isinstance(step, str) else list) else ()
            try:
                value = inside[step]
            except (KeyError, IndexError, TypeError) as error:
                raise self._missed(number, value) from error
        return value

    def _missed(self, number: int, value: Any) -> Missed:
        led = "$" + "".join(_told(step) for step in self.steps[:number])
        return Missed(f"{self.text} leads to nothing: at {led} there is {_seen(value)}")


def _told(step: Step) -> str:
    if step is None:
        return "[*]"
    return f"[{step}]" if isinstance(step, int) else f".{step}"


def _seen(value: Any) -> str:
    if isinstance(value, dict):
        keys = ", ".join(repr(str(key)[:30]) for key in list(value)[:8])
        return f"an object with {keys}{' ...' if len(value) > 8 else ''}" if value else "an empty object"
    if isinstance(value, list):
        return f"a list of {len(value)}"
    return repr(value)[:40]

"""Headers and parameters of a request: `$VARIABLE` is read when it is sent, and told to nobody."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from eval.errors import EndpointError

__all__ = ["Secrets"]

VARIABLE = re.compile(r"\$(?:(\$)|([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\})", re.ASCII)
BREAKS = re.compile(r"[\r\n\0]")
LEAST_HIDDEN = 4  # characters: a shorter value may stand in any text by chance


class Secrets:
    """Names and values that go along with every request.

    Args:
        given: `$NAME` or `${NAME}` in a value is a variable of the environment, `$$` a dollar sign.

    Attributes:
        plain: those that hold no variable, ready to be sent.
        secrets: the others, as they were given.

    Raises:
        EndpointError: one is not one line.
    """

    def __init__(self, given: Mapping[str, str]) -> None:
        self.secrets = {name: value for name, value in given.items() if "$" in value}
        self.plain = {name: value for name, value in given.items() if name not in self.secrets}
        for name, value in given.items():
            _check(name, value)

    def filled(self) -> dict[str, str]:
        """The secrets, with what the environment says now.

        Raises:
            EndpointError: a variable is not set, or cannot be sent; its value is not told.
        """
        filled = {name: VARIABLE.sub(_value, value) for name, value in self.secrets.items()}
        for name, value in filled.items():
            _check(name, value)
        return filled

    def hide(self, text: str) -> str:
        """The text with the variable's name where a server has repeated its value."""
        for value in self.secrets.values():
            for match in VARIABLE.finditer(value):
                variable = match[2] or match[3] or ""
                told = os.environ.get(variable, "")
                if len(told) >= LEAST_HIDDEN:
                    text = text.replace(told, f"${variable}")
        return text


def _value(match: re.Match[str]) -> str:
    if match[1]:
        return "$"
    variable = match[2] or match[3]
    value = os.environ.get(variable)
    if not value:
        raise EndpointError(
            f"a header or parameter needs the environment variable {variable}, which is not set"
        )
    return value


def _check(name: str, value: str) -> None:
    if BREAKS.search(name) or BREAKS.search(value):
        raise EndpointError(f"{BREAKS.split(name)[0]!r} must be sent as one line")

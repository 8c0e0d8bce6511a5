"""Which hosts jobs may be pointed at: a list of the operator's, compared by name.

A host that is allowed cannot send us to another: the client follows no redirect (`eval.remote`). What
is not covered: a name on the list is resolved when it is asked, so whoever owns its DNS decides where
the requests go; and every port of a host is meant unless the list names one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit

__all__ = ["URL_PATTERN", "Hosts"]

# One way to read it: nothing that two URL parsers could take differently (no user, query, escape, backslash).
URL_PATTERN = r"^https?://(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9.-]{1,253})(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?$"
PORTS = {"http": 80, "https": 443}
ENTRY = re.compile(r"(\[[0-9A-Fa-f:.]+\]|\.?[A-Za-z0-9-][A-Za-z0-9.-]*)(?::([0-9]{1,5}))?")


@dataclass(frozen=True, slots=True)
class Hosts:
    """Entries as (name, port): a name that begins with a dot is a suffix, port None is every port."""

    entries: tuple[tuple[str, int | None], ...]

    @classmethod
    def parse(cls, text: str) -> Self:
        """From `localhost,[::1]:3000,.svc`; empty for no host at all.

        Raises:
            ValueError: an entry is no host.
        """
        entries = []
        for word in filter(None, (part.strip().lower() for part in text.split(","))):
            matched = ENTRY.fullmatch(word)
            if matched is None:
                raise ValueError(f"a host must be NAME, .SUFFIX or [ADDRESS], :PORT if need be; got {word!r}")
            entries.append((matched[1].strip("[]"), int(matched[2]) if matched[2] else None))
        return cls(tuple(entries))

    def allow(self, url: str) -> bool:
        """Whether a URL that matches `URL_PATTERN` goes to one of them."""
        parts = urlsplit(url)
        host = (parts.hostname or "").rstrip(".")
        port = parts.port or PORTS[parts.scheme]
        return any(
            (host.endswith(name) and host != name if name.startswith(".") else host == name)
            and wanted in (None, port)
            for name, wanted in self.entries
        )

    def __str__(self) -> str:
        bracketed = ((f"[{name}]" if ":" in name else name, port) for name, port in self.entries)
        return ",".join(name if port is None else f"{name}:{port}" for name, port in bracketed)

"""How far a download is: one line on a terminal, nothing elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TextIO

__all__ = ["Bar"]

WIDTH = 30
MEGABYTE = 1e6


@dataclass(slots=True)
class Bar:
    """A line that is drawn over itself; what must be told in words goes below it.

    Attributes:
        name: what is coming.
        stream: where to draw; only on a terminal.
    """

    name: str
    stream: TextIO
    drawn: str = ""

    def came(self, have: int, size: int) -> None:
        """Bytes that are there, bytes of the whole file (0: unknown)."""
        if not self.stream.isatty():
            return
        share = min(have / size, 1.0) if size else 0.0
        done = f"{'#' * int(WIDTH * share):.<{WIDTH}}"
        whole = f" of {size / MEGABYTE:.1f}" if size else ""
        self._draw(f"{self.name} [{done}] {share:4.0%} {have / MEGABYTE:.1f}{whole} MB")

    def tell(self, line: str) -> None:
        """A whole line, terminal or not."""
        self.close()
        self.stream.write(f"{self.name}: {line}\n")
        self.stream.flush()

    def close(self) -> None:
        """Leave the line as it is and go on below."""
        if self.drawn:
            self.drawn = ""
            self.stream.write("\n")
            self.stream.flush()

    def _draw(self, line: str) -> None:
        if line != self.drawn:
            self.stream.write(f"\r{line:{len(self.drawn)}}")
            self.stream.flush()
            self.drawn = line

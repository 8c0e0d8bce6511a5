"""Is what is served what was trained? Live answers against local ones, and what makes them differ."""

from eval.parity.differences import TOLERANCE
from eval.parity.record import difference
from eval.parity.run import parity

__all__ = ["TOLERANCE", "difference", "parity"]

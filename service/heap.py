"""Memory that was freed, given back to the system."""

from __future__ import annotations

import ctypes

__all__ = ["give_back"]


def give_back() -> bool:
    """Have the C library keep none of the memory that is free; True where there was any to give.

    glibc returns only what lies at the end of its heap: what loading a model took and freed would stay.
    Where the library has no such function, nothing is done.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    return trim is not None and bool(trim(0))

"""Shapes with letters in them: which sizes make a pattern such as `P 5+C` fit what a graph tells."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeAlias

__all__ = ["Sizes", "solved"]

Sizes: TypeAlias = Mapping[str, int]


def solved(told: Sequence[tuple[str, Sequence[int]]], known: Sizes) -> dict[str, int] | None:
    """The size of each letter that the shapes tell, or None where no sizes fit.

    A letter stands for a size of at least 1. Sizes that hang together in more ways than the shapes can
    settle (`4+C+M` alone) stay untold.

    Args:
        told: for each output, its sizes as numbers, letters or sums of them, outermost first, and those
            that the graph tells; -1 where any goes.
        known: letters whose sizes are known beforehand.
    """
    sums: list[tuple[list[str], int]] = []
    for pattern, shape in told:
        terms = pattern.split()
        if len(terms) != len(shape):
            return None
        sums += [(term.split("+"), size) for term, size in zip(terms, shape, strict=True) if size >= 0]
    sizes = dict(known)
    while (found := _next(sums, sizes)) is not None:
        letter, size = found
        if size < 1:
            return None
        sizes[letter] = size
    return sizes if all(_open(term, sizes) or _total(term, sizes) == size for term, size in sums) else None


def _next(sums: Iterable[tuple[list[str], int]], sizes: Sizes) -> tuple[str, int] | None:
    """A letter that is alone unknown in its sum, and what it must be."""
    for term, size in sums:
        unknown = _open(term, sizes)
        if len(unknown) == 1:
            return unknown[0], size - _total(term, {**sizes, unknown[0]: 0})
    return None


def _open(term: Iterable[str], sizes: Sizes) -> list[str]:
    return [part for part in term if not part.isdigit() and part not in sizes]


def _total(term: Iterable[str], sizes: Sizes) -> int:
    return sum(int(part) if part.isdigit() else sizes[part] for part in term)

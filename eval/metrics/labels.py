"""Class names as parts of score names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

__all__ = ["distinct"]


def distinct(labels: Sequence[str]) -> tuple[str, ...]:
    """The labels, with `#<index>` behind those that occur more than once (ImageNet has two cranes).

    Raises:
        ValueError: there are none, or even so two are the same.
    """
    times = Counter(labels)
    names = tuple(label if times[label] == 1 else f"{label}#{i}" for i, label in enumerate(labels))
    if not names:
        raise ValueError("labels must name at least one class, got none")
    if len(set(names)) < len(names):
        raise ValueError(f"labels must be distinct, got {sorted(n for n in names if names.count(n) > 1)}")
    return names

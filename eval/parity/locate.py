"""Which stage makes live answers differ from local ones: every hypothesis is run and held against them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from eval.parity.differences import Apart, apart, overall
from eval.parity.fitted import fitted
from eval.parity.hypotheses import Hypothesis
from eval.parity.pipeline import Pipeline
from models.results import Result

__all__ = ["Cause", "Located", "Tried", "locate"]

PROBES = 8  # pictures that every hypothesis is tried on; what passes is confirmed on all
FITTED = 4  # pictures that a mean and std are fitted to
FIRST = 1  # pictures that every pair is tried on
SAME_LEFT, CLEARLY = 1e-6, 10.0  # rounding of float32; and how much more is not rounding
SLACK = 10.0  # so many tolerances may be left on few pictures: of a label map, one pixel is much


@dataclass(frozen=True, slots=True)
class Tried:
    """One hypothesis, held against the live answers.

    Attributes:
        left: difference that remains between it and the live answers to the probes; None where it could
            not be run.
        moved: by how much it changes the local answers to them: what is 0 cannot be seen.
    """

    hypothesis: Hypothesis
    left: float | None
    moved: float | None


@dataclass(frozen=True, slots=True)
class Cause:
    """One hypothesis, or two together, and the difference they leave on all pictures."""

    parts: tuple[Hypothesis, ...]
    left: float

    @property
    def name(self) -> str:
        return " and ".join(part.name for part in self.parts)

    @property
    def stages(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(part.stage for part in self.parts))


@dataclass(frozen=True, slots=True)
class Located:
    """What was found.

    Attributes:
        causes: those that reproduce the live answers to all pictures; more than one where these pictures
            cannot tell them apart.
        tried: every hypothesis that makes sense for the model.
        pairs: how many pairs were tried.
    """

    causes: Sequence[Cause]
    tried: Sequence[Tried]
    pairs: int = 0

    def unseen(self, tolerance: float) -> list[Hypothesis]:
        """Those that these pictures cannot show: with or without them, the answers are the same."""
        return [t.hypothesis for t in self.tried if t.moved is not None and t.moved <= tolerance]


@dataclass(slots=True)
class _Bench:
    """Pictures, their live and local answers, and what is tried on them."""

    plain: Pipeline
    files: Sequence[bytes]
    live: Sequence[Result]
    local: Sequence[Result]
    tolerance: float
    changed: dict[str, Pipeline] = field(default_factory=dict)

    def left(self, pipeline: Pipeline, places: Sequence[int]) -> tuple[float, float] | None:
        """Difference of a pipeline to the live and to the local answers; None where it gives none."""
        try:
            answers = pipeline.answers([self.files[i] for i in places])
        except ValueError:  # what it feeds the graph makes NaN of it
            return None
        pairs = list(zip(places, answers, strict=True))
        to_live = overall([apart(answer, self.live[i]) for i, answer in pairs])
        return to_live, overall([apart(answer, self.local[i]) for i, answer in pairs])

    def confirmed(self, parts: tuple[Hypothesis, ...], pipeline: Pipeline) -> Cause | None:
        found = self.left(pipeline, range(len(self.files)))
        return Cause(parts, found[0]) if found is not None and found[0] <= self.tolerance else None


def locate(
    plain: Pipeline,
    hypotheses: Iterable[Hypothesis],
    files: Sequence[bytes],
    live: Sequence[Result],
    local: Sequence[Result],
    *,
    tolerance: float,
    progress: Callable[[int, int], None] | None = None,
) -> Located:
    """Run every hypothesis on the pictures that differ most; confirm on all what reproduces the live answers.

    Where none alone does, every two of different parts are tried together. Where live and local answers are
    the same, nothing is a cause, and what is tried only says what these pictures could have shown.

    Args:
        files: the pictures.
        live, local: their answers.
        tolerance: of `overall`.
    """
    bench = _Bench(plain, files, live, local, tolerance)
    each = [apart(*pair) for pair in zip(live, local, strict=True)]
    probes = _probes(each)
    asked = list(hypotheses)
    tried: list[Tried] = []
    for number, hypothesis in enumerate(asked, 1):
        pipeline = hypothesis.applied(plain)
        if pipeline is not None and pipeline not in bench.changed.values():  # some are one thing here
            bench.changed[hypothesis.name] = pipeline
            found = bench.left(pipeline, probes)
            tried.append(Tried(hypothesis, *(found or (None, None))))
        if progress is not None:
            progress(number, len(asked))
    if overall(each) <= tolerance:
        return Located([], tried)
    likely = [t for t in tried if t.left is not None and t.left <= SLACK * tolerance and t.moved]
    causes = [c for t in likely if (c := bench.confirmed((t.hypothesis,), bench.changed[t.hypothesis.name]))]
    if causes:
        return Located(_best(causes), tried)
    for one in _scaled(bench, tried, probes):
        tried.append(one)
        if cause := bench.confirmed((one.hypothesis,), bench.changed[one.hypothesis.name]):
            return Located([cause], tried)
    together, count = _pairs(bench, [t for t in tried if t.moved], probes[:FIRST])
    return Located(_best(together), tried, count)


def _scaled(bench: _Bench, tried: Sequence[Tried], probes: Sequence[int]) -> list[Tried]:
    """The mean and std that come nearest, begun from the card's and from the best of those that are known."""
    known = [t for t in tried if t.hypothesis.part == "scale" and t.left is not None]
    ranked = sorted(known, key=lambda t: t.left or 0.0)[:1]
    starts = [bench.plain, *(bench.changed[t.hypothesis.name] for t in ranked)]
    few = probes[:FITTED]
    found = fitted(bench.plain, starts, [bench.files[i] for i in few], [bench.live[i] for i in few])
    if found is None:
        return []
    bench.changed[found.name] = found.change(bench.plain) or bench.plain
    return [Tried(found, *(bench.left(bench.changed[found.name], probes) or (None, None)))]


def _best(causes: Sequence[Cause]) -> list[Cause]:
    """Best first, and only those about as good: what is ten times as far off is not it."""
    ranked = sorted(causes, key=lambda cause: cause.left)
    return [c for c in ranked if c.left <= max(SAME_LEFT, CLEARLY * ranked[0].left)]


def _probes(each: Sequence[Apart]) -> list[int]:
    """The pictures that differ most, the first of equals first."""
    return sorted(range(len(each)), key=lambda i: (-each[i].amount, i))[:PROBES]


def _pairs(bench: _Bench, tried: Sequence[Tried], probes: Sequence[int]) -> tuple[list[Cause], int]:
    """Every two hypotheses of different parts that together reproduce all live answers."""
    causes, count = [], 0
    for one, other in combinations([t.hypothesis for t in tried], 2):
        if (one.stage, one.part) == (other.stage, other.part):
            continue
        both = other.applied(bench.changed[one.name])
        if both is None or both in (bench.changed[one.name], bench.changed[other.name]):
            continue
        count += 1
        found = bench.left(both, probes)
        if found is not None and found[0] <= SLACK * bench.tolerance:
            cause = bench.confirmed((one, other), both)
            causes += [] if cause is None else [cause]
    return causes, count

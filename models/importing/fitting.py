"""Which family reads a graph's outputs, and in which order: every one is tried."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from models.card import InputSpec, TaskName
from models.families.tables import FAMILIES
from models.importing.evidence import doubt
from models.importing.graph import Run, shape_text
from models.ports import Port
from models.repository import RepositoryError

__all__ = ["Fit", "Question", "find_family"]

_MOST_OUTPUTS = 5  # tried in every order; of more, only the first few and only in theirs


@dataclass(frozen=True, slots=True)
class Question:
    """What is known before the family is.

    Attributes:
        spec: the input; its sides and layout count.
        task, family: as a person asked; None where they left it open.
        outputs: names, where a person chose them and their order.
        labels: how many class names there are, if any.
        called: what people call the model: its file's name and its notes.
    """

    spec: InputSpec
    task: TaskName | None = None
    family: str | None = None
    outputs: tuple[str, ...] | None = None
    labels: int | None = None
    called: str = ""


@dataclass(frozen=True, slots=True)
class Fit:
    """A family that may read the outputs.

    Attributes:
        outputs: the ports it reads, in its order.
        classes: their number where the shapes tell it.
        doubt: what the values of a picture say against it, if anything.
        instead: names of other outputs that it could read as well.
        why: for a person.
    """

    task: TaskName
    family: str
    outputs: tuple[Port, ...]
    classes: int | None
    doubt: str | None
    instead: tuple[str, ...] = ()
    why: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(port.name for port in self.outputs)


def find_family(run: Run, asked: Question) -> Fit:
    """The family that was asked for, or the one that fits.

    Raises:
        RepositoryError: what was asked for does not fit, nothing does, or several do.
    """
    orders = list(_orders(_chosen(run.ports, asked.outputs), fixed=asked.outputs is not None))
    fits = list(_all_fits(orders, run, asked))
    wanted = [f for f in fits if asked.task in (None, f.task) and asked.family in (None, f.family)]
    if wanted:
        return _best(wanted, asked.called)
    if asked.family is not None:
        raise RepositoryError(_refusal(orders[0], asked, fits))
    if asked.labels is not None and (others := list(_all_fits(orders, run, replace(asked, labels=None)))):
        fit = _narrowed(others, asked.called)[0]
        raise RepositoryError(
            f"the labels name {asked.labels} classes, but {fit.family} finds {fit.classes} in the outputs"
            + " (a background class in front?)" * (fit.classes == asked.labels + 1)
        )
    what = f"no {asked.task} family" if asked.task else "no family"
    told = ", ".join(f"{p.name} {p.dtype} {shape_text(p.shape)}" for p in run.ports)
    raise RepositoryError(f"{what} reads these outputs: {told}{_instead(fits, asked.called)}")


def _chosen(ports: Sequence[Port], outputs: Sequence[str] | None) -> tuple[Port, ...]:
    named = {port.name: port for port in ports}
    if missing := [name for name in outputs or () if name not in named]:
        raise RepositoryError(f"the graph has no output {missing[0]!r}; it has {', '.join(named)}")
    return tuple(ports) if outputs is None else tuple(named[name] for name in outputs)


def _orders(ports: tuple[Port, ...], *, fixed: bool) -> Iterator[tuple[Port, ...]]:
    """All of them as they are, then in other orders, then some of them; a person's choice as it is."""
    yield ports
    if fixed or len(ports) > _MOST_OUTPUTS:
        yield from () if fixed else (ports[:count] for count in range(1, 5))
        return
    for count in range(len(ports), 0, -1):
        yield from (order for order in itertools.permutations(ports, count) if order != ports)


def _all_fits(orders: Sequence[tuple[Port, ...]], run: Run, asked: Question) -> Iterator[Fit]:
    """The best order of every family that fits in any: the first of those that the values do not doubt."""
    spec, labels = asked.spec, asked.labels
    for task, families in FAMILIES.items():
        for name, family in families.items():
            fits = [
                Fit(task, name, order, labels or family.classes(order, spec), _doubt(task, name, order, run))
                for order in orders
                if family.mismatch(order, spec, labels) is None
            ]
            if fits:
                yield _first(fits)


def _first(fits: Sequence[Fit]) -> Fit:
    """The first one that the values do not doubt, and the outputs that others of its size read."""
    best = next((fit for fit in fits if fit.doubt is None), fits[0])
    alike = [fit for fit in fits if len(fit.outputs) == len(best.outputs) and fit.doubt == best.doubt]
    names = dict.fromkeys(name for fit in alike for name in fit.names if name not in best.names)
    return replace(best, instead=tuple(names))


def _doubt(task: TaskName, family: str, order: Sequence[Port], run: Run) -> str | None:
    return doubt(task, family, [run.outputs[port.name] for port in order])


def _best(fits: Sequence[Fit], called: str) -> Fit:
    left = _narrowed(fits, called)
    if len(left) > 1:
        told = " and ".join(f"{f.family} ({f.task})" for f in left)
        raise RepositoryError(f"the outputs fit {told}; say which with --task and --family")
    fit = left[0]
    why = FAMILIES[fit.task][fit.family].contract
    others = [f"{o.family} ({o.task}): {o.doubt or 'its name says otherwise'}" for o in fits if o is not fit]
    return replace(fit, why="; ".join([why, *(f"not {other}" for other in others)]))


def _narrowed(fits: Sequence[Fit], called: str) -> list[Fit]:
    """Without those in doubt; then those that leave the fewest outputs unread; then as it is called."""
    left = [fit for fit in fits if fit.doubt is None] or list(fits)
    most = max((len(fit.outputs) for fit in left), default=0)
    left = [fit for fit in left if len(fit.outputs) == most]
    plain = "".join(c for c in called.casefold() if c.isalnum())
    named = [fit for fit in left if fit.family.replace("-", "") in plain]
    longest = max((len(fit.family) for fit in named), default=0)
    return [fit for fit in named if len(fit.family) == longest] or left


def _refusal(order: Sequence[Port], asked: Question, fits: Sequence[Fit]) -> str:
    tables = [table for task, table in FAMILIES.items() if asked.task in (None, task)]
    instead = _instead(fits, asked.called)
    called_so = [family for table in tables for name, family in table.items() if name == asked.family]
    if not called_so:
        known = ", ".join(sorted({name for table in tables for name in table}))
        return f"family must be one of {known}, got {asked.family!r}{instead}"
    reasons = [family.mismatch(order, asked.spec, asked.labels) for family in called_so]
    return f"family {asked.family} does not fit: {', nor: '.join(filter(None, reasons))}{instead}"


def _instead(fits: Sequence[Fit], called: str) -> str:
    left = [f"{fit.family} ({fit.task})" for fit in _narrowed(fits, called)]
    return f"; the outputs look like {' or '.join(left)}" if left else ""

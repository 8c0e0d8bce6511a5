"""Goals by name, as users type them: `targeted`, `vanish:any`, `erase:car`. A new one is a line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from eval.attacks.base import Goal, draws
from eval.attacks.goals.classification import Targeted, Untargeted
from eval.attacks.goals.detection import Fabricate, Mislabel, Vanish, Wanted
from eval.attacks.goals.segmentation import FLOOR, Erase, Pixels, large_classes
from eval.attacks.goals.starts import Starts
from eval.data.dataset import Expected
from eval.errors import EvalError
from eval.metrics.truth import Objects
from models.card import TaskName
from models.results import Array

__all__ = ["DEFAULTS", "GOALS", "Kind", "Truths", "goals_of"]

DEFAULTS: Mapping[TaskName, str] = {
    "classification": "untargeted",
    "detection": "vanish",
    "segmentation": "pixels",
}
STARTS = 3  # pictures of a target class that an attack may walk back from; the model may be wrong about one


@dataclass(frozen=True, slots=True)
class Truths:
    """All that goals are made of: the whole data, in order, whoever attacks which part of it."""

    expected: Sequence[Expected]
    labels: Sequence[str]
    seed: int
    ids: Sequence[str]
    pictures: Sequence[Array] | None


@dataclass(frozen=True, slots=True)
class Kind:
    """Goals of one name.

    Attributes:
        says: what is wanted, for people.
        detail: what may follow the name after a colon; empty for nothing.
        make: one goal a sample, or None where there is nothing to attack.
    """

    task: TaskName
    says: str
    detail: str
    make: Callable[[str, Truths], list[Goal | None]]


def goals_of(
    name: str,
    task: TaskName,
    expected: Sequence[Expected],
    labels: Sequence[str],
    *,
    seed: int,
    ids: Sequence[str],
    pictures: Sequence[Array] | None = None,
) -> list[Goal | None]:
    """What is wanted of every sample; the same for the same (name, seed, id, data).

    None is for samples that cannot come to it, whatever the model: those of the target class itself, and
    truths without the object or class that is to go. They are to be left out of the attack.

    Args:
        name: in `GOALS`, perhaps with a detail after a colon. A bad one is refused without data, too.
        expected: the truths, of all samples. Of what is read here only boxes are kept, and label maps.
        labels: names of the model's classes.
        ids: of the samples; key the draws.
        pictures: of the samples, read when wanted: where targeted attacks may start from.

    Raises:
        EvalError: no such goal, not of this task, or a detail that it cannot have.
    """
    if len(expected) != len(ids) or (pictures is not None and len(pictures) != len(ids)):
        raise ValueError(f"truths, ids and pictures must be equally many, got {len(expected)}, {len(ids)}")
    kind, detail = _read(name, task)
    return kind.make(detail, Truths(expected, labels, seed, ids, pictures))


def _read(name: str, task: TaskName) -> tuple[Kind, str]:
    stem, colon, detail = name.partition(":")
    able = {known: kind for known, kind in GOALS.items() if kind.task == task}
    if stem not in able:
        told = ", ".join(f"{known}[:{k.detail}]" if k.detail else known for known, k in able.items())
        raise EvalError(f"the goal of an attack on {task} must be one of {told}, got {name!r}")
    kind = able[stem]
    if colon and not (detail and kind.detail):
        raise EvalError(f"the goal {stem} takes {kind.detail or 'nothing'} after a colon, got {name!r}")
    return kind, detail


def _untargeted(_: str, truths: Truths) -> list[Goal | None]:
    return [Untargeted(_class(truth)) for truth in truths.expected]


def _targeted(detail: str, truths: Truths) -> list[Goal | None]:
    """Toward one class, or one drawn for each sample among all others, each as likely."""
    classes = len(truths.labels)
    if classes < 2:
        raise EvalError(f"the goal targeted needs a model of at least 2 classes, got {classes}")
    one = _named(detail, truths.labels, "targeted") if detail else None
    own = np.array([_class(truth) for truth in truths.expected], np.int64)
    goals: list[Goal | None] = []
    for place, name in enumerate(truths.ids):
        label, draw = int(own[place]), draws(truths.seed, name, "target")
        other = int(draw(0).integers(classes - 1))
        target = one if one is not None else other + (other >= label)
        if target == label:
            goals.append(None)
            continue
        starts: Sequence[Array] = ()
        if truths.pictures is not None:
            alike = draw(1).permutation(np.flatnonzero(own == target))[:STARTS]
            starts = Starts(truths.pictures, place, tuple(alike.tolist()))
        goals.append(Targeted(label, target, starts))
    return goals


def _vanish(detail: str, truths: Truths) -> list[Goal | None]:
    share = 0.0 if detail == "any" else _number("vanish", detail or "1")
    if detail != "any" and not 0 < share <= 1:
        raise EvalError(f"the share of objects to vanish must be above 0 and at most 1, got {detail}")
    wanted = [_wanted(truth) for truth in truths.expected]
    return [Vanish(objects, share) if len(objects) else None for objects in wanted]


def _fabricate(detail: str, truths: Truths) -> list[Goal | None]:
    count = _number("fabricate", detail or "1")
    if count < 1 or count % 1:
        raise EvalError(f"the number of objects to fabricate must be whole and at least 1, got {detail}")
    return [Fabricate(_wanted(truth), int(count)) for truth in truths.expected]


def _mislabel(_: str, truths: Truths) -> list[Goal | None]:
    if len(truths.labels) < 2:
        raise EvalError(f"the goal mislabel needs a model of at least 2 classes, got {len(truths.labels)}")
    wanted = [_wanted(truth) for truth in truths.expected]
    return [Mislabel(objects) if len(objects) else None for objects in wanted]


def _pixels(detail: str, truths: Truths) -> list[Goal | None]:
    floor = _number("pixels", detail) if detail else FLOOR
    if not 0 <= floor < 1:
        raise EvalError(f"the pixel accuracy to reach must be at least 0 and below 1, got {detail}")
    goals = [Pixels(_map(truth), floor) for truth in truths.expected]
    return [goal if goal.total else None for goal in goals]


def _erase(detail: str, truths: Truths) -> list[Goal | None]:
    one = _named(detail, truths.labels, "erase") if detail else None
    called = f"erase:{truths.labels[one]}" if one is not None else "erase"
    goals: list[Goal | None] = []
    for truth in truths.expected:
        found = large_classes(_map(truth))
        classes = found if one is None else tuple(label for label in found if label == one)
        goals.append(Erase(_map(truth), classes, called) if classes else None)
    return goals


def _number(goal: str, detail: str) -> float:
    try:
        return float(detail)
    except ValueError:
        raise EvalError(f"the goal {goal} takes {GOALS[goal].detail} after a colon, got {detail!r}") from None


def _named(name: str, labels: Sequence[str], goal: str) -> int:
    """The class of this name, or else the only one that differs in case alone."""
    if name in labels:
        return list(labels).index(name)
    alike = [i for i, label in enumerate(labels) if label.casefold() == name.casefold()]
    if len(alike) != 1:
        known = ", ".join(labels[:8]) + (" ..." if len(labels) > 8 else "")
        raise EvalError(f"the goal {goal} takes a class of the model after a colon ({known}), got {name!r}")
    return alike[0]


def _class(truth: Expected) -> int:
    if isinstance(truth, (Objects, np.ndarray)):
        raise TypeError(f"the truth of a classification sample must be a class, got {type(truth).__name__}")
    return int(truth)


def _wanted(truth: Expected) -> Wanted:
    if not isinstance(truth, Objects):
        raise TypeError(f"the truth of a detection sample must be Objects, got {type(truth).__name__}")
    return Wanted.of(truth)


def _map(truth: Expected) -> Array:
    if not isinstance(truth, np.ndarray):
        raise TypeError(f"the truth of a segmentation sample must be a map, got {type(truth).__name__}")
    return truth


_of_classes, _of_objects, _of_pixels = (partial(Kind, task) for task in DEFAULTS)
GOALS: Mapping[str, Kind] = {
    "untargeted": _of_classes("any class but the true one", "", _untargeted),
    "targeted": _of_classes("a class, or one drawn for each sample", "CLASS", _targeted),
    "vanish": _of_objects(
        "all objects, a share of them or any one are no longer found", "any|SHARE", _vanish
    ),
    "fabricate": _of_objects("objects are found where there are none", "COUNT", _fabricate),
    "mislabel": _of_objects("an object is found as another class only", "", _mislabel),
    "pixels": _of_pixels("at most half of the pixels, or a share, are right", "SHARE", _pixels),
    "erase": _of_pixels("a class, or any one that is there, is no longer found", "CLASS", _erase),
}

"""Goals by name: what users may type, and what samples get."""

from __future__ import annotations

import asyncio
from typing import Any

import numpy as np
import pytest

from eval.attacks.base import Goal, Threat, is_grey
from eval.attacks.goals.classification import Targeted, Untargeted
from eval.attacks.goals.detection import Fabricate, Mislabel, Vanish
from eval.attacks.goals.segmentation import Erase, Pixels
from eval.attacks.goals.starts import Starts
from eval.attacks.goals.tables import DEFAULTS, GOALS, goals_of
from eval.attacks.tables import ATTACKS
from eval.attacks.wave import Limits, attack_all
from eval.data.dataset import Expected
from eval.errors import EvalError
from eval.metrics.truth import Objects
from models.card import TaskName
from models.results import Array, Classification
from tests.eval.attacks.goals.scenery import coloured, spotted

LABELS = ("cat", "Dog", "car: red")


def goals(name: str, expected: list[Any], **told: Any) -> list[Any]:
    stem = name.partition(":")[0]
    settings = {"seed": 0, "ids": [f"s{i}" for i in range(len(expected))], "labels": LABELS, **told}
    return goals_of(name, GOALS[stem].task, expected, **settings)


def targets(found: list[Any]) -> list[int | None]:
    return [None if goal is None else goal.target for goal in found]


def test_every_task_has_a_default() -> None:
    for task, name in DEFAULTS.items():
        assert GOALS[name].task == task


def test_names_lead_to_goals() -> None:
    _, objects = spotted(2)
    _, maps = coloured(2)
    kinds: dict[str, tuple[list[Any], type[Goal]]] = {
        "untargeted": ([0, 2], Untargeted),
        "targeted": ([0, 2], Targeted),
        "targeted:dog": ([0, 2], Targeted),
        "vanish": (objects, Vanish),
        "vanish:any": (objects, Vanish),
        "vanish:0.5": (objects, Vanish),
        "fabricate": (objects, Fabricate),
        "fabricate:3": (objects, Fabricate),
        "mislabel": (objects, Mislabel),
        "pixels": (maps, Pixels),
        "pixels:0.3": (maps, Pixels),
        "erase": (maps, Erase),
    }
    assert {name.partition(":")[0] for name in kinds} == set(GOALS)
    for name, (expected, kind) in kinds.items():
        for goal in goals(name, expected):
            assert isinstance(goal, kind)
            assert goal.name == ("targeted" if name.startswith("targeted") else name)


@pytest.mark.parametrize(
    ("name", "task", "message"),
    [
        ("vanish", "classification", r"must be one of untargeted, targeted\[:CLASS\], got 'vanish'"),
        (
            "untargeted",
            "detection",
            r"vanish\[:any\|SHARE\], fabricate\[:COUNT\], mislabel, got 'untargeted'",
        ),
        ("blur", "segmentation", r"must be one of pixels\[:SHARE\], erase\[:CLASS\], got 'blur'"),
        ("", "segmentation", "got ''"),
        ("mislabel:cat", "detection", "mislabel takes nothing after a colon"),
        ("untargeted:", "classification", "untargeted takes nothing after a colon"),
        ("targeted:", "classification", "targeted takes CLASS after a colon"),
        (
            "targeted:cow",
            "classification",
            r"a class of the model after a colon \(cat, Dog, car: red\), got 'cow'",
        ),
        ("vanish:all", "detection", r"takes any\|SHARE after a colon, got 'all'"),
        ("vanish:0", "detection", "above 0 and at most 1, got 0"),
        ("vanish:1.1", "detection", "above 0 and at most 1, got 1.1"),
        ("vanish:nan", "detection", "above 0 and at most 1, got nan"),
        ("fabricate:0", "detection", "whole and at least 1, got 0"),
        ("fabricate:1.5", "detection", "whole and at least 1, got 1.5"),
        ("fabricate:inf", "detection", "whole and at least 1, got inf"),
        ("pixels:1", "segmentation", "at least 0 and below 1, got 1"),
        ("pixels:few", "segmentation", "takes SHARE after a colon, got 'few'"),
        ("erase:cow", "segmentation", "erase takes a class of the model"),
    ],
)
def test_bad_names_are_refused_before_there_is_data(name: str, task: TaskName, message: str) -> None:
    with pytest.raises(EvalError, match=message):
        goals_of(name, task, (), LABELS, seed=0, ids=())


def test_one_class_is_too_few() -> None:
    for name in ("targeted", "mislabel"):
        with pytest.raises(EvalError, match="at least 2 classes, got 1"):
            goals(name, [], labels=("cat",))


def test_a_class_of_two_cases_must_be_typed_exactly() -> None:
    assert targets(goals("targeted:CAT", [1], labels=("Cat", "cat", "CAT"))) == [2]
    with pytest.raises(EvalError, match="a class of the model"):
        goals("targeted:cAT", [1], labels=("Cat", "cat"))
    assert targets(goals("targeted:car: red", [1])) == [2]


def test_a_drawn_target_is_never_the_truth_and_any_other_as_likely() -> None:
    truth = [i % 3 for i in range(3000)]
    drawn = [goal.target for goal in goals("targeted", truth)]
    counts = np.zeros((3, 3), int)
    np.add.at(counts, (truth, drawn), 1)
    assert counts.trace() == 0
    others = counts[~np.eye(3, dtype=bool)]
    assert others.min() > 430  # of 500, 4.4 standard deviations


def test_a_target_depends_on_seed_and_sample_alone() -> None:
    thousand = [f"class {i}" for i in range(1000)]
    alone = goals("targeted", [2], ids=["x"], labels=thousand)
    among = goals("targeted", [0, 1, 2], ids=["a", "b", "x"], labels=thousand)
    assert targets(alone) == targets(among)[2:]
    many = [0] * 50
    assert targets(goals("targeted", many, seed=0)) != targets(goals("targeted", many, seed=1))


def test_what_cannot_happen_is_left_out() -> None:
    assert targets(goals("targeted:dog", [0, 1, 2])) == [1, None, 1]
    empty, crowd = Objects(np.zeros((0, 4)), np.zeros(0, np.int64)), spotted(1)[1][0]
    only = Objects(crowd.boxes[2:], crowd.labels[2:], crowd=crowd.crowd[2:])
    for name in ("vanish", "mislabel"):
        assert [goal is None for goal in goals(name, [empty, only, crowd])] == [True, True, False]
    assert None not in goals("fabricate", [empty, only, crowd])
    void, map_of_0 = np.full((4, 5), 255, np.uint8), np.zeros((4, 5), np.uint8)
    assert [goal is None for goal in goals("pixels", [void, map_of_0])] == [True, False]
    assert [goal is None for goal in goals("erase:cat", [void, map_of_0])] == [True, False]
    assert goals("erase:dog", [map_of_0]) == [None]
    assert goals("erase", [map_of_0])[0].classes == (0,)
    assert goals("erase:CAT", [map_of_0])[0].name == "erase:cat"


def test_masks_are_not_kept() -> None:
    objects = Objects(np.array([[0.0, 0, 2, 2]]), np.array([1]), masks=np.ones((1, 4, 4), bool))
    (goal,) = goals("vanish", [objects])
    assert not any(getattr(goal.wanted, name) is objects.masks for name in goal.wanted.__slots__)


@pytest.mark.parametrize(
    ("name", "expected"), [("untargeted", np.zeros((2, 2), int)), ("vanish", 1), ("erase", 1)]
)
def test_truths_of_another_task_are_refused(name: str, expected: Expected) -> None:
    with pytest.raises(TypeError, match="the truth of a"):
        goals(name, [expected])


def test_unequal_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="equally many"):
        goals("untargeted", [0, 1], ids=["a"])
    with pytest.raises(ValueError, match="equally many"):
        goals("untargeted", [0], pictures=[])


class Lazily(list[Array]):
    """Pictures that note which were read."""

    read: list[int]

    def __getitem__(self, index: Any) -> Any:
        self.read.append(index)
        return super().__getitem__(index)


def test_starts_are_pictures_of_the_target_read_when_wanted() -> None:
    pictures = Lazily(np.full((4 + i, 7, 3), i, np.uint8) for i in range(6))
    pictures.read = []
    found = goals("targeted:dog", [0, 1, 2, 1, 1, 1], pictures=pictures)
    assert pictures.read == []
    starts = found[0].starts
    assert isinstance(starts, Starts)
    assert len(starts) == len(starts[:2]) + 1 == 3
    for start in starts:
        assert start.shape == (4, 7, 3)  # its own size, not theirs
        assert start.dtype == np.uint8
        assert start[0, 0, 0] in (1, 3, 4, 5)
    assert goals("targeted:car: red", [0], pictures=[pictures[0]])[0].starts[:] == Starts(
        [pictures[0]], 0, ()
    )
    seeds = [goals("targeted:dog", [0, 1, 2, 1, 1, 1], pictures=pictures, seed=n)[0] for n in range(9)]
    assert len({goal.starts.places for goal in seeds}) > 3


class Near:
    """Class 1 within so many levels of one picture; nothing that is drawn at random comes near."""

    def __init__(self, picture: Array) -> None:
        self.picture, self.asked = picture.astype(np.float64), list[Array]()

    async def predict(self, images: Any) -> list[Classification]:
        self.asked += list(images)
        near = [np.abs(image - self.picture).mean() < 20 for image in images]
        return [Classification(np.array([0.1, 0.9] if n else [0.9, 0.1], np.float32)) for n in near]


@pytest.mark.parametrize("grey", [False, True])
def test_decision_based_attacks_walk_back_from_a_start(grey: bool) -> None:
    """A grey picture stays grey, whatever it starts from."""
    first, start = np.random.default_rng(1).integers(0, 256, (2, 6, 9, 3), dtype=np.uint8)
    if grey:
        first[...], start[...] = first[..., :1], (start // 8 + start[..., :1] // 2)
    pictures = [first, start]

    def distance(told: list[Array] | None) -> float:
        endpoint = Near(start)
        attack = attack_all(
            ATTACKS["hopskipjump"],
            endpoint,
            pictures[:1],
            goals("targeted", [0, 1], labels=("a", "b"), pictures=told)[:1],
            threat=Threat("linf", 255),
            limits=Limits(200),
            seed=0,
        )
        result = asyncio.run(attack)
        assert not grey or all(is_grey(sent) for sent in endpoint.asked)
        return float(result.distance[0]) if result.fooled[0] else np.inf

    assert distance(None) == np.inf
    assert distance(pictures) < 0.95 * Threat("linf", 255).size(*pictures)

"""Square follows its paper where it says so."""

from __future__ import annotations

import numpy as np
import pytest

from eval.attacks.base import Threat, Verdict, draws
from eval.attacks.goals.classification import Untargeted
from eval.attacks.square import MOST_AT_ONCE, Square, at_once, share_of_image, window
from models.results import Array, Classification

SHAPE = (20, 30, 3)


@pytest.mark.parametrize(
    ("step", "halvings"),
    [
        (0, 0),
        (10, 0),
        (11, 1),
        (50, 1),
        (51, 2),
        (201, 3),
        (501, 4),
        (1001, 5),
        (2001, 6),
        (4001, 7),
        (6001, 8),
        (8001, 9),
    ],
)
def test_the_schedule_of_ten_thousand_steps(step: int, halvings: int) -> None:
    """Section 3.2 of the paper and `p_selection` of its authors' code."""
    assert share_of_image(step, 10_000, 0.8) == pytest.approx(0.8 / 2**halvings)


def test_the_schedule_scales_with_the_budget() -> None:
    assert [share_of_image(s, 100, 0.8) for s in (0, 50, 99)] == [
        share_of_image(s, 10_000, 0.8) for s in (0, 5000, 9900)
    ]


def dialogue(answers: list[list[float]], budget: int = 50) -> list[Array]:
    """The pictures proposed while the endpoint answers as told."""
    image = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    goal = Untargeted(0)
    talk = Square().run(image, goal, Threat("linf", 10), draws(0, "s", "square"), budget)
    proposed = [talk.send(None)[0]]  # type: ignore[arg-type]  # starts it
    for scores in answers:
        proposed.append(talk.send([goal.judge(Classification(np.array(scores, np.float32)))])[0])
    return [image, *proposed]


def test_it_begins_with_vertical_stripes_at_the_edge_of_the_ball() -> None:
    image, first = dialogue([])
    low, high = np.clip(image.astype(int) - 10, 0, 255), np.clip(image.astype(int) + 10, 0, 255)
    up = (first == high).all(axis=0)
    assert (up | (first == low).all(axis=0)).all()  # a column of a channel goes one way
    assert 0.2 < up.mean() < 0.8


def test_a_worse_proposal_is_forgotten_and_a_better_one_kept() -> None:
    worse, better = [0.9, 0.05, 0.05], [0.6, 0.2, 0.2]
    _, first, second, third = dialogue([[0.8, 0.1, 0.1], worse])
    changed = (third != first).any(axis=2)
    rows, cols = np.nonzero(changed)
    assert (rows.max() - rows.min(), cols.max() - cols.min()) <= (19, 29)
    kept = dialogue([[0.8, 0.1, 0.1], better])
    assert ((kept[3] != kept[2]).any(axis=2)).sum() < ((kept[3] != kept[1]).any(axis=2)).sum()
    assert np.array_equal(kept[2], second)


def test_every_value_is_at_an_edge_of_the_ball() -> None:
    image, *proposed = dialogue([[0.8, 0.1, 0.1]] * 20)
    low, high = np.clip(image.astype(int) - 10, 0, 255), np.clip(image.astype(int) + 10, 0, 255)
    assert all(((p == low) | (p == high)).all() for p in proposed)


@pytest.mark.parametrize(
    ("area", "most", "sides"),
    [
        (25.0, (19, 29), (5, 5)),
        (480.0, (19, 29), (19, 25)),
        (480.0, (29, 19), (25, 19)),
        (480.0, (21, 21), (21, 21)),
        (0.1, (9, 9), (1, 1)),
        (0.8 * 100, (1, 99), (1, 80)),
        (700.0, (19, 29), (19, 29)),
    ],
)
def test_windows_keep_their_area_where_a_square_does_not_fit(
    area: float, most: tuple[int, int], sides: tuple[int, int]
) -> None:
    assert window(area, most) == sides


def test_the_first_window_is_a_large_one_whatever_the_budget() -> None:
    """The first picture is no window, so the schedule begins after it."""
    _, first, second = dialogue([[0.8, 0.1, 0.1]], budget=50)
    rows, cols = np.nonzero((second != first).any(axis=2))
    assert (int(np.ptp(rows)), int(np.ptp(cols))) == (18, 24)  # 0.8 of 20 x 30, at most 19 high


def test_windows_reach_every_side_and_always_change_something() -> None:
    _, *proposed = dialogue([[0.8, 0.1, 0.1]] * 200, budget=10_000)
    changed = [(p != proposed[0]).any(axis=2) for p in proposed[1:]]
    assert all(one.any() for one in changed)
    where = np.logical_or.reduce(changed[51:])  # small by now: a large one reaches everywhere
    assert where[0].any()
    assert where[-1].any()
    assert where[:, 0].any()
    assert where[:, -1].any()


def test_many_proposals_in_vain_are_followed_by_several_at_once() -> None:
    assert [at_once(failures) for failures in (0, 15, 16, 33, 1000)] == [1, 1, 2, 3, MOST_AT_ONCE]
    image = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    talk = Square().run(image, Untargeted(0), Threat("linf", 10), draws(0, "s", "square"), 400)
    asked = [talk.send(None)]  # type: ignore[arg-type]  # starts it
    while sum(map(len, asked)) < 200:
        asked.append(talk.send([Verdict(1.0, False)] * len(asked[-1])))
    sizes = [len(pictures) for pictures in asked]
    assert sizes[:20] == [1] * 17 + [2] * 3
    assert sizes == sorted(sizes)
    assert sizes[-1] == MOST_AT_ONCE
    together = asked[-1]
    assert len({picture.tobytes() for picture in together}) == MOST_AT_ONCE
    best = together[5]
    following = talk.send([Verdict(0.9 - 0.1 * (i == 5), False) for i in range(MOST_AT_ONCE)])
    assert 1 < len(following) < MOST_AT_ONCE  # half of the failures are forgotten
    assert all(np.count_nonzero(p != best) < np.count_nonzero(p != together[0]) for p in following)


def test_the_budget_may_end_among_proposals() -> None:
    """Fewer verdicts than pictures: the best of those told is taken."""
    image = np.random.default_rng(0).integers(0, 256, SHAPE, dtype=np.uint8)
    talk = Square().run(image, Untargeted(0), Threat("linf", 10), draws(0, "s", "square"), 60)
    asked, pictures = 0, talk.send(None)  # type: ignore[arg-type]  # starts it
    while len(pictures) < 3:
        asked += len(pictures)
        pictures = talk.send([Verdict(1.0, False)] * len(pictures))
    following = talk.send([Verdict(1.0, False), Verdict(0.5, False)])
    assert all(np.count_nonzero(p != pictures[1]) < np.count_nonzero(p != pictures[0]) for p in following)
    asked += len(pictures)
    while True:
        asked += len(following)
        try:
            following = talk.send([Verdict(1.0, False)] * len(following))
        except StopIteration:
            break
    assert asked == 60

"""HopSkipJump reaches the plane, and beats its published form where only whole levels can be sent."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from eval.attacks.base import Threat, draws
from eval.attacks.hopskipjump import HopSkipJump
from models.results import Array, Classification
from tests.eval.attacks.boundaries import HalfSpace, Hills, find, published

ATTACK = HopSkipJump()


@pytest.mark.parametrize("gap", [4.3, 12.0])
@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize("shape", [(4, 7, 3), (9, 3, 3)], ids=str)
def test_it_ends_at_the_plane(shape: tuple[int, int, int], norm: Any, gap: float) -> None:
    """Closed form: |margin| / ||w||_2, or / ||w||_1."""
    endpoint = HalfSpace(shape, gap)
    least = endpoint.l2 if norm == "l2" else endpoint.linf
    result = find(ATTACK, endpoint, [endpoint.image] * 3, [0] * 3, Threat(norm, 255), budget=4000)
    assert (result.distance >= least).all()
    assert (result.distance <= max(1.05 * least, np.ceil(least) + (norm == "linf"))).all(), result.distance
    assert result.fooled.all()
    assert (result.queries <= 4000).all()


@pytest.mark.parametrize("norm", ["l2", "linf"])
@pytest.mark.parametrize(("asks", "share"), [("real", 0.7), ("whole", 0.9)])
def test_smaller_than_published_where_whole_levels_count(asks: str, share: float, norm: Any) -> None:
    """The published form may ask about real levels, and its last point alone is rounded; or every picture
    it sends is rounded, as a live endpoint sees it. A point that does not fool once rounded is a failure.
    """
    shape, count, budget = (6, 9, 3), 100, 600
    endpoint, rng = Hills(shape), np.random.default_rng(1)
    images = list(rng.integers(0, 256, (count, *shape), dtype=np.uint8))
    labels = [int(label) for label in endpoint.labels(np.stack(images).astype(float))]
    threat = Threat(norm, 255 if norm == "linf" else 5000)
    result = find(ATTACK, endpoint, images, labels, threat, budget=budget)
    assert result.fooled.all()
    assert (result.queries <= budget).all()

    def told(points: Array) -> Array:
        return endpoint.labels(points if asks == "real" else np.rint(points))

    theirs = np.full(count, np.inf)
    for i, (image, label) in enumerate(zip(images, labels, strict=True)):
        point = published(told, image, label, budget, np.random.default_rng(i), norm == "linf")
        rounded = image if point is None else np.rint(point).astype(np.uint8)
        if endpoint.labels(rounded[None].astype(float))[0] != label:
            theirs[i] = threat.size(image, rounded)
    smaller, larger = int((result.distance < theirs).sum()), int((result.distance > theirs).sum())
    print(  # noqa: T201  # shown by pytest -s
        f"{norm}, published asks {asks}: {smaller} smaller, {larger} larger of {count}; medians "
        f"{np.median(result.distance):.2f} and {np.median(theirs):.2f}; "
        f"{int(np.isinf(theirs).sum())} published do not fool once rounded"
    )
    assert smaller >= share * (smaller + larger)
    assert np.median(result.distance) < np.median(theirs)


def test_probes_are_one_level_and_their_sent_difference_is_credited() -> None:
    """At 0 and 255 half of a probe is cut off; what was not sent must not count."""
    image = np.zeros((5, 6, 3), np.uint8)
    image[..., 1] = 200
    talk = HopSkipJump(scales=(1,)).run(image, 0, Threat("l2", 10), draws(0, "s", "hopskipjump"), 500)
    asked: list[list[Array]] = [talk.send(None)]  # type: ignore[arg-type]  # starts it
    weight = np.random.default_rng(0).normal(size=image.shape)
    weight[..., 0] = 0.0
    plane = float((weight * image).sum()) + 40 * np.abs(weight).sum()
    right, wrong = (Classification(np.array(s, np.float32)) for s in ([1, 0], [0, 1]))
    while len(asked[-1]) != 25:  # until the first probes
        told = [wrong if float((weight * p).sum()) > plane else right for p in asked[-1]]
        asked.append(talk.send(told))
    steps = np.stack(asked[-1]).astype(int)
    here = np.round(np.median(steps, axis=0))
    assert np.abs(steps - here).max() <= 2
    assert (np.ptp(steps, axis=0) <= 2).all()
    assert (np.ptp(steps, axis=0) >= 1).all()

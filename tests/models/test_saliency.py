"""Maps point where a model looks, equal slow references, and are flat where it looks nowhere."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from models.results import Array, Classification, Detections, Result, Segmentation
from models.saliency import METHODS, Method, Occlusion, Rise, Target, advance, aim, reduced
from models.saliency.curves import Curve, area, blurred
from models.saliency.dialogue import Dialogue, hidden, mean_colour
from models.saliency.targets import BoxTarget, ClassTarget, RegionTarget

SHAPE = (37, 53)
IMAGE = np.random.default_rng(0).integers(0, 256, (*SHAPE, 3), dtype=np.uint8)
PATCH = (slice(20, 30), slice(8, 22))
EACH = pytest.mark.parametrize("method", [Occlusion(), Rise(400)], ids=lambda m: m.name)


def held(dialogue: Dialogue[Any], model: Callable[[Array], Result]) -> tuple[Any, list[Array]]:
    """What a dialogue found with a model, and every picture it asked about."""
    asked: list[Array] = []
    pictures, found = advance(dialogue)
    while pictures:
        asked += pictures
        pictures, found = advance(dialogue, [model(picture) for picture in pictures])
    return found, asked


def two(share: float) -> Classification:
    return Classification(np.array([1 - share, share], np.float32))


def like_the_patch(image: Array) -> Classification:
    """How much of one patch is as it was; looks nowhere else."""
    return two(float((image[PATCH] == IMAGE[PATCH]).mean()))


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=seed))


def mapped(method: Method, model: Callable[[Array], Result], label: int | None = 1, seed: int = 0) -> Array:
    target = aim(model(IMAGE), label)
    assert target is not None
    saliency, asked = held(method.run(IMAGE, target, rng(seed)), model)
    assert all(p.dtype == np.uint8 and p.shape == IMAGE.shape for p in asked)
    assert saliency.dtype == np.float32
    assert saliency.shape == SHAPE
    return np.asarray(saliency)


@EACH
def test_the_peak_lies_in_the_only_patch_that_counts(method: Method) -> None:
    saliency = mapped(method, like_the_patch)
    inside = np.zeros(SHAPE, bool)
    inside[PATCH] = True
    peak = np.argwhere(saliency == saliency.max()).mean(axis=0).astype(int)
    assert inside[tuple(peak)]
    assert saliency[inside].mean() > saliency[~inside].mean() + saliency[~inside].std()


@EACH
def test_the_other_class_of_two_has_the_opposite_map(method: Method) -> None:
    one, other = mapped(method, like_the_patch, 1), mapped(method, like_the_patch, 0)
    np.testing.assert_allclose(one - one.mean(), other.mean() - other, atol=1e-5)


@EACH
def test_a_model_that_never_changes_its_mind_has_a_flat_map(method: Method) -> None:
    assert np.ptp(mapped(method, lambda _: two(0.3))) < 1e-6


@EACH
def test_the_same_stream_gives_the_same_map(method: Method) -> None:
    one, again = (mapped(method, like_the_patch, seed=3) for _ in range(2))
    assert one.tobytes() == again.tobytes()


def test_another_seed_draws_other_masks() -> None:
    assert not np.array_equal(mapped(Rise(20), like_the_patch), mapped(Rise(20), like_the_patch, seed=1))


@pytest.mark.parametrize(
    ("name", "queries"), [("rise", 3), ("rise", 130), ("occlusion", 1), ("occlusion", 60)]
)
def test_no_method_asks_more_than_it_may(name: str, queries: int) -> None:
    _, asked = held(METHODS[name](queries).run(IMAGE, ClassTarget(1, 1.0), rng()), like_the_patch)
    assert 1 <= len(asked) <= queries
    assert len(asked) > queries / 1.5


def test_other_settings_are_refused() -> None:
    for wrong in (lambda: Rise(0), lambda: Rise(keep=1.0), lambda: Rise(cells=0), lambda: Occlusion(0)):
        with pytest.raises(ValueError, match="must be"):
            wrong()


# Occlusion


def slow_occlusion(method: Occlusion, image: Array, model: Callable[[Array], Result], label: int) -> Array:
    """Pixel by pixel: the mean over the windows on it of what is lost."""
    height, width = image.shape[:2]

    def edges(side: int) -> list[int]:
        count = min(side, method.positions + method.window - 1)
        return [i * side // count for i in range(count + 1)]

    def spans(side: int) -> list[tuple[int, int]]:
        at = edges(side)
        ends = [min(i + method.window, len(at) - 1) for i in range(len(at) - 1)]
        full = [(at[i], at[e]) for i, e in enumerate(ends) if i + method.window <= len(at) - 1]
        return full or [(0, side)]

    def score(picture: Array) -> float:
        answer = model(picture)
        assert isinstance(answer, Classification)
        return float(answer.scores[label])

    colour = np.rint(image.reshape(-1, 3).mean(axis=0)).astype(np.uint8)
    lost: list[list[list[float]]] = [[[] for _ in range(width)] for _ in range(height)]
    for top, bottom in spans(height):
        for left, right in spans(width):
            covered = image.copy()
            covered[top:bottom, left:right] = colour
            difference = score(image) - score(covered)
            for y in range(top, bottom):
                for x in range(left, right):
                    lost[y][x].append(difference)
    return np.array([[np.mean(values) for values in row] for row in lost])


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 24), st.integers(1, 24), st.integers(1, 6), st.integers(1, 3), st.integers(0, 2**32 - 1)
)
def test_occlusion_equals_the_slow_one(
    height: int, width: int, positions: int, window: int, seed: int
) -> None:
    draw = np.random.default_rng(seed)
    image = draw.integers(0, 256, (height, width, 3), dtype=np.uint8)
    weight = draw.random(image.shape)

    def model(picture: Array) -> Classification:
        return two(float((picture * weight).mean() / 255))

    method, target = Occlusion(positions, window), ClassTarget(1, float(model(image).scores[1]))
    fast, asked = held(method.run(image, target, rng()), model)
    np.testing.assert_allclose(fast, slow_occlusion(method, image, model, 1), atol=1e-6)
    assert len(asked) <= method.queries


# RISE


def slow_mask(grid: Array, moved: tuple[int, int], shape: tuple[int, int], cells: int) -> Array:
    """Bilinear at every pixel, the edge repeated beyond the grid's middle points."""
    mask = np.zeros(shape)
    for y in range(shape[0]):
        for x in range(shape[1]):
            at = []
            for place, move, side in ((y, moved[0], shape[0]), (x, moved[1], shape[1])):
                cell = math.ceil(side / cells)
                at.append(min(max((place + move + 0.5) / cell - 0.5, 0), cells))
            i, j = min(int(at[0]), cells - 1), min(int(at[1]), cells - 1)
            v, u = at[0] - i, at[1] - j
            top = grid[i, j] * (1 - u) + grid[i, j + 1] * u
            mask[y, x] = top * (1 - v) + (grid[i + 1, j] * (1 - u) + grid[i + 1, j + 1] * u) * v
    return mask


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 20), st.integers(1, 20), st.integers(1, 5), st.integers(0, 2**32 - 1))
def test_rise_equals_the_slow_one(height: int, width: int, cells: int, seed: int) -> None:
    image = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    weight = np.random.default_rng(seed + 1).random(image.shape)

    def model(picture: Array) -> Classification:
        return two(float((picture * weight).mean() / 255))

    fast, asked = held(Rise(12, cells).run(image, ClassTarget(1, 0.0), rng(seed)), model)
    again, total, weights = rng(seed), np.zeros((height, width)), np.zeros((height, width))
    colour = np.rint(image.reshape(-1, 3).mean(axis=0))
    for picture in asked:
        grid = (again.random((cells + 1, cells + 1)) < 0.5).astype(np.float64)
        moved = [int(again.integers(math.ceil(side / cells))) for side in (height, width)]
        mask = slow_mask(grid, (moved[0], moved[1]), (height, width), cells)
        expected = image * mask[..., None] + colour * (1 - mask[..., None])
        assert np.abs(picture - expected).max() <= 0.5 + 1e-3
        total += float(model(picture).scores[1]) * mask
        weights += mask
    shown = weights > 1e-9
    np.testing.assert_allclose(
        fast[shown], (total / np.where(shown, weights, 1))[shown], rtol=1e-4, atol=1e-5
    )
    assert np.isfinite(fast).all()


def test_what_no_mask_showed_is_no_peak() -> None:
    saliency, _ = held(Rise(1, cells=1, keep=1e-9).run(IMAGE, ClassTarget(1, 1.0), rng()), like_the_patch)
    assert np.ptp(saliency) == 0


# Targets


def found(*rows: tuple[list[float], float, int]) -> Detections:
    boxes, scores, labels = zip(*rows, strict=True)
    return Detections(np.array(boxes, np.float32), np.array(scores, np.float32), np.array(labels, np.int64))


def test_an_object_is_matched_by_overlap_class_and_score() -> None:
    target = BoxTarget(2, 0.9, np.array([0, 0, 10, 10], np.float32))
    half = ([0.0, 0, 10, 5], 0.8, 2)
    assert target.score(found(half)) == pytest.approx(0.5 * 0.8)
    assert target.score(found(half, ([0.0, 0, 10, 10], 0.9, 1))) == pytest.approx(0.4)  # another class
    assert target.score(found(half, ([0.0, 0, 10, 10], 0.3, 2))) == pytest.approx(0.4)  # a worse match
    assert target.score(found(([20.0, 20, 30, 30], 1.0, 2))) == 0
    assert target.score(Detections.empty()) == 0
    point = BoxTarget(2, 0.0, np.zeros(4, np.float32))
    assert point.score(found(([0.0, 0, 0, 0], 1.0, 2))) == 0  # no area: no overlap, no NaN


def test_the_surest_object_is_explained_or_that_of_a_class() -> None:
    answer = found(([0.0, 0, 4, 4], 0.5, 1), ([2.0, 2, 9, 9], 0.7, 0), ([1.0, 1, 5, 5], 0.6, 1))
    best, named = aim(answer), aim(answer, 1)
    assert isinstance(best, BoxTarget)
    assert isinstance(named, BoxTarget)
    assert [best.label, *best.box, best.clean] == pytest.approx([0, 2, 2, 9, 9, 0.7])
    assert [named.label, *named.box, named.clean] == pytest.approx([1, 1, 1, 5, 5, 0.6])
    assert aim(answer, 5) is None
    assert aim(Detections.empty()) is None


def test_a_region_keeps_its_label() -> None:
    labels = np.zeros((4, 6), np.int64)
    labels[:2, :3], labels[3, :2] = 2, 1
    target = aim(Segmentation(labels))
    assert isinstance(target, RegionTarget)
    assert (target.label, target.region.sum(), target.clean) == (2, 6, 1.0)  # not the larger background
    changed = labels.copy()
    changed[0, :3] = 0
    assert target.score(Segmentation(changed)) == 0.5
    changed[3] = 2  # outside the region nothing counts
    assert target.score(Segmentation(changed)) == 0.5
    assert aim(Segmentation(labels), 7) is None
    only = aim(Segmentation(np.zeros((2, 2), np.int64)))
    assert only is not None
    assert only.label == 0


def test_the_answers_class_is_explained_or_the_one_that_is_named() -> None:
    answer = Classification(np.array([0.2, 0.5, 0.3], np.float32))
    assert aim(answer) == ClassTarget(1, 0.5)
    assert aim(answer, 0) == ClassTarget(0, float(np.float32(0.2)))


def test_answers_of_another_task_are_refused() -> None:
    answers: list[Result] = [two(0.5), Detections.empty(), Segmentation(np.zeros((1, 1), np.int64))]
    targets: list[Target] = [
        ClassTarget(0, 1.0),
        BoxTarget(0, 1.0, np.zeros(4)),
        RegionTarget(0, np.ones((1, 1), bool)),
    ]
    for i, target in enumerate(targets):
        for j, answer in enumerate(answers):
            if i != j:
                with pytest.raises(TypeError, match="explained by"):
                    target.score(answer)


@EACH
def test_an_object_and_a_region_are_explained_too(method: Method) -> None:
    """A detector and a segmenter that see one thing, where the patch is as it was."""

    def detector(image: Array) -> Detections:
        share = float((image[PATCH] == IMAGE[PATCH]).mean())
        return found(([8.0, 20, 22, 30], share, 0))

    def segmenter(image: Array) -> Segmentation:
        labels = np.zeros(SHAPE, np.int64)
        labels[PATCH] = (image[PATCH] == IMAGE[PATCH]).all(axis=2)
        return Segmentation(labels)

    inside = np.zeros(SHAPE, bool)
    inside[PATCH] = True
    for model in (detector, segmenter):
        saliency = mapped(method, model, None)
        assert saliency[inside].mean() > saliency[~inside].mean() + 2 * saliency[~inside].std()


# Curves


def test_a_perfect_map_deletes_fast_and_inserts_fast() -> None:
    right = np.zeros(SHAPE, np.float32)
    right[PATCH] = 1
    areas = {}
    for name, saliency in (("right", right), ("wrong", -right)):
        for kind in ("deletion", "insertion"):
            points, asked = held(
                Curve(kind, 20).run(IMAGE, saliency, ClassTarget(1, 1.0)),
                like_the_patch,
            )
            assert len(points) == len(asked) == 21
            assert points[0][0] == 0
            assert points[-1][0] == 1
            areas[name, kind] = area(points)
    assert areas["right", "deletion"] < 0.15 < 0.85 < areas["wrong", "deletion"]
    assert areas["wrong", "insertion"] < 0.15 < 0.85 < areas["right", "insertion"]


def test_the_ends_of_the_curves_are_the_picture_and_what_hides_it() -> None:
    saliency = np.arange(SHAPE[0] * SHAPE[1], dtype=np.float32).reshape(SHAPE)
    _, deleted = held(Curve("deletion", 4).run(IMAGE, saliency, ClassTarget(1, 1.0)), like_the_patch)
    _, inserted = held(Curve("insertion", 4).run(IMAGE, saliency, ClassTarget(1, 1.0)), like_the_patch)
    np.testing.assert_array_equal(deleted[0], IMAGE)
    np.testing.assert_array_equal(inserted[-1], IMAGE)
    assert (deleted[-1] == mean_colour(IMAGE)).all()
    np.testing.assert_array_equal(inserted[0], blurred(IMAGE))
    quarter = (deleted[1] != IMAGE).any(axis=2)
    assert saliency[quarter].min() > saliency[~quarter].max() - 5  # the highest go first


def test_area_is_numpys() -> None:
    points = [(0.0, 1.0), (0.5, 0.5), (1.0, 0.0)]
    assert area(points) == pytest.approx(np.trapezoid([y for _, y in points], [x for x, _ in points]))


def test_a_blur_keeps_the_mean_and_loses_the_detail() -> None:
    soft = blurred(IMAGE)
    assert soft.dtype == np.uint8
    assert abs(float(soft.mean()) - float(IMAGE.mean())) < 3
    assert soft.std() < IMAGE.std() / 3
    flat = np.full((1, 5, 3), 77, np.uint8)
    np.testing.assert_array_equal(blurred(flat), flat)


# Pictures


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(1, 500))
def test_a_reduced_picture_is_the_mean_of_its_parts(height: int, width: int, most: int) -> None:
    image = np.random.default_rng(height * 61 + width).integers(0, 256, (height, width, 3), dtype=np.uint8)
    small = reduced(image, most)
    rows, cols = small.shape[:2]
    assert rows * cols <= most or small is image
    assert (small is image) == (height * width <= most)
    for i in {0, rows // 2, rows - 1}:
        for j in {0, cols // 2, cols - 1}:
            part = image[
                i * height // rows : (i + 1) * height // rows, j * width // cols : (j + 1) * width // cols
            ]
            np.testing.assert_allclose(small[i, j], part.reshape(-1, 3).mean(axis=0), atol=0.5)


def test_what_is_half_hidden_is_half_of_each() -> None:
    image, behind = np.full((2, 2, 3), 200, np.uint8), np.array([100, 0, 255], np.uint8)
    assert hidden(image, np.full((2, 2), 0.5, np.float32), behind)[0, 0].tolist() == [150, 100, 228]

"""Answers survive as columns, exactly, and columns that are not of so many pictures are refused."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from models.card import InputSpec, ModelCard, TaskName
from models.columns import PREFIX, SizesDiffer, columns_of, from_columns, ports_of
from models.results import Array, Classification, Detections, Result, Segmentation


def card(task: TaskName, classes: int = 3) -> ModelCard:
    return ModelCard(
        name="m",
        version=1,
        task=task,
        family="logits",
        input=InputSpec(height=8, width=8),
        outputs=("o",),
        labels=tuple(f"class {i}" for i in range(classes)),
        licence="Apache-2.0",
        sha256="0" * 64,
    )


def random(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def found(count: int, seed: int = 0) -> Detections:
    draw = random(seed)
    boxes = draw.uniform(0, 99, (count, 4)).astype(np.float32)
    return Detections(boxes, draw.uniform(0, 1, count).astype(np.float32), draw.integers(0, 3, count))


def exactly(one: Array, other: Array) -> bool:
    return one.dtype == other.dtype and np.array_equal(one, other)


def fields(result: Result) -> list[Array]:
    match result:
        case Detections():
            return [
                result.boxes,
                result.scores,
                result.labels,
                *([] if result.masks is None else [result.masks]),
            ]
        case Classification():
            return [result.scores]
        case Segmentation():
            return [result.labels]
    raise AssertionError(result)


def survives(own: ModelCard, results: Sequence[Result]) -> dict[str, Array]:
    """The columns, after proving that they come back as the answers and are what the ports say."""
    columns = columns_of(own, results)
    for port, (name, column) in zip(ports_of(own), columns.items(), strict=True):
        assert (port.name, port.dtype) == (name, column.dtype)
        assert name.startswith(PREFIX)
        assert len(port.shape) == column.ndim
        assert all(size in (-1, there) for size, there in zip(port.shape, column.shape, strict=True))
    back = from_columns(own.task, columns, len(results))
    for got, want in zip(back, results, strict=True):
        assert all(exactly(g, w) for g, w in zip(fields(got), fields(want), strict=True))
    return columns


@pytest.mark.parametrize("count", [1, 2, 5])
def test_scores_come_back(count: int) -> None:
    results = [Classification(random(i).uniform(0, 1, 3).astype(np.float32)) for i in range(count)]
    assert survives(card("classification"), results)["answer.scores"].shape == (count, 3)


@given(st.lists(st.integers(0, 4), min_size=1, max_size=6))
def test_boxes_come_back_to_their_pictures(counts: list[int]) -> None:
    columns = survives(card("detection"), [found(n, seed) for seed, n in enumerate(counts)])
    assert columns["answer.images"].tolist() == [i for i, n in enumerate(counts) for _ in range(n)]


def test_nothing_found_is_no_rows() -> None:
    columns = survives(card("detection"), [found(0), found(0)])
    assert {name: column.shape for name, column in columns.items()} == {
        "answer.boxes": (0, 4),
        "answer.scores": (0,),
        "answer.labels": (0,),
        "answer.images": (0,),
    }


@pytest.mark.parametrize(("classes", "dtype"), [(2, "u1"), (256, "u1"), (257, "<u2"), (60_000, "<u2")])
def test_maps_come_back_in_the_least_type_that_holds_them(classes: int, dtype: str) -> None:
    maps = [Segmentation(random(i).integers(0, classes, (5, 7))) for i in range(3)]
    maps[0].labels[0, 0] = classes - 1
    column = survives(card("segmentation", classes), maps)["answer.labels"]
    assert column.dtype == np.dtype(dtype)
    assert column.shape == (3, 5, 7)


@pytest.mark.parametrize("other", [(5, 8), (6, 7), (7, 5)])
def test_maps_of_several_sizes_make_no_tensor(other: tuple[int, int]) -> None:
    maps = [Segmentation(np.zeros(shape, np.int64)) for shape in ((5, 7), other)]
    with pytest.raises(SizesDiffer, match="one size"):
        columns_of(card("segmentation"), maps)


def masked(counts: Sequence[int]) -> tuple[ModelCard, list[Result]]:
    """Pictures of several sizes with so many objects, their masks of all kinds."""
    results: list[Result] = []
    for seed, count in enumerate(counts):
        plain, draw = found(count, seed), random(seed)
        shape = int(draw.integers(1, 9)), int(draw.integers(1, 9))
        masks = draw.random((count, *shape)) < draw.choice([0.0, 0.2, 0.9, 1.0], (count, 1, 1))
        results.append(Detections(plain.boxes, plain.scores, plain.labels, masks))
    return card("detection").model_copy(update={"family": "maskrcnn"}), results


@given(st.lists(st.integers(0, 5), min_size=1, max_size=5))
def test_masks_come_back(counts: list[int]) -> None:
    own, results = masked(counts)
    columns = survives(own, results)
    sizes = [r.masks.shape[1:] for r in results if isinstance(r, Detections) and r.masks is not None]
    assert columns["answer.sizes"].tolist() == [list(size) for size in sizes]
    pixels = [height * width for height, width in sizes]
    assert len(from_columns("detection", columns, len(counts), pixels=pixels)) == len(counts)
    with pytest.raises(ValueError, match="pixels of their pictures"):
        from_columns("detection", columns, len(counts), pixels=[*pixels[:-1], pixels[-1] + 1])


@pytest.mark.parametrize("change", ["longer", "shorter", "more", "none", "negative", "moved"])
def test_runs_must_fill_the_masks(change: str) -> None:
    own, results = masked([2, 1])
    columns = columns_of(own, results)
    runs = columns["answer.runs"].copy()
    changed = {
        "longer": np.concatenate([runs[:-1], runs[-1:] + 1]),
        "shorter": runs[:-1],
        "more": np.concatenate([runs, [0]]),
        "none": runs[:0],
        "negative": np.concatenate([[-1, 1], runs]),
        "moved": np.concatenate([runs[:1] + 1000, runs[1:]]),
    }
    with pytest.raises(ValueError, match="runs"):
        from_columns("detection", {**columns, "answer.runs": changed[change]}, 2)


def without(columns: dict[str, Array], name: str) -> dict[str, Array]:
    return {key: value for key, value in columns.items() if key != name}


@pytest.mark.parametrize("name", ["boxes", "scores", "labels", "images"])
def test_a_missing_column_is_named(name: str) -> None:
    columns = columns_of(card("detection"), [found(2)])
    with pytest.raises(KeyError, match=f"answer.{name}"):
        from_columns("detection", without(columns, f"answer.{name}"), 1)


@pytest.mark.parametrize("name", ["boxes", "scores", "labels", "images"])
def test_columns_must_have_one_length(name: str) -> None:
    columns = columns_of(card("detection"), [found(2)])
    columns[f"answer.{name}"] = columns[f"answer.{name}"][:1]
    with pytest.raises(ValueError, match="one length"):
        from_columns("detection", columns, 1)


@pytest.mark.parametrize("images", [[0, 2], [-1, 0], [0, 9]])
def test_every_object_must_lie_in_a_picture(images: list[int]) -> None:
    columns = columns_of(card("detection"), [found(2)])
    columns["answer.images"] = np.array(images)
    with pytest.raises(ValueError, match="one of 2 pictures"):
        from_columns("detection", columns, 2)


@pytest.mark.parametrize("count", [0, 1, 3])
def test_there_must_be_an_answer_for_each_picture(count: int) -> None:
    scores: dict[str, Any] = {"answer.scores": np.zeros((2, 3), np.float32)}
    maps: dict[str, Any] = {"answer.labels": np.zeros((2, 4, 4), np.uint8)}
    for task, columns in (("classification", scores), ("segmentation", maps)):
        with pytest.raises(ValueError, match=f"must be {count} answers, got 2"):
            from_columns(task, columns, count)  # type: ignore[arg-type]  # one of the tasks

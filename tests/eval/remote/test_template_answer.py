"""What a service answered, found and checked as its template says."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from eval.remote.template import Template
from eval.remote.template_answer import Reader
from models.results import Array, Classification, Detections, Segmentation

LABELS = ["cat", "dog", "7"]


def reader(task: str, **answer: Any) -> Reader:
    images = 2 if "each" in answer else 1
    body: dict[str, Any] = {"body": "multipart", "images": images}
    told: dict[str, Any] = {"task": task, "labels": LABELS, "request": body, "answer": answer}
    return Reader.of(Template.model_validate(told))


def scores(told: Any, **answer: Any) -> list[float]:
    (result,) = reader("classification", **answer).results(told, 1, None)
    assert isinstance(result, Classification)
    assert result.scores.dtype == np.float32
    return [round(float(score), 6) for score in result.scores]


def test_scores_in_the_order_of_the_labels() -> None:
    assert scores({"s": [0.2, 0.5, 0.3]}, scores="$.s") == [0.2, 0.5, 0.3]
    assert scores([20, 50, 30.0], scores="$", percent=True) == [0.2, 0.5, 0.3]


def test_scores_by_name() -> None:
    assert scores({"7": 0.3, "dog": 0.5, "cat": 0.2}, scores="$") == [0.2, 0.5, 0.3]
    rows: list[dict[str, Any]] = [{"l": "dog", "s": 0.5}, {"l": 0, "s": 0.2}, {"l": "7", "s": 0.3}]
    told: Any = {"labels": "$[*].l", "scores": "$[*].s"}
    assert scores(rows, **told) == [0.2, 0.5, 0.3]
    assert scores(rows[:1], **told, partial=True) == [0, 0.5, 0]
    counted = [{**row, "l": i} for i, row in zip((2, 1, 3), rows, strict=True)]
    assert scores(counted, **told, first_label=1) == [0.2, 0.5, 0.3]


def test_the_best_class_alone() -> None:
    """Nothing may rest on the scores: the template is partial; but the best class must be the best."""
    assert scores({"l": "dog"}, label="$.l") == [0, 1, 0]
    assert scores({"l": 2, "s": 41}, label="$.l", score="$.s", percent=True) == [0, 0, 0.41]
    (sure,) = reader("classification", label="$.l", score="$.s").results({"l": 1, "s": 0}, 1, None)
    assert isinstance(sure, Classification)
    assert sure.label == 1
    assert reader("classification", label="$.l").template.partial
    assert not reader("classification", scores="$.l").template.partial


def test_rounding_is_forgiven_and_no_more() -> None:
    assert scores([1.00001, 0, -0.00001], scores="$") == [1, 0, 0]
    with pytest.raises(ValueError, match=r"in \[0, 1\], got 0 to 97"):
        scores([97, 2, 0], scores="$")


WRONG: dict[str, tuple[Any, dict[str, Any], str]] = {
    "a class less": ([0.5, 0.5], {"scores": "$"}, r"numbers \(3,\), got \(2,\)"),
    "an unknown name": ({"l": "bird"}, {"label": "$.l"}, "class 'bird' is none of the template's 3 labels"),
    "an unknown number": ({"l": 3}, {"label": "$.l"}, "class '3' is none"),
    "a negative number": ({"l": -1}, {"label": "$.l"}, "none of the template's 3"),
    "a truth value": ({"l": True}, {"label": "$.l"}, "none of the template's 3"),
    "a fraction": ({"l": 1.5}, {"label": "$.l"}, "none of the template's 3"),
    "a list": ({"l": ["dog"]}, {"label": "$.l"}, "none of the template's 3"),
    "some classes only": ({"dog": 0.5}, {"scores": "$"}, "1 of 3 classes have a score; say `partial: true`"),
    "a class twice": (
        {"l": ["dog", 1, 2], "s": [0, 0, 1]},
        {"scores": "$.s", "labels": "$.l"},
        "named once",
    ),
    "more names than scores": ({"l": ["dog"], "s": []}, {"scores": "$.s", "labels": "$.l"}, "as many"),
    "words": (["a", "b", "c"], {"scores": "$"}, "must be numbers"),
    "nothing": ([None, None, None], {"scores": "$"}, "must be finite"),
    "uneven": ([[1], [1, 2], 3], {"scores": "$"}, "must be numbers"),
    "elsewhere": ({"t": []}, {"scores": "$.s"}, r"\$.s leads to nothing: at \$ there is an object with 't'"),
    "one answer for two": ({"p": [[0, 0, 1]]}, {"each": "$.p", "scores": "$"}, r"2 answers at \$.p, got 1"),
    "no list of answers": ({"p": 3}, {"each": "$.p", "scores": "$"}, "got no list"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told(name: str) -> None:
    told, answer, words = WRONG[name]
    with pytest.raises(ValueError, match=words):
        reader("classification", **answer).results(told, 2 if "each" in answer else 1, None)


BOX = np.array([[10, 20, 40, 60], [0, 0, 100, 50]], float)
FORMATS = {
    "xyxy": BOX,
    "yxyx": BOX[:, [1, 0, 3, 2]],
    "xywh": np.array([[10, 20, 30, 40], [0, 0, 100, 50]]),
    "cxcywh": np.array([[25, 40, 30, 40], [50, 25, 100, 50]]),
}


def objects(told: Any, shape: tuple[int, int] = (50, 100), **answer: Any) -> Detections:
    given = {"boxes": "$.b", "scores": "$.s", "labels": "$.l", **answer}
    (result,) = reader("detection", **given).results(told, 1, [shape])
    assert isinstance(result, Detections)
    return result


@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("normalised", [False, True])
def test_boxes_in_every_format(form: str, normalised: bool) -> None:
    sides = [50, 100, 50, 100] if form == "yxyx" else [100, 50, 100, 50]
    boxes = FORMATS[form] / (sides if normalised else [1, 1, 1, 1])
    told = {"b": boxes.tolist(), "s": [0.5, 0.25], "l": ["dog", 0]}
    found = objects(told, format=form, normalised=normalised)
    np.testing.assert_allclose(found.boxes, BOX, rtol=1e-6)
    assert found.labels.tolist() == [1, 0]
    assert found.scores.tolist() == [0.5, 0.25]


def test_boxes_of_four_paths() -> None:
    rows = [{"box": dict(zip("ltrb", box, strict=True)), "p": 50, "c": "cat"} for box in BOX.tolist()]
    sides = [f"$[*].box.{side}" for side in "ltrb"]
    found = objects(rows, boxes=sides, scores="$[*].p", labels="$[*].c", percent=True)
    np.testing.assert_array_equal(found.boxes, BOX)
    assert found.scores.tolist() == [0.5, 0.5]
    assert len(objects([], boxes=sides, scores="$[*].p", labels="$[*].c")) == 0


def test_nothing_found() -> None:
    assert len(objects({"b": [], "s": [], "l": []})) == 0


@pytest.mark.parametrize(
    "told",
    [
        {"b": [[0, 0, 1]], "s": [1], "l": [0]},
        {"b": [[0, 0, 1, 1]], "s": [], "l": [0]},
        {"b": [[0, 0, 1, 1]], "s": [1, 1], "l": [0]},
        {"b": [[0, 0, 1, None]], "s": [1], "l": [0]},
        {"b": [[0, 0, 1, 1e400]], "s": [1], "l": [0]},
        {"b": [[0, 0, 1, 1]], "s": [1], "l": ["bird"]},
        {"b": [[0, 0, 1, 1]], "s": [1], "l": 0},
        {"b": 0, "s": [1], "l": [0]},
    ],
)
def test_objects_that_are_none(told: Any) -> None:
    with pytest.raises((ValueError, TypeError)):
        objects(told)


MAP = np.array([[0, 1, 2], [2, 2, 0]], np.uint8)


def png(labels: Array, mode: str = "L") -> str:
    buffer = io.BytesIO()
    Image.fromarray(labels, "L").convert(mode).save(buffer, "PNG")
    return base64.b64encode(buffer.getvalue()).decode()


MAPS: dict[str, tuple[str, Any]] = {
    "nested": ("nested", MAP.tolist()),
    "png": ("png", png(MAP)),
    "data URL": ("png", "data:image/png;base64," + png(MAP)),
    "runs": ("runs", {"size": [2, 3], "values": [0, 1, 2, 0], "counts": [1, 1, 3, 1]}),
}


def label_map(encoding: str, told: Any) -> Array:
    (result,) = reader("segmentation", map="$.m", encoding=encoding).results({"m": told}, 1, [(2, 3)])
    assert isinstance(result, Segmentation)
    return result.labels


@pytest.mark.parametrize("name", MAPS)
def test_label_maps(name: str) -> None:
    np.testing.assert_array_equal(label_map(*MAPS[name]), MAP)


@pytest.mark.parametrize(
    ("encoding", "told"),
    [
        ("nested", MAP.T.tolist()),
        ("nested", [[0, 1], [2]]),
        ("nested", [[0.5] * 3] * 2),
        ("nested", 3),
        ("png", png(MAP.T.copy())),
        ("png", png(np.zeros((5000, 5000), np.uint8))),
        ("png", png(MAP, "RGB")),
        ("png", "no base64!"),
        ("png", base64.b64encode(b"no picture").decode()),
        ("png", None),
        ("runs", {"size": [10**6, 10**6], "values": [0], "counts": [10**12]}),
        ("runs", {"size": [2, 3], "values": [0], "counts": [5]}),
        ("runs", {"size": [2, 3], "values": [0], "counts": [2**63]}),
        ("runs", {"size": [2, 3]}),
        ("runs", {"size": [3, 2], "values": [0], "counts": [6]}),
        ("runs", 6),
    ],
)
def test_maps_that_are_none(encoding: str, told: Any) -> None:
    with pytest.raises((ValueError, TypeError, KeyError, OverflowError)):
        label_map(encoding, told)


json = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.floats() | st.text(max_size=3),
    lambda t: st.lists(t, max_size=4) | st.dictionaries(st.sampled_from("bslm"), t, max_size=4),
    max_leaves=16,
)
READERS = [
    reader("classification", scores="$.s"),
    reader("classification", scores="$.s", labels="$.l", partial=True),
    reader("classification", label="$.l", score="$.s"),
    reader("detection", boxes="$.b", scores="$.s", labels="$.l"),
    reader("segmentation", map="$.m"),
    reader("segmentation", map="$.m", encoding="runs"),
    reader("segmentation", map="$.m", encoding="png"),
]


@given(st.dictionaries(st.sampled_from("bslm"), json, max_size=4), st.sampled_from(READERS))
def test_any_answer_is_read_or_an_error(told: Any, chosen: Reader) -> None:
    try:
        (result,) = chosen.results(told, 1, [(1, 2)])
    except (ValueError, TypeError, KeyError, OverflowError):
        return
    if isinstance(result, Classification):
        assert result.scores.shape == (3,)
        assert 0 <= result.scores.min() <= result.scores.max() <= 1

"""Templates: what one may say, what is wrong with it in words, and what is sent by it."""

from __future__ import annotations

import base64
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from eval.errors import EvalError
from eval.remote.template import Template, read_template
from eval.remote.template_body import Body, form_of, mime_of
from models.decoding import UnreadableImage, encode_png
from tests.eval.remote.speakers import files_in

PNG = encode_png(np.arange(60, dtype=np.uint8).reshape(4, 5, 3))
GOOD = """
name: pets
version: 2
task: classification
labels: [cat, dog]
request: {path: /predict, body: json, json: {image: "{base64}"}}
answer: {scores: $.scores}
"""


def read(text: str, folder: Path, **files: str) -> Template:
    path = folder / "api.yaml"
    path.write_text(text, encoding="utf-8")
    for name, content in files.items():
        (folder / f"{name}.txt").write_text(content, encoding="utf-8")
    return read_template(path)


def test_a_template_is_read(tmp_path: Path) -> None:
    template = read(GOOD, tmp_path)
    assert (template.name, template.version, template.task) == ("pets", 2, "classification")
    assert template.labels == ("cat", "dog")
    assert not template.partial


def test_labels_in_a_file_beside_it(tmp_path: Path) -> None:
    text = GOOD.replace("labels: [cat, dog]", "labels_file: names.txt")
    assert read(text, tmp_path, names="cat\nbig dog\n\n").labels == ("cat", "big dog")


def test_numbers_are_names(tmp_path: Path) -> None:
    assert read(GOOD.replace("[cat, dog]", "[0, 1]"), tmp_path).labels == ("0", "1")


def test_it_survives_as_json(tmp_path: Path) -> None:
    """As it goes to workers elsewhere."""
    template = read(GOOD, tmp_path)
    assert Template.model_validate_json(template.model_dump_json(by_alias=True)) == template


WRONG = {
    "no YAML": ("a: [", "must be YAML"),
    "a list": ("- a", "the template: "),
    "nothing": ("", "the template: "),
    "a tag": ("!!python/object/apply:os.system ['true']", "must be YAML"),
    "another key": (GOOD + "mood: good", "mood: "),
    "another task": (GOOD.replace("classification", "poetry"), "task: "),
    "no labels": (GOOD.replace("labels: [cat, dog]", ""), "labels or labels_file must be given"),
    "labels that are answers": (GOOD.replace("[cat, dog]", "[yes, no]"), "labels.0: "),
    "a label twice": (GOOD.replace("[cat, dog]", "[cat, cat]"), "labels must differ, got 'cat' twice"),
    "labels twice": (GOOD + "labels_file: names.txt", "and not both"),
    "a file that is not there": (
        GOOD.replace("labels: [cat, dog]", "labels_file: gone.txt"),
        "gone.txt cannot be read",
    ),
    "a path that is none": (GOOD.replace("$.scores", "scores"), "answer.scores: a path must begin with $"),
    "no place": (GOOD.replace("{base64}", "base64"), "request: json must hold one of {base64}"),
    "two places": (GOOD.replace('"{base64}"', '["{base64}", "{pixels}"]'), "once, got 2"),
    "no list for several": (GOOD.replace("body:", "images: 2, body:"), "in a list of one element"),
    "raw for several": (
        GOOD.replace('body: json, json: {image: "{base64}"}', "images: 2, body: raw"),
        "images must be 1 where the body is raw",
    ),
    "json that is not sent": (GOOD.replace("body: json", "body: raw"), "json must be left out"),
    "a path without a slash": (GOOD.replace("/predict", "predict"), "path must begin with /"),
    "another method": (GOOD.replace("body:", "method: DELETE, body:"), "request.method: "),
    "several without each": (
        GOOD.replace("body: json, json", "images: 2, body: json, json").replace('"{base64}"', '["{base64}"]'),
        "answer must say with `each`",
    ),
    "boxes of a classifier": (GOOD.replace("{scores:", "{boxes: $.b, scores:"), "of a classification are"),
    "nothing to find": (GOOD.replace("{scores: $.scores}", "{}"), "got none"),
    "scores and a label": (GOOD.replace("{scores:", "{label: $.l, scores:"), "not both"),
    "a detector without labels": (GOOD.replace("classification", "detection"), "boxes and scores and labels"),
    "NaN in a body": (GOOD.replace("{image:", "{t: .nan, image:"), None),
    "a date in a body": (GOOD.replace("{image:", "{t: 2020-01-01, image:"), None),
    "a number as a key": (GOOD.replace("{image:", "{3: a, image:"), "json must be plain"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_told_in_one_line(name: str, tmp_path: Path) -> None:
    text, words = WRONG[name]
    if words is None:  # JSON has a way to write it
        read(text, tmp_path)
        return
    with pytest.raises(EvalError) as caught:
        read(text, tmp_path)
    assert words in str(caught.value)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_small_file_that_is_a_huge_tree(tmp_path: Path) -> None:
    """YAML's aliases: ten lists of ten of the one before."""
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10)]
    bomb = "{" + ", ".join(line.replace(": &", ": &", 1) for line in lines) + ', image: "{base64}"}'
    with pytest.raises(EvalError, match="at most 10000 values"):
        read(GOOD.replace('{image: "{base64}"}', bomb), tmp_path)


keys = st.sampled_from(
    ["name", "version", "task", "labels", "labels_file",
     "request", "answer", "path", "body", "json", "images",
     "scores", "label", "boxes", "each", "format", "field", "headers", "query", "x"]
)  # fmt: skip
scalars = (
    st.none() | st.booleans() | st.integers(-2, 2000) | st.floats() | st.text(max_size=8)
    | st.sampled_from(["classification", "json", "raw", "$.a", "$[*]", "{base64}", "{pixels}", "/p", "a"])
)  # fmt: skip
trees = st.recursive(
    scalars, lambda t: st.lists(t, max_size=3) | st.dictionaries(keys, t, max_size=6), max_leaves=20
)


@given(st.dictionaries(keys, trees, max_size=8), st.booleans())
def test_any_tree_is_a_template_or_an_error(tree: dict[str, Any], mixed: bool) -> None:

    told = {**yaml.safe_load(GOOD), **tree} if mixed else tree
    with tempfile.TemporaryDirectory() as folder:
        words, template = "", None
        try:
            template = read(yaml.safe_dump(told), Path(folder))
        except EvalError as error:
            words = str(error)
    assert len(words.splitlines()) == (template is None)
    if template is not None and template.request.body == "json":
        orjson.loads(Body.of(template.request.value, template.request.images).filled([PNG]))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_template_or_an_error(data: bytes) -> None:

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "t.yaml"
        path.write_bytes(data)
        with pytest.raises(EvalError):
            read_template(path)


B64 = base64.b64encode(PNG).decode()
BODIES: dict[str, tuple[Any, int, Any]] = {
    "one": ({"a": {"b": ["{base64}"]}, "c": 1}, 1, {"a": {"b": [B64]}, "c": 1}),
    "alone": ("{base64}", 1, B64),
    "a data URL": ({"url": "{data_url}"}, 1, {"url": f"data:image/png;base64,{B64}"}),
    "pixels": ({"p": "{pixels}"}, 1, {"p": np.arange(60).reshape(4, 5, 3).tolist()}),
    "several": ({"i": [{"b64": "{base64}", "n": 1}], "z": []}, 3, {"i": [{"b64": B64, "n": 1}] * 3, "z": []}),
    "several, plain": (["{base64}"], 3, [B64] * 3),
    "the innermost list": ([[{"a": ["{base64}"]}]], 3, [[{"a": [B64] * 3}]]),
    "beside others": ({"i": [["{base64}"], 2]}, 3, {"i": [[B64] * 3, 2]}),
    "odd text": ({'quo"te\n': "\\u0000", "a": "{base64}"}, 1, {'quo"te\n': "\\u0000", "a": B64}),
}


@pytest.mark.parametrize("name", BODIES)
def test_the_picture_is_put_into_its_place(name: str) -> None:
    value, images, expected = BODIES[name]
    assert orjson.loads(Body.of(value, images).filled([PNG] * images)) == expected


def test_what_is_no_picture_has_no_pixels() -> None:
    with pytest.raises(UnreadableImage):
        Body.of("{pixels}", 1).filled([b"no picture"])


def test_a_form_says_what_its_files_are() -> None:
    body, kind = form_of([PNG, b"\xff\xd8\xffjpeg"], "files[]")
    assert files_in(body) == [PNG, b"\xff\xd8\xffjpeg"]
    assert body.count(b'name="files[]"; filename="i"') == 2
    assert body.index(b"content-type: image/png") < body.index(b"content-type: image/jpeg")
    assert body.startswith(b"--" + kind.partition("boundary=")[2].encode())


def test_a_file_is_known_by_its_first_bytes() -> None:
    assert mime_of(PNG) == "image/png"
    assert mime_of(b"RIFF....WEBP") == "image/webp"
    assert mime_of(b"no picture") == "application/octet-stream"

"""Pictures over the Open Inference Protocol: files or pixels, every way the same answer, exactly."""

from __future__ import annotations

import base64
import io
import struct
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from models.columns import from_columns
from models.decoding import decode, encode_png, peek
from models.repository import open_version, read_version
from models.results import Array, Classification, Detections, Result, Segmentation
from models.wire import results_of
from tests.contract.documented import documented
from tests.contract.running import started
from tests.contract.test_service import assert_error, bomb
from tests.contract.v2 import LENGTH, Told, described, infer, post, read, send

ROUTES = {"lamp": "/classify", "frame": "/detect", "shade": "/segment"}


@pytest.fixture(scope="module")
def client(typed_root: Path) -> Iterator[TestClient]:
    limits: dict[str, Any] = {"max_body_bytes": 600_000, "max_images": 8, "max_pixels": 100_000, "poll_s": 0}
    with started(typed_root, **limits) as client, documented(client):
        yield client


def pixels(height: int = 13, width: int = 17, seed: int = 0) -> Array:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def saved(image: Array, kind: str = "JPEG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, kind, **options)
    return buffer.getvalue()


def grey(level: int, height: int = 10, width: int = 20) -> bytes:
    return encode_png(np.full((height, width, 3), level, np.uint8))


def in_json(*files: bytes) -> dict[str, Any]:
    """A request with files as base64 in JSON."""
    data = [base64.b64encode(file).decode() for file in files]
    return {"inputs": [{**described(files), "data": data, "parameters": {"content_type": "base64"}}]}


def whole_body(client: TestClient, model: str, file: bytes, **headers: str) -> Told:
    return read(client.post(f"/v2/models/{model}/infer", content=file, headers=headers))


WAYS: dict[str, Callable[[TestClient, str, bytes], Told]] = {
    "bytes": lambda client, model, file: infer(client, model, [file]),
    "bytes, answered in bytes": lambda client, model, file: infer(
        client, model, [file], parameters={"binary_data_output": True}
    ),
    "base64": lambda client, model, file: read(post(client, model, in_json(file))),
    "pixels": lambda client, model, file: infer(client, model, decode(file)[None]),
    "pixels in JSON": lambda client, model, file: infer(client, model, decode(file)[None], binary=False),
    "header 0": lambda client, model, file: whole_body(client, model, file, **{LENGTH: "0"}),
    "image/*": lambda client, model, file: whole_body(client, model, file, **{"content-type": "image/x"}),
}
FILES = {
    "jpeg": saved(pixels()),
    "grey jpeg": saved(pixels()[..., 0]),
    "turned jpeg": saved(pixels(), exif=b"Exif\0\0MM\0*\0\0\0\x08\0\1\1\x12\0\3\0\0\0\1\0\6\0\0\0\0\0\0"),
    "small jpeg": saved(pixels(5, 40)),
    "png": encode_png(pixels()),
    "large png": encode_png(pixels(150, 200)),
    "webp": saved(pixels(), "WEBP", lossless=True),
    "tiff": saved(pixels(), "TIFF"),
}


def same(one: Result, other: Result) -> bool:
    match one, other:
        case Classification(), Classification():
            return np.array_equal(one.scores, other.scores)
        case Detections(), Detections():
            names = ("boxes", "scores", "labels")
            return all(np.array_equal(getattr(one, n), getattr(other, n)) for n in names)
        case Segmentation(), Segmentation():
            return np.array_equal(one.labels, other.labels)
    return False


def typed(client: TestClient, model: str, *files: bytes) -> Sequence[Result]:
    """The answers of the task's own route, whole."""
    more = {"/classify": {"scores": "true"}, "/detect": {"score_threshold": "0"}}.get(ROUTES[model], {})
    sent = [("image", ("i", file)) for file in files]
    told = client.post(ROUTES[model], files=sent, data={"model": model, **more}).json()
    return results_of(told, told["task"], [peek(file).width * peek(file).height for file in files])


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("model", ROUTES)
def test_every_way_gives_exactly_the_answer_of_the_predictor(
    client: TestClient, typed_root: Path, model: str, file: str
) -> None:
    data = FILES[file]
    version = read_version(max((typed_root / model).iterdir()))
    (wanted,) = open_version(version).predict([decode(data)])
    (told,) = typed(client, model, data)
    assert same(told, wanted)
    for name, ask in WAYS.items():
        (got,) = from_columns(version.card.task, ask(client, model, data).outputs, 1)
        assert same(got, wanted), name


def test_a_picture_alone_is_answered_in_json_and_a_raw_request_in_bytes(client: TestClient) -> None:
    """The protocol wants bytes for the second; who sends the first by hand wants to read the answer."""
    path = "/v2/models/lamp/infer"
    plain = client.post(path, content=FILES["png"], headers={"content-type": "image/png"})
    assert LENGTH not in plain.headers
    assert len(plain.json()["outputs"][0]["data"]) == 2
    raw = client.post(path, content=FILES["png"], headers={"content-type": "image/png", LENGTH: "0"})
    assert int(raw.headers[LENGTH]) < len(raw.content)


@pytest.mark.parametrize("model", ROUTES)
def test_several_pictures_come_back_in_order(client: TestClient, model: str) -> None:
    files = [grey(level) for level in (0, 250, 90, 30, 255, 1, 200)]
    wanted = typed(client, model, *files)
    task: Any = {"lamp": "classification", "frame": "detection", "shade": "segmentation"}[model]
    for told in (infer(client, model, files), read(post(client, model, in_json(*files)))):
        got = from_columns(task, told.outputs, len(files))
        assert all(same(g, w) for g, w in zip(got, wanted, strict=True))


def test_a_prepared_tensor_and_its_picture_are_the_same(client: TestClient) -> None:
    image = pixels(8, 8)
    prepared = (image.astype(np.float32) / np.float32(255)).transpose(2, 0, 1)[None]
    for model, output in (("lamp", "answer.scores"), ("frame", "answer.boxes"), ("shade", "answer.labels")):
        own = infer(client, model, np.ascontiguousarray(prepared), outputs=[{"name": output}])
        assert np.array_equal(own.outputs[output], infer(client, model, image[None]).outputs[output])


def test_pictures_give_the_graphs_own_outputs_too_where_they_are_asked_for(client: TestClient) -> None:
    told = infer(client, "lamp", [grey(255)], outputs=[{"name": "logits"}]).outputs
    assert told["logits"].tolist() == [[-4.0, 4.0]]


def test_pixels_of_the_graphs_own_type_and_shape_are_its_tensor(client: TestClient) -> None:
    """A graph of uint8 rows: other sizes are pictures, its own size in its own layout is not."""
    own = pixels(8, 8).transpose(2, 0, 1)[None]
    assert list(infer(client, "echo-uint8", np.ascontiguousarray(own)).outputs)[:2] == ["logits", "echo"]
    assert list(infer(client, "echo-uint8", pixels(8, 8)[None]).outputs) == ["answer.scores"]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "uint8", "int32", "int64"])
def test_pictures_are_cast_to_what_the_graph_takes(client: TestClient, dtype: str) -> None:
    image = pixels(8, 8)
    levels = image.transpose(2, 0, 1)[None]
    wanted = levels if "int" in dtype else levels.astype(np.float32) / np.float32(255)
    got = infer(client, f"echo-{dtype}", [encode_png(image)], outputs=[{"name": "echo"}]).outputs["echo"]
    assert got.dtype == dtype
    assert np.array_equal(got, wanted.astype(dtype))


def test_nothing_found_is_no_boxes(client: TestClient) -> None:
    for parameters in ({}, {"binary_data_output": True}):
        told = infer(client, "frame", [grey(0), grey(1)], parameters=parameters)
        assert {o["name"]: o["shape"] for o in told.json["outputs"]} == {
            "answer.boxes": [0, 4],
            "answer.scores": [0],
            "answer.labels": [0],
            "answer.images": [0],
        }
        assert told.outputs["answer.boxes"].shape == (0, 4)
    found = infer(client, "frame", [grey(0), grey(250), grey(0), grey(255, 5, 5)]).outputs
    assert found["answer.images"].tolist() == [1, 3]
    assert found["answer.boxes"].tolist() == [[0, 0, 20, 10], [0, 0, 5, 5]]


def test_label_maps_need_pictures_of_one_size(client: TestClient) -> None:
    told = infer(client, "shade", [grey(0), grey(255)]).outputs["answer.labels"]
    assert told.dtype == np.uint8
    assert told.shape == (2, 10, 20)
    assert [told[0].max(), told[1].min()] == [0, 1]
    response = send(client, "shade", [grey(0), grey(0, 11, 20)])
    assert_error(response, 422, "unusable")
    assert "one size" in response.json()["error"]
    both = infer(client, "shade", [grey(0), grey(0, 11, 20)], outputs=[{"name": "logits"}])
    assert both.outputs["logits"].shape == (2, 2, 8, 8)  # the graph's own always have one


BAD: dict[str, tuple[bytes, int, str]] = {
    "text": (b"hello", 422, "undecodable_image"),
    "nothing": (b"", 422, "undecodable_image"),
    "truncated": (FILES["jpeg"][:-40], 422, "undecodable_image"),
    "as long as a tensor": (bytes(768), 422, "undecodable_image"),
    "bomb": (bomb(), 413, "image_too_large"),
}


@pytest.mark.parametrize("name", BAD)
def test_files_that_are_no_pictures_are_refused_in_every_way(client: TestClient, name: str) -> None:
    data, status, code = BAD[name]
    path = "/v2/models/lamp/infer"
    assert_error(send(client, "lamp", [data]), status, code)
    assert_error(post(client, "lamp", in_json(data)), status, code)
    assert_error(client.post(path, content=data, headers={"content-type": "image/png"}), status, code)
    assert_error(send(client, "lamp", [grey(0), data, grey(0)]), status, code)


def test_pixels_of_all_pictures_together_are_limited(client: TestClient) -> None:
    large = encode_png(np.zeros((200, 300, 3), np.uint8))
    assert infer(client, "lamp", [large]).outputs
    assert_error(send(client, "lamp", [large, large]), 413, "image_too_large")
    assert infer(client, "lamp", np.zeros((2, 200, 250, 3), np.uint8)).outputs
    assert_error(send(client, "lamp", np.zeros((2, 200, 251, 3), np.uint8)), 413, "image_too_large")
    assert_error(send(client, "lamp", np.zeros((1, 0, 9, 3), np.uint8)), 400, "bad_tensor")


def test_images_are_counted(client: TestClient) -> None:
    assert_error(send(client, "lamp", [grey(0)] * 9), 413, "too_many_images")
    assert_error(send(client, "lamp", np.zeros((9, 4, 4, 3), np.uint8)), 413, "too_many_images")
    assert_error(send(client, "lamp", []), 422, "no_image")


def test_a_timeout_that_is_over_is_told(client: TestClient) -> None:
    for sent in ([FILES["jpeg"]], [grey(0)], np.zeros((1, 3, 8, 8), np.float32)):
        for _ in range(9):  # what is known to be short is run in another way
            assert infer(client, "lamp", sent).outputs
        response = send(client, "lamp", sent, parameters={"timeout": 1})
        assert (response.status_code, response.json()["code"]) in {(503, "expired"), (504, "too_late")}


def test_base64_must_be_base64(client: TestClient) -> None:
    for text in ("ä", "QQ", "Q Q=", "QQ==\n"):
        body = in_json(b"")
        body["inputs"][0]["data"] = [text]
        assert_error(post(client, "lamp", body), 400, "bad_tensor")


def test_elements_must_fill_the_bytes_exactly(client: TestClient) -> None:
    file = grey(0)
    for data in (
        struct.pack("<I", len(file) + 1) + file,
        struct.pack("<I", len(file) - 1) + file,
        struct.pack("<I", 2**32 - 1) + file,
        b"\x01\x00\x00",
        b"",
        struct.pack("<I", len(file)) + file + struct.pack("<I", 0),
    ):
        told = {"inputs": [{**described([file]), "parameters": {"binary_data_size": len(data)}}]}
        assert_error(post(client, "lamp", told, data), 400, "bad_tensor")

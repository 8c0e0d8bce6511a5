"""The service answers right, and every failure on every route has the one shape."""

from __future__ import annotations

import io
import json
import resource
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from starlette.testclient import TestClient

from models.decoding import decode, encode_png
from models.wire import ClassifyAnswer, DetectAnswer, SegmentAnswer
from service.telemetry import ROUTES
from tests.contract.documented import documented
from tests.contract.running import started

TASKS = {"/classify": "lamp", "/detect": "frame", "/segment": "shade"}
LIGHT = encode_png(np.full((10, 20, 3), 230, np.uint8))
DARK = encode_png(np.full((10, 20, 3), 20, np.uint8))


@pytest.fixture(scope="module")
def client(repository: Path) -> Iterator[TestClient]:
    limits: dict[str, Any] = {"max_body_bytes": 200_000, "max_images": 8, "max_pixels": 1_000_000}
    with started(repository, **limits) as client, documented(client):
        yield client


def sent(client: TestClient, route: str, *pictures: bytes, query: str = "", **form: str) -> Any:
    files = [("image", ("i.png", picture)) for picture in pictures]
    return client.post(route + query, files=files, data=form)


def assert_error(response: Any, status: int, code: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert set(body) == {"error", "code", "status", "request_id"}
    assert (body["code"], body["status"]) == (code, status)
    assert isinstance(body["error"], str)
    assert body["error"]
    assert body["request_id"] == response.headers["x-request-id"]


def test_classify(client: TestClient) -> None:
    body = sent(client, "/classify", LIGHT, DARK, scores="true").json()
    ClassifyAnswer.model_validate(body)
    assert [p["name"] for p in body["predictions"]] == ["light", "dim"]
    assert (body["model"], body["version"]) == ("lamp", 2)  # the latest
    assert sum(body["predictions"][0]["scores"]) == pytest.approx(1)


def test_detect(client: TestClient) -> None:
    body = sent(client, "/detect", LIGHT, DARK).json()
    DetectAnswer.model_validate(body)
    assert body["predictions"][0]["boxes"] == [[0, 0, 20, 10]]
    assert body["predictions"][1]["boxes"] == []  # 0.08 is under the route's threshold of 0.3
    low = sent(client, "/detect", DARK, query="?score_threshold=0.05").json()
    assert len(low["predictions"][0]["boxes"]) == 1


def test_segment(client: TestClient) -> None:
    half = np.zeros((10, 20, 3), np.uint8)
    half[:, 10:] = 255
    (prediction,) = sent(client, "/segment", encode_png(half)).json()["predictions"]
    SegmentAnswer.model_validate(sent(client, "/segment", encode_png(half)).json())
    assert prediction["size"] == [10, 20]
    assert {region["name"]: region["pixels"] for region in prediction["classes"]} == {
        "dim": 100,
        "light": 100,
    }


@pytest.mark.parametrize("route", TASKS)
def test_a_raw_body_is_one_image(client: TestClient, route: str) -> None:
    raw = client.post(route, content=LIGHT, headers={"content-type": "image/png"})
    assert raw.json() == sent(client, route, LIGHT).json()


def test_a_named_version_answers(client: TestClient) -> None:
    assert sent(client, "/classify", LIGHT, model="lamp", version="1").json()["version"] == 1
    assert sent(client, "/classify", LIGHT, query="?model=lamp&version=1").json()["version"] == 1


def test_more_images_than_a_batch(client: TestClient) -> None:
    body = sent(client, "/classify", *[LIGHT, DARK] * 4).json()
    assert [p["name"] for p in body["predictions"]] == ["light", "dim"] * 4


def bomb() -> bytes:
    """A PNG of 20,000 x 20,000 pixels in a few hundred kilobytes at most."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", 20_000, 20_000, 1, 0, 0, 0, 0)
    rows = zlib.compress(bytes(2501) * 20_000, 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", rows) + chunk(b"IEND", b"")


def jpeg() -> bytes:
    buffer = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (80, 80, 3), dtype=np.uint8)
    Image.fromarray(noise).save(buffer, "JPEG")
    return buffer.getvalue()


MULTIPART = "multipart/form-data; boundary=B"
PART = b'--B\r\ncontent-disposition: form-data; name="image"; filename="i"\r\n\r\n'
BAD_FILES = {
    "text": (b"hello", 422, "undecodable_image"),
    "a url": (b"http://127.0.0.1:1/i.png", 422, "undecodable_image"),
    "nothing": (b"", 422, "undecodable_image"),
    "truncated": (jpeg()[:900], 422, "undecodable_image"),
    "bomb": (bomb(), 413, "image_too_large"),
    "too many pixels": (encode_png(np.zeros((1100, 1000, 3), np.uint8)), 413, "image_too_large"),
    "svg": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", 422, "undecodable_image"),
}
BAD_BODIES: dict[str, tuple[str, bytes, int, str]] = {
    "no content type": ("", LIGHT, 415, "unsupported_body"),
    "json": ("application/json", b"{}", 415, "unsupported_body"),
    "form": ("application/x-www-form-urlencoded", b"image=http://127.0.0.1:1/", 415, "unsupported_body"),
    "pickle": ("application/vnd.bentoml+pickle", b"\x80\x04.", 415, "unsupported_body"),
    "no boundary": ("multipart/form-data", PART, 400, "bad_request"),
    "huge boundary": ("multipart/form-data; boundary=" + "B" * 70_000, PART, 400, "bad_request"),
    "cut short": (MULTIPART, PART + LIGHT, 400, "bad_request"),
    "not multipart": (MULTIPART, b"hello", 400, "bad_request"),
    "no image": (MULTIPART, b"--B--\r\n", 422, "no_image"),
    "text for a file": (
        MULTIPART,
        b'--B\r\ncontent-disposition: form-data; name="image"\r\n\r\nhttp://127.0.0.1:1/\r\n--B--\r\n',
        422,
        "no_image",
    ),
    "another field": (
        MULTIPART,
        PART.replace(b"image", b"photo") + LIGHT + b"\r\n--B--\r\n",
        422,
        "bad_parameter",
    ),
    "1,100 parts": (MULTIPART, (PART + b"x\r\n") * 1100 + b"--B--\r\n", 413, "too_many_images"),
    "huge part header": (
        MULTIPART,
        b"--B\r\nx: " + b"y" * 9000 + b"\r\n\r\n\r\n--B--\r\n",
        400,
        "bad_request",
    ),
    "oversized": ("image/png", bytes(200_001), 413, "too_large"),
}
BAD_PARAMETERS = {
    "?model=nope": (404, "unknown_model"),
    "?model=../../etc/passwd": (404, "unknown_model"),
    "?version=7": (404, "unknown_model"),
    "?version=0": (422, "bad_parameter"),
    "?version=1&version=2": (422, "bad_parameter"),
    "?colour=red": (422, "bad_parameter"),
    "?model=" + "x" * 65: (422, "bad_parameter"),
}


@pytest.fixture(autouse=True)
def healthy_after(client: TestClient) -> Iterator[None]:
    """Whatever a test sent, the service answers the next caller."""
    yield
    assert sent(client, "/classify", LIGHT).json()["predictions"][0]["name"] == "light"


@pytest.mark.parametrize("name", BAD_FILES)
@pytest.mark.parametrize("route", TASKS)
def test_bad_files(client: TestClient, route: str, name: str) -> None:
    data, status, code = BAD_FILES[name]
    assert_error(sent(client, route, data), status, code)


@pytest.mark.parametrize("name", BAD_BODIES)
@pytest.mark.parametrize("route", TASKS)
def test_bad_bodies(client: TestClient, route: str, name: str) -> None:
    kind, data, status, code = BAD_BODIES[name]
    headers = {"content-type": kind} if kind else {}
    assert_error(client.post(route, content=data, headers=headers), status, code)


@pytest.mark.parametrize("query", BAD_PARAMETERS)
@pytest.mark.parametrize("route", TASKS)
def test_bad_parameters(client: TestClient, route: str, query: str) -> None:
    assert_error(sent(client, route, LIGHT, query=query), *BAD_PARAMETERS[query])


@pytest.mark.parametrize("value", ["nan", "-1", "0", "inf", "1e400", "two", "1001"])
def test_bad_top_k(client: TestClient, value: str) -> None:
    assert_error(sent(client, "/classify", LIGHT, top_k=value), 422, "bad_parameter")


@pytest.mark.parametrize("value", ["nan", "-0.1", "inf", "1.01", ""])
def test_bad_threshold(client: TestClient, value: str) -> None:
    assert_error(sent(client, "/detect", LIGHT, score_threshold=value), 422, "bad_parameter")


def test_one_bad_image_names_no_other(client: TestClient) -> None:
    assert_error(sent(client, "/classify", LIGHT, b"text"), 422, "undecodable_image")


def test_another_task(client: TestClient) -> None:
    assert_error(sent(client, "/detect", LIGHT, model="lamp"), 409, "wrong_task")


def test_a_body_without_a_length_is_limited_too(client: TestClient) -> None:
    chunks = (bytes(50_000) for _ in range(5))
    response = client.post("/classify", content=chunks, headers={"content-type": "image/png"})
    assert_error(response, 413, "too_large")


@pytest.mark.parametrize(
    "path",
    [
        "/nothing",
        "/classify/more",
        "/v2/nothing",
        "/v2/models/lamp/nothing",
        "/models/lamp",
        "/%2e%2e/secret",
    ],
)
def test_unknown_paths(client: TestClient, path: str) -> None:
    assert_error(client.get(path), 404, "unknown_route")


@pytest.mark.parametrize("route", [*TASKS, "/models", "/metrics"])
def test_wrong_methods(client: TestClient, route: str) -> None:
    assert_error(client.delete(route), 405, "wrong_method")


def test_a_bomb_is_not_decoded(client: TestClient) -> None:
    """Its pixels would take 1.2 GB as RGB."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert_error(sent(client, "/classify", bomb()), 413, "image_too_large")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100_000  # kilobytes


@pytest.mark.parametrize(
    ("offered", "kept"),
    [("abc-1.2_3", True), ("a b", False), ("x" * 65, False), ('"}\r\n', False), ("", False)],
)
def test_request_ids(client: TestClient, offered: str, kept: bool) -> None:
    try:
        response = client.get("/models", headers={"x-request-id": offered})
    except ValueError:  # the client refuses a line break before we can
        return
    given = response.headers["x-request-id"]
    assert (given == offered) is kept
    assert 1 <= len(given) <= 64


def test_models_are_listed(client: TestClient) -> None:
    body = client.get("/models").json()
    assert [(m["name"], m["version"], m["state"]) for m in body["models"]] == [
        ("frame", 1, "ready"),
        ("lamp", 1, "ready"),
        ("lamp", 2, "ready"),
        ("shade", 1, "ready"),
    ]
    assert body["models"][1]["labels"] == ["dim", "light"]


def test_health(client: TestClient) -> None:
    assert client.get("/livez").status_code == 200
    assert client.get("/readyz").status_code == 200


def test_openapi_documents_the_routes(client: TestClient) -> None:
    told = client.get("/docs.json").json()
    for route in TASKS:
        content = told["paths"][route]["post"]["requestBody"]["content"]
        assert "multipart/form-data" in content
    assert json.dumps(told).count("One image file or several")


def series(client: TestClient) -> set[str]:
    return {
        line.split(" ")[0] for line in client.get("/metrics").text.splitlines() if not line.startswith("#")
    }


def test_a_path_scan_makes_no_new_series(client: TestClient) -> None:
    client.get("/scan")
    sent(client, "/classify", LIGHT)
    series(client)  # being asked is counted too
    before = series(client)
    for i in range(300):
        client.get(f"/scan/{i}")
        sent(client, "/classify", LIGHT, query=f"?model=m{i}")
    grown = series(client) - before
    assert all('route="/classify",status="404"' in name for name in grown), grown
    routes = {name.split('route="')[1].split('"')[0] for name in before if 'route="' in name}
    assert routes <= {*ROUTES, "other"}


def test_metrics_count(client: TestClient) -> None:
    def images() -> float:
        lines = client.get("/metrics").text.splitlines()
        wanted = 'assay_images_total{model="lamp",version="2"}'
        return next((float(line.split()[-1]) for line in lines if line.startswith(wanted)), 0.0)

    before = images()
    sent(client, "/classify", LIGHT, DARK, LIGHT)
    assert images() == before + 3


@pytest.mark.parametrize("route", TASKS)
def test_the_answer_can_be_drawn(client: TestClient, route: str) -> None:
    picture = np.full((60, 80, 3), 230, np.uint8)
    files = [("image", ("i.png", encode_png(picture)))]
    accept = {"accept": "image/png"}
    response = client.post(route, files=files, headers=accept)
    assert response.headers["content-type"] == "image/png"
    shown = decode(response.content)
    assert shown.shape == picture.shape
    assert (shown != picture).any()
    assert_error(client.post(route, files=files * 2, headers=accept), 422, "unusable")

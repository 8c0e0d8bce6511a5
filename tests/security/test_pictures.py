"""A1 to A4: pictures that are larger, more or other than they seem."""

from __future__ import annotations

import io
import json
import random
import time
import zipfile

import pytest

from tests.security.attack import (
    DARK,
    HEAD,
    LIGHT,
    MB,
    ROUTES,
    Answer,
    assert_refused,
    grows_at_most,
    healthy_neighbour,
    infer,
    post,
    send,
    send_all,
)
from tests.security.pictures import (
    BOMBS,
    FRAMES,
    HIDDEN,
    SEEDS,
    STRANGERS,
    png,
    scans,
    thin,
    tiff,
)


def multipart(*pictures: bytes) -> bytes:
    """A form; its boundary is `B`."""
    head = b'--B\r\ncontent-disposition: form-data; name="image"; filename="i"\r\n\r\n'
    return b"".join(head + picture + b"\r\n" for picture in pictures) + b"--B--\r\n"


def form(route: str, *pictures: bytes) -> bytes:
    return post(route, multipart(*pictures), kind="multipart/form-data; boundary=B")


def as_bytes(model: str, *pictures: bytes) -> bytes:
    """The protocol's BYTES, in the binary part."""
    data = b"".join(len(picture).to_bytes(4, "little") + picture for picture in pictures)
    told = {"name": "images", "datatype": "BYTES", "shape": [len(pictures)]}
    head = json.dumps({"inputs": [{**told, "parameters": {"binary_data_size": len(data)}}]}).encode()
    return infer(model, head + data, f"{HEAD}: {len(head)}")


def everywhere(picture: bytes) -> list[bytes]:
    """A request for every way to send a picture to every kind of model."""
    return [
        request
        for route, model in ROUTES.items()
        for request in (
            form(f"{route}?model={model}", picture),
            post(f"{route}?model={model}", picture),
            infer(model, picture, kind="image/png"),
            as_bytes(model, picture),
        )
    ]


def first(answer: Answer) -> str:
    return str(answer.json["predictions"][0]["name"])


@pytest.mark.parametrize("name", BOMBS)
def test_a_bomb_is_refused_before_it_is_decoded(url: str, name: str) -> None:
    """A1: 9 to 400 million pixels where one million may be; as RGB they would take 27 MB to 1.2 GB."""
    bomb = BOMBS[name]()
    with grows_at_most(15 * MB, url):
        for answer in send_all(url, everywhere(bomb)):
            assert_refused(answer, 413, "image_too_large")


def test_pixels_are_counted_over_all_pictures_of_a_request(url: str) -> None:
    """A1: each is small enough, together they are not."""
    part = png(1000, 300)
    for request in (form("/classify?model=lamp", *[part] * 4), as_bytes("lamp", *[part] * 4)):
        assert_refused(send(url, request), 413, "image_too_large")
    assert send(url, form("/classify?model=lamp", *[part] * 3)).status == 200


@pytest.mark.parametrize("pixels", [2_000, 16_384, 60_000, 1_000_000])
def test_a_row_of_pixels_is_not_blown_up(url: str, pixels: int) -> None:
    """A1: a hundred bytes; scaled whole to 256 rows, a million pixels would become 65 thousand million."""
    with grows_at_most(60 * MB, url), healthy_neighbour(url):
        answer = send(url, post("/classify?model=middle", thin(pixels)))
        assert answer.status in (200, 413), answer
        assert send(url, infer("middle", thin(pixels), kind="image/png")).status == answer.status


@pytest.mark.parametrize("tile", [4096, 8192])
def test_a_tile_counts_as_a_picture(url: str, tile: int) -> None:
    """A1: 16 x 16 pixels, but a reader makes room for the tile they lie in."""
    with grows_at_most(15 * MB, url):
        for answer in send_all(url, everywhere(tiff(tile))):
            assert_refused(answer, 413, "image_too_large")


def test_scans_without_end_cost_nothing(url: str) -> None:
    """A1: 28,000 passes over all blocks. The largest request would take a slot for twenty minutes."""
    began = time.monotonic()
    for answer in send_all(url, everywhere(scans(1000, 28_000))[:4]):
        assert_refused(answer, 422, "undecodable_image")
    assert time.monotonic() - began < 1


@pytest.mark.parametrize("name", FRAMES)
def test_only_the_first_frame_is_seen(url: str, name: str) -> None:
    """A2: forty frames more change nothing and cost nothing."""
    with grows_at_most(15 * MB, url):
        assert first(send(url, post("/classify?model=lamp", FRAMES[name]()))) == "light"


@pytest.mark.parametrize("name", HIDDEN)
def test_a_load_beside_the_pixels_is_not_unpacked(url: str, name: str) -> None:
    """A3: a hundred megabytes of text or profile in a few kilobytes."""
    picture = HIDDEN[name]()
    with grows_at_most(40 * MB, url), healthy_neighbour(url):
        for answer in send_all(url, everywhere(picture)[:4]):
            assert answer.status == 200 or (answer.status, answer.code) == (422, "undecodable_image"), answer


@pytest.mark.parametrize("name", SEEDS)
def test_a_picture_that_is_cut_short_is_refused(url: str, name: str) -> None:
    """A4."""
    whole = SEEDS[name]
    requests = [post("/classify?model=lamp", whole[: int(len(whole) * part / 20)]) for part in range(19)]
    for answer in send_all(url, requests):
        assert_refused(answer, 422, "undecodable_image")


@pytest.mark.parametrize("name", SEEDS)
def test_a_picture_with_changed_bytes_is_answered_or_refused(url: str, name: str) -> None:
    """A4: never a failure of the service."""
    dice = random.Random(name)
    requests = []
    for _ in range(150):
        broken = bytearray(SEEDS[name])
        for _ in range(dice.choice((1, 3, 30))):
            broken[dice.randrange(len(broken))] = dice.randrange(256)
        requests.append(post("/classify?model=lamp", bytes(broken)))
    for answer in send_all(url, requests):
        assert answer.status in (200, 413, 422), answer


@pytest.mark.parametrize("name", STRANGERS)
def test_what_is_none_of_the_six_formats_is_refused(url: str, name: str) -> None:
    """A4: the first bytes decide, never a name or a content type."""
    for answer in send_all(url, everywhere(STRANGERS[name])):
        assert_refused(answer, 422, "undecodable_image")


def test_what_is_two_things_is_only_a_picture(url: str) -> None:
    """A4: an archive behind a picture is not opened, and nothing of it comes back."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("META-INF/secret.png", DARK)
    for name in ("PNG", "GIF", "JPEG"):
        alone = send(url, post("/classify?model=lamp", SEEDS[name]))
        both = send(url, post("/classify?model=lamp", SEEDS[name] + archive.getvalue()))
        assert (both.status, both.json) == (200, alone.json)
    assert first(send(url, post("/classify?model=lamp", LIGHT + b"<script>"))) == "light"

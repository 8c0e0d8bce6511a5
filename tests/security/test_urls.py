"""A7: no address in a request is ever asked, however it is sent, however many ask at once."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.security.attack import HEAD, ROUTES, get, healthy_neighbour, infer, post, send, send_all

ASKED = 192


@pytest.fixture
def listener() -> Iterator[tuple[int, list[object]]]:
    """A port on this machine, and who connected to it."""
    callers: list[object] = []
    with socket.create_server(("127.0.0.1", 0)) as server:

        def accept() -> None:
            while True:
                try:
                    connection, caller = server.accept()
                except OSError:
                    return
                callers.append(caller)
                connection.close()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        yield server.getsockname()[1], callers
        server.shutdown(socket.SHUT_RDWR)
    thread.join(5)


def typed(bait: str) -> list[tuple[str, str]]:
    """(content type, body) of every form in which a text can be sent where a picture belongs."""
    part = "--B\r\ncontent-disposition: form-data; name="
    form = "multipart/form-data; boundary=B"
    end = "\r\n--B--\r\n"
    return [
        (form, f'{part}"image"\r\n\r\n{bait}{end}'),
        (form, f'{part}"image"\r\ncontent-type: text/uri-list\r\n\r\n{bait}{end}'),
        (form, f'{part}"image"; filename="{bait}"\r\n\r\n{bait}{end}'),
        (form, f'{part}"image"; filename="i.png"\r\ncontent-location: {bait}\r\n\r\nx{end}'),
        (form, f'{part}"url"\r\n\r\n{bait}{end}'),
        ("application/x-www-form-urlencoded", f"image={bait}&url={bait}"),
        ("application/json", json.dumps({"image": bait})),
        ("application/json", json.dumps({"image": [bait]})),
        ("application/json", json.dumps({"image": {"url": bait}})),
        ("image/png", bait),
        ("application/octet-stream", bait),
        ("text/plain", bait),
        ("text/uri-list", bait),
        ('message/external-body; access-type=URL; URL="' + bait + '"', ""),
        ("image/svg+xml", f"<svg xmlns:x='http://www.w3.org/1999/xlink'><image x:href='{bait}'/></svg>"),
    ]


def protocol(bait: str) -> list[bytes]:
    """The same for the Open Inference Protocol: JSON, binary, raw, and settings that could be followed."""
    told = {"name": "images", "datatype": "BYTES", "shape": [1]}
    element = len(bait).to_bytes(4, "little") + bait.encode()
    sized = {**told, "parameters": {"binary_data_size": len(element)}}
    head = json.dumps({"inputs": [sized]}).encode()
    shared = {**told, "parameters": {"shared_memory_region": bait, "shared_memory_byte_size": 9}}
    objects = [
        {"inputs": [{**told, "data": [bait]}]},
        {"inputs": [{**told, "data": [bait], "parameters": {"content_type": "image/png"}}]},
        {"inputs": [{**told, "data": [bait], "parameters": {"content_type": "base64"}}]},
        {"inputs": [shared]},
        {"parameters": {"url": bait}, "inputs": [{**told, "data": [bait]}]},
    ]
    return [
        *(infer("lamp", json.dumps(told).encode()) for told in objects),
        infer("lamp", head + element, f"{HEAD}: {len(head)}"),
        infer("lamp", bait.encode(), f"{HEAD}: 0"),
        infer("lamp", bait.encode(), kind="image/png"),
        infer("lamp", bait.encode(), kind="text/uri-list"),
    ]


def test_no_address_is_ever_asked(url: str, listener: tuple[int, list[object]]) -> None:
    """A7: 192 times each, 32 at a time. A guard that looks an address up first is a race that is lost."""
    port, callers = listener
    bait = f"http://127.0.0.1:{port}/i.png"
    requests = [
        post(f"{route}?model={model}", body.encode(), kind=kind)
        for route, model in ROUTES.items()
        for kind, body in typed(bait)
    ] + protocol(bait)
    with ThreadPoolExecutor(32) as pool, healthy_neighbour(url, slowest_s=5):
        answers = list(pool.map(lambda _: send_all(url, requests), range(ASKED)))
    assert {answer.status for some in answers for answer in some} <= {400, 415, 422, 429}
    assert callers == []


@pytest.mark.parametrize("scheme", ["https", "ftp", "gopher", "file", "data", "unix", "dict", "s3", "gs", ""])
def test_nor_by_another_scheme(url: str, scheme: str, listener: tuple[int, list[object]]) -> None:
    """A7: nor a file of this machine."""
    port, callers = listener
    for rest in (f"//127.0.0.1:{port}/i.png", "///etc/passwd", "image/png;base64,AA=="):
        bait = f"{scheme}:{rest}"
        requests = [post("/classify?model=lamp", body.encode(), kind=kind) for kind, body in typed(bait)]
        for answer in send_all(url, [*requests, *protocol(bait)]):
            assert answer.status in (400, 415, 422), answer
            assert "root" not in answer.body.decode()
    assert callers == []


def test_no_header_sends_the_service_elsewhere(url: str, listener: tuple[int, list[object]]) -> None:
    """A7: proxies, callbacks and absolute addresses in a request line are not followed."""
    port, callers = listener
    there = f"http://127.0.0.1:{port}"
    lines = [f"{name}: {there}/x" for name in ("X-Forwarded-Host", "Forwarded", "Referer", "X-Callback-URL")]
    for request in (get(f"{there}/livez", *lines), get("/livez", *lines, f"Host: 127.0.0.1:{port}")):
        assert send(url, request).status in (200, 400)
    assert send(url, get(f"127.0.0.1:{port}", method="CONNECT")).status in (400, 404, 405)
    assert callers == []

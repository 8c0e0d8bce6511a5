"""The closed-loop cases: how fast, beside whom."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack

from models.repository import Version
from models.results import Array
from tests.bench.serving.answers import Ask, as_base64, as_form, as_picture, as_tensor
from tests.bench.serving.inprocess import in_process
from tests.bench.serving.load import Speed, closed_loop
from tests.bench.serving.plan import Plan, scores_of
from tests.bench.serving.processes import Process
from tests.bench.serving.rounds import OURS, Figures, compared, in_turn
from tests.bench.serving.servers import (
    Server,
    assay,
    cpus,
    infer_path,
    litserve,
    starlette,
    stock_bentoml,
)

__all__ = ["resnet_jpeg640", "resnet_jpeg2000", "tensor", "tiny_png", "typed"]

Start = tuple[AbstractContextManager[Process], Ask]
PREDICT = "/predict"


def _up(stack: ExitStack, starts: dict[str, Start], version: Version, sent: bytes | Array) -> list[Server]:
    """Start all; every one must give the right class before it is measured."""
    label = int(scores_of(version, sent).argmax())
    servers = [Server(name, stack.enter_context(start), ask) for name, (start, ask) in starts.items()]
    for server in servers:
        server.must_answer(label)
    return servers


def _measured(
    case: str,
    servers: list[Server],
    plan: Plan,
    *,
    connections: int,
    seconds: float,
    **others: Callable[[], Speed],
) -> Figures:
    def source(server: Server, seconds: float) -> Speed:
        return closed_loop(server.process.url, server.ask, connections=connections, seconds=seconds)

    for server in servers:
        source(server, plan.seconds(2, 1))  # warm
    sources = {server.name: (lambda server=server: source(server, seconds)) for server in servers}
    return compared(case, in_turn({**sources, **others}, plan.rounds))


def tiny_png(plan: Plan) -> Figures:
    """A 2 kB picture and a net of 0.2 ms: what serving itself costs."""
    version, png = plan.material.tiny, plan.material.png32
    starts: dict[str, Start] = {
        OURS: (_ours(plan, version), as_picture(infer_path(version), png, raw=True)),
        "starlette": (starlette(version, plan.home()), as_picture(PREDICT, png)),
        "bentoml": (stock_bentoml(version, plan.home()), as_form(PREDICT, png)),
        "litserve": (litserve(version, plan.home()), as_base64(PREDICT, png)),
    }
    told: Figures = {}
    with ExitStack() as stack:
        servers = _up(stack, starts, version, png)
        for connections in (1, 8, 32):
            told |= _measured(
                f"tiny_png.c{connections}",
                servers,
                plan,
                connections=connections,
                seconds=plan.seconds(5, 1),
            )
        told |= {f"rss_mb.{server.name}": server.process.rss_mb() for server in servers}
    return told


def typed(plan: Plan) -> Figures:
    """The same picture as a form to a documented, typed route, ours and BentoML's."""
    version, png = plan.material.tiny, plan.material.png32
    starts: dict[str, Start] = {
        OURS: (_ours(plan, version), as_form(f"/classify?model={version.card.name}", png)),
        "bentoml": (stock_bentoml(version, plan.home()), as_form(PREDICT, png)),
    }
    with ExitStack() as stack:
        servers = _up(stack, starts, version, png)
        return _measured("typed.c8", servers, plan, connections=8, seconds=plan.seconds(5, 1))


def tensor(plan: Plan) -> Figures:
    """The same picture as raw pixels: nothing to decode."""
    version, pixels = plan.material.tiny, plan.material.pixels32
    starts: dict[str, Start] = {
        OURS: (_ours(plan, version), as_tensor(infer_path(version), pixels)),
        "starlette": (starlette(version, plan.home()), as_picture("/tensor", pixels.tobytes())),
    }
    with ExitStack() as stack:
        servers = _up(stack, starts, version, pixels)
        return _measured("tensor.c8", servers, plan, connections=8, seconds=plan.seconds(5, 1))


def _big(plan: Plan, version: Version, jpeg: bytes) -> dict[str, Start]:
    """A net worth more than one CPU: each server in the form that fills them best."""
    form = as_form(PREDICT, jpeg, name="picture.jpg", media="image/jpeg")
    return {
        OURS: (_ours(plan, version), as_picture(infer_path(version), jpeg, raw=True)),
        "starlette": (starlette(version, plan.home(), pool=cpus()), as_picture(PREDICT, jpeg)),
        "bentoml": (stock_bentoml(version, plan.home(), threads=0), form),
        "litserve": (litserve(version, plan.home(), workers=cpus()), as_base64(PREDICT, jpeg)),
    }


def resnet_jpeg640(plan: Plan) -> Figures:
    """A photograph and a net of tens of milliseconds: what is left of the machine for the net."""
    version, jpeg = plan.material.resnet18, plan.material.jpeg640
    file = plan.folder / "picture640.jpg"
    file.write_bytes(jpeg)
    seconds = plan.seconds(10, 2)
    root, name = version.folder.parents[1], version.card.name
    with ExitStack() as stack:
        servers = _up(stack, _big(plan, version, jpeg), version, jpeg)
        told = _measured(
            "resnet_jpeg640.c16",
            servers,
            plan,
            connections=16,
            seconds=seconds,
            inprocess=lambda: in_process(root, name, file, seconds),
        )
    return told | _beside_best("resnet_jpeg640.c16", "vs_best_peer", told)


def resnet_jpeg2000(plan: Plan) -> Figures:
    """A large photograph: decoding it costs about as much as the net."""
    version, jpeg = plan.material.resnet18, plan.material.jpeg2000
    with ExitStack() as stack:
        servers = _up(stack, _big(plan, version, jpeg), version, jpeg)
        told = _measured("resnet_jpeg2000.c8", servers, plan, connections=8, seconds=plan.seconds(10, 2))
    return told | _beside_best("resnet_jpeg2000.c8", "vs_pillow_peer", told)


def _beside_best(case: str, name: str, told: Figures) -> Figures:
    """Ours against the fastest peer: the least of the ratios to peers."""
    ratios = [
        float(told[key]) for key in told if key.startswith(f"{case}.vs_") and key != f"{case}.vs_inprocess"
    ]
    return {f"{case}.{name}": min(ratios)} if ratios else {}


def _ours(plan: Plan, version: Version) -> AbstractContextManager[Process]:
    return assay(version.folder.parents[1], plan.home())

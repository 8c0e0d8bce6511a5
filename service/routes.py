"""Which handler answers which path; None where the path is BentoML's."""

from __future__ import annotations

from collections.abc import Mapping

from models.card import TaskName
from service import oip, typed
from service.calls import Call, Reply, json_reply
from service.errors import NotReady, UnknownRoute, WrongMethod
from service.exposition import CONTENT_TYPE_LATEST, exposition
from service.infer import infer
from service.running import Running

__all__ = ["dispatch"]

TYPED: Mapping[str, TaskName] = {
    "/classify": "classification",
    "/detect": "detection",
    "/segment": "segmentation",
}
PLAIN = {"/metrics", "/models", "/docs.json", "/livez", "/readyz", "/healthz"}


async def dispatch(running: Running, call: Call, *, methods: bool) -> Reply | None:
    """The reply to a call, or None where BentoML has it.

    Args:
        methods: answer the typed methods too, instead of leaving them to BentoML's own dispatch.

    Raises:
        ServiceError: whatever goes wrong.
    """
    path = call.path
    if path == "/v2" or path.startswith("/v2/"):
        return await _v2(running, call)
    if path in TYPED and methods:
        _require(call, "POST")
        return await typed.answer(running, call, TYPED[path])
    if path in PLAIN:
        _require(call, "GET")
        return _plain(running, path)
    if "\n" in path:  # BentoML's patterns end before a last line break, and would serve `/livez%0a`
        raise UnknownRoute("nothing is served at a path with a line break")
    return None


def _require(call: Call, method: str) -> None:
    if call.method != method and not (method == "GET" and call.method == "HEAD"):
        raise WrongMethod(f"{call.path[:80]} is asked with {method}, not {call.method[:20]}")


def _plain(running: Running, path: str) -> Reply:
    if path == "/metrics":
        return Reply(exposition(), headers=[(b"content-type", CONTENT_TYPE_LATEST.encode())])
    if path == "/models":
        return json_reply({"models": running.registry.listing(), "error": running.registry.error})
    if path == "/docs.json":
        return Reply(running.document())
    if path == "/readyz" and not running.ready:
        raise NotReady("the service is stopping" if running.drain.began else "no model is ready")
    return Reply(b"\n", headers=[(b"content-type", b"text/plain; charset=utf-8")])


async def _v2(running: Running, call: Call) -> Reply:
    """`/v2/...`. Names in a path are looked up in a table, never on a disk.

    The path is read as it is: decoding it once more would make paths `Access` has not seen.
    """
    words = call.path.split("/")[2:]
    match words:
        case [] | [""]:
            _require(call, "GET")
            return oip.server()
        case ["health", "live"]:
            _require(call, "GET")
            return json_reply({"live": True})
        case ["health", "ready"]:
            _require(call, "GET")
            if not running.ready:
                raise NotReady("the service is stopping" if running.drain.began else "no model is ready")
            return json_reply({"ready": True})
        case ["repository", *rest] if rest == ["index"] or (len(rest) == 3 and rest[0] == "models"):
            _require(call, "POST")
            return await oip.repository(running, call, rest)
        case ["models", "stats"]:
            _require(call, "GET")
            return oip.model_stats(running.registry.all)
        case ["models", name, "versions", version, *rest]:
            return await _model(running, call, name, oip.version_of(version), rest)
        case ["models", name, *rest]:
            return await _model(running, call, name, None, rest)
    raise UnknownRoute(f"nothing is served at {call.path[:80]}")


async def _model(running: Running, call: Call, name: str, version: int | None, rest: list[str]) -> Reply:
    if not name or rest not in ([], ["infer"], ["ready"], ["config"], ["stats"]):
        raise UnknownRoute(f"nothing is served at {call.path[:80]}")
    _require(call, "POST" if rest == ["infer"] else "GET")
    live = running.registry.find(None, name, version)
    match rest:
        case ["infer"]:
            return await infer(running, call, live)
        case ["ready"]:
            return json_reply({"name": live.card.name, "ready": True})
        case ["config"]:
            return oip.model_config(live)
        case ["stats"]:
            every = [
                v for v in running.registry.all if v.seen.name == name and version in (None, v.seen.number)
            ]
            return oip.model_stats(every)
    return oip.model_metadata(running, live)

"""The graph behind a live model, asked for its own tensors: Open Inference Protocol v2."""

from __future__ import annotations

from collections.abc import Sequence

from eval.errors import EndpointError
from eval.remote.http import Http
from eval.remote.protocol import where
from eval.remote.reply import words_of
from eval.remote.tensors import read_outputs, written
from eval.target import Target
from models.results import Array

__all__ = ["ask_graph"]


async def ask_graph(
    target: Target, port: str, values: Array | Sequence[bytes], outputs: Sequence[str]
) -> list[Array]:
    """The named outputs of the graph, for its own tensor `(N, ...)` or for N picture files.

    Args:
        port: name of the graph's input.

    Raises:
        EndpointError: the server does not speak the protocol, or does not take this, or does not tell them.
    """
    version = () if target.version is None else ("versions", str(target.version))
    url = where(target.url, "models", target.model, *version, "infer")
    access = target.access
    body, headers = written(port, values, binary=True, outputs=outputs)
    async with Http(headers=access.headers, timeout_s=access.timeout_s) as http:
        reply = await http.look(url, body, headers, method="POST")
    if reply.status != 200:
        raise EndpointError(f"{url.path} answered {reply.status} {words_of(reply)[:200]}")
    found = read_outputs(reply)
    if missing := [name for name in outputs if name not in found]:
        raise EndpointError(f"{url.path} must answer {missing[0]!r}, got {', '.join(found) or 'nothing'}")
    return [found[name] for name in outputs]

"""`POST /v2/models/{model}/infer`: read, run, write.

Source: Open Inference Protocol v2 and Triton's extensions binary tensor data and classification.
"""

from __future__ import annotations

import asyncio
import time
import zlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from models.columns import SizesDiffer, columns_of
from models.results import Array
from models.tensors import datatype_of, write_raw
from service.batcher import Outcome
from service.body import SMALL_BYTES, read_body
from service.calls import Call, Reply
from service.errors import NotFinite, Unusable
from service.infer_request import Wanted, Work, read_request
from service.registry import Live
from service.running import Running

__all__ = ["infer"]

LENGTH = b"inference-header-content-length"


async def infer(running: Running, call: Call, live: Live) -> Reply:
    """`POST .../infer`.

    Raises:
        ServiceError: whatever is wrong with the request or the moment.
    """
    running.engine.admit(live, 1, call.deadline)  # a full queue refuses the body unread
    body = await read_body(call, running.settings, running.memory)
    header, kind = call.text(LENGTH), call.text(b"content-type")
    # A tensor written as JSON is slow to read; small ones are read here, for handing over costs too.
    if len(body) > SMALL_BYTES and header != "0" and not kind.startswith("image/"):
        work = await asyncio.to_thread(read_request, live, body, header, kind, running.settings)
    else:
        work = read_request(live, body, header, kind, running.settings)
    if work.timeout_s is not None:
        call.deadline = min(call.deadline, time.monotonic() + work.timeout_s)
    call.model, call.images = f"{live.card.name}/{live.card.version}", work.images
    own = {port.name for port in live.outputs}
    outcomes = await running.engine.run(
        live,
        work.pieces,
        deadline=call.deadline,
        gone=call.gone,
        interpret=any(wanted.name not in own for wanted in work.wanted),
    )
    reply = _reply(live, work, outcomes)
    return await _compressed(reply, call.text(b"accept-encoding"))


def _reply(live: Live, work: Work, outcomes: Sequence[Outcome]) -> Reply:
    arrays = _arrays(live, outcomes, {wanted.name for wanted in work.wanted})
    told: list[dict[str, Any]] = []
    behind: list[bytes] = []
    for wanted in work.wanted:
        told.append(_output(live, wanted, arrays[wanted.name], behind))
    answer: dict[str, Any] = {"model_name": live.card.name, "model_version": str(live.card.version)}
    if work.id is not None:
        answer["id"] = work.id
    answer["outputs"] = told
    head = orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)
    if not behind:
        return Reply(head)
    headers = [(b"content-type", b"application/octet-stream"), (LENGTH, b"%d" % len(head))]
    return Reply(b"".join([head, *behind]), headers=headers)


def _arrays(live: Live, outcomes: Sequence[Outcome], names: set[str]) -> dict[str, Array]:
    """The graph's outputs and, where one is wanted, the answers as columns."""
    alone = len(outcomes) == 1
    arrays = {
        port.name: outcomes[0].outputs[i] if alone else _joined(port.name, [o.outputs[i] for o in outcomes])
        for i, port in enumerate(live.outputs)
        if port.name in names
    }
    if names - arrays.keys():
        try:
            arrays |= columns_of(live.card, [answer for o in outcomes for answer in o.answers])
        except SizesDiffer as error:
            raise Unusable(str(error)) from error
    return arrays


def _joined(name: str, rows: Sequence[Array]) -> Array:
    if len({one.shape[1:] for one in rows}) > 1:  # as many rows as objects, which every picture has its own
        raise Unusable(f"{name!r} has another size for each picture: ask about one at a time, or for answers")
    return np.concatenate(rows)


def _output(live: Live, wanted: Wanted, array: Array, behind: list[bytes]) -> dict[str, Any]:
    """One output's JSON; its bytes are put `behind` where they were asked for so."""
    told: dict[str, Any] = {"name": wanted.name, "datatype": datatype_of(array), "shape": list(array.shape)}
    values: Array | list[bytes] = array
    if array.dtype.kind == "O":  # text, which onnxruntime gives as objects
        values = [str(text).encode() for text in array.ravel()]
    if (wanted.best or not wanted.binary) and array.dtype.kind == "f" and not np.isfinite(array).all():
        raise NotFinite(
            f"{wanted.name!r} holds NaN or infinity, which JSON and a ranking have no place for; "
            "ask for binary data"
        )
    if wanted.best:
        values = _best(array, wanted.best, live.card.labels)
        told |= {"datatype": "BYTES", "shape": [len(array), len(values) // len(array)]}
    if wanted.binary:
        data = write_raw(values)
        behind.append(data)
        told["parameters"] = {"binary_data_size": len(data)}
    elif isinstance(values, list):
        told["data"] = [value.decode() for value in values]
    else:
        flat = np.ascontiguousarray(array).ravel()
        told["data"] = flat.astype(np.float32) if flat.dtype == np.float16 else flat
    return told


def _best(scores: Array, count: int, labels: Sequence[str]) -> list[bytes]:
    """The `classification` extension: `value:index:label` of the best, row by row."""
    # Turned round twice instead of negated: unsigned numbers and truth values cannot be.
    last = scores.shape[1] - 1
    order = last - np.argsort(scores[:, ::-1], axis=1, kind="stable")[:, ::-1][:, :count]
    return [
        f"{float(row[i]):f}:{i}:{labels[i] if i < len(labels) else ''}".encode()
        for row, best in zip(scores, order.tolist(), strict=True)
        for i in best
    ]


async def _compressed(reply: Reply, accepted: str) -> Reply:
    """Compressed for a client that names one encoding and no other: it means it.

    Libraries name several by habit, and would pay for what they do not need.
    """
    encoding = accepted.strip().lower()
    if encoding not in ("gzip", "deflate") or len(reply.body) < 1024:
        return reply
    stream = zlib.compressobj(level=1, wbits=31 if encoding == "gzip" else 15)

    def squeezed() -> bytes:
        return stream.compress(reply.body) + stream.flush()

    body = squeezed() if len(reply.body) < SMALL_BYTES else await asyncio.to_thread(squeezed)
    return Reply(body, headers=[*reply.headers, (b"content-encoding", encoding.encode())])

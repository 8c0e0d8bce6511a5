"""What a server of the Open Inference Protocol v2 says of itself and its models."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from yarl import URL

from eval.errors import EndpointError, EvalError
from eval.remote.http import Http
from eval.remote.reply import AGAIN, Reply
from eval.remote.words import printable

__all__ = [
    "BINARY",
    "Model",
    "Put",
    "Server",
    "chosen",
    "model_of",
    "models_of",
    "ready_of",
    "server_of",
    "where",
]

BINARY = {"binary_tensor_data", "binary_data"}  # what servers call the extension


@dataclass(frozen=True, slots=True)
class Server:
    """`GET /v2`."""

    name: str
    version: str
    extensions: tuple[str, ...]

    @property
    def binary(self) -> bool:
        """Whether it says that it takes raw bytes behind the JSON."""
        return not BINARY.isdisjoint(self.extensions)


@dataclass(frozen=True, slots=True)
class Put:
    """One input or output: what is put in or out. -1 in `shape` where any size goes."""

    name: str
    datatype: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        return f"{self.name} {self.datatype} {list(self.shape)}"


@dataclass(frozen=True, slots=True)
class Model:
    """`GET /v2/models/{name}`."""

    name: str
    versions: tuple[str, ...]
    platform: str
    inputs: tuple[Put, ...]
    outputs: tuple[Put, ...]


def where(url: str, *words: str) -> URL:
    """An address below `/v2`."""
    base = URL(url.rstrip("/")) / "v2"
    for word in words:
        base = base / word
    return base


async def server_of(http: Http, url: str) -> Server:
    """What the server says of itself.

    Raises:
        EndpointError: it does not answer, or not in this protocol.
    """
    told = _object(await http.get(where(url), AGAIN))
    if told is None or not isinstance(told.get("name"), str):
        raise EndpointError(f"{where(url)} does not speak the Open Inference Protocol v2")
    extensions = told.get("extensions") if isinstance(told.get("extensions"), list) else None
    names = [printable(name) for name in extensions or () if isinstance(name, str)]
    return Server(printable(told["name"]), printable(str(told.get("version", ""))), tuple(names))


async def models_of(http: Http, url: str) -> list[str]:
    """Names of the models that are served; none where the server does not tell.

    Triton and MLServer have a repository index, KServe a list of names.
    """
    index = await http.look(
        where(url, "repository", "index"), b"{}", {"content-type": "application/json"}, method="POST"
    )
    told = index.json() if index.status == 200 else None
    if isinstance(told, list):
        names = [row.get("name") for row in told if isinstance(row, dict)]
    else:
        listed = _object(await http.get(where(url, "models"), AGAIN)) or {}
        rows = listed.get("models")
        names = list(rows) if isinstance(rows, list) else []
    return sorted({name for name in names if isinstance(name, str) and name.isprintable()})


async def model_of(http: Http, url: str, name: str, version: str | None = None) -> Model | None:
    """What the server says of a model; None where it has no such model or version.

    Raises:
        EndpointError: it fails, or says what cannot be read.
    """
    at = where(url, "models", name, *(() if version is None else ("versions", version)))
    reply = await http.get(at, AGAIN)
    if reply.status in (400, 404):
        return None
    told = _object(reply)
    if told is None:
        raise EndpointError(f"{at} answered {reply.status} and no description of a model")
    try:
        return Model(
            name,
            tuple(printable(str(v)) for v in told.get("versions") or ()),
            printable(str(told.get("platform") or "")),
            _puts(told.get("inputs") or ()),
            _puts(told.get("outputs") or ()),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise EndpointError(f"{at} cannot be read: {type(error).__name__}: {error}") from error


def _puts(rows: Sequence[Mapping[str, Any]]) -> tuple[Put, ...]:
    return tuple(
        Put(_name(row["name"]), _name(row["datatype"]), tuple(int(side) for side in row["shape"]))
        for row in rows
    )


def _name(told: object) -> str:
    """Sent back as it is, so it must be one. Raises ValueError."""
    if not isinstance(told, str) or not told.isprintable() or len(told) > 1000:
        raise ValueError(f"a name must be text in one line, got {str(told)[:40]!r}")
    return told


def _object(reply: Reply) -> dict[str, Any] | None:
    told = reply.json() if reply.status == 200 else None
    return told if isinstance(told, dict) else None


async def chosen(http: Http, url: str, name: str | None, number: int | None) -> tuple[Model, int | None]:
    """The model that is meant, and its version: the latest, where versions are numbers.

    Raises:
        EvalError: it is not there or not ready, or the name is needed to tell several apart.
    """
    if name is None:
        names = await models_of(http, url)
        if len(names) != 1:
            told = f"serves {', '.join(names)}" if names else "does not tell what it serves"
            raise EvalError(f"name the model with --model; {url} {told}")
        name = names[0]
    model = await model_of(http, url, name, None if number is None else str(number))
    if model is None:
        which = f"no model {name!r}" if number is None else f"no version {number} of {name!r}"
        raise EvalError(f"{url} serves {which}")
    if not await ready_of(http, url, name):
        raise EvalError(f"{name!r} at {url} is not ready")
    numbers = [int(v) for v in model.versions if v.isascii() and v.isdecimal() and len(v) < 10]
    if number is None and numbers and await model_of(http, url, name, str(max(numbers))):
        number = max(numbers)
    return model, number


async def ready_of(http: Http, url: str, name: str) -> bool:
    """Whether a model is ready; a server that does not say so is believed to be."""
    reply = await http.get(where(url, "models", name, "ready"))
    told = reply.json()
    if isinstance(told, dict) and "ready" in told:
        return told["ready"] is True
    return reply.status in (200, 404, 405)

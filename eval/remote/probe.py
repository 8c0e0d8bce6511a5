"""What an endpoint is and what it can do, found out by a few harmless requests."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, replace

from yarl import URL

from eval.errors import EndpointError, EvalError
from eval.remote.access import card_of, endpoint_of, kind_of, target_of
from eval.remote.assay import describe
from eval.remote.http import Http
from eval.remote.protocol import Model, model_of, models_of, ready_of, server_of, where
from eval.remote.template_endpoint import TemplateEndpoint
from eval.remote.trial import AssayTrial, OipTrial, TemplateTrial
from eval.remote.tried import DENIED, Answers, tried
from eval.remote.ways import prepared_of
from eval.target import Access, Kind
from models.columns import PREFIX

__all__ = ["Described", "Probe", "listed", "probe"]

MOST_MODELS = 20  # that are looked at


@dataclass(frozen=True, slots=True)
class Described:
    """A model, as the server tells of it.

    Attributes:
        ready: None where the server does not say.
        takes: `pictures` as files, or `tensors` that the client prepares.
    """

    name: str
    versions: list[str]
    ready: bool | None
    inputs: list[str]
    outputs: list[str]
    takes: str


@dataclass(frozen=True, slots=True)
class Probe:
    """What was found out.

    Attributes:
        auth: whether it refuses who does not say who he is; None where that could not be seen.
        next: the command to try next.
    """

    url: str
    protocol: Kind
    server: str
    version: str
    extensions: list[str]
    auth: bool | None
    models: list[Described]
    answers: Answers | None
    next: str


async def probe(access: Access, model: str | None = None) -> Probe:
    """Look at an endpoint and ask one of its models about plain pictures, a dozen requests in all.

    Raises:
        EvalError: nobody answers, or nothing that is known is spoken there.
    """
    kind = await kind_of(access)
    access = replace(access, kind=kind)
    if kind == "template":
        return await _templated(access, model)
    async with Http(headers=access.headers, timeout_s=access.timeout_s) as http:
        if kind == "assay":
            return await _assay(http, access, model)
        return await _oip(http, access, model)


async def listed(access: Access) -> list[Described]:
    """The models of a server of the Open Inference Protocol. Raises EndpointError."""
    async with Http(headers=access.headers, timeout_s=access.timeout_s) as http:
        names = (await models_of(http, access.url))[:MOST_MODELS]
        return [_described(*one) for one in await _models(http, access.url, names)]


async def _models(http: Http, url: str, names: Sequence[str]) -> list[tuple[Model, bool]]:
    found = [await model_of(http, url, name) for name in names]
    return [(model, await ready_of(http, url, model.name)) for model in found if model is not None]


async def _assay(http: Http, access: Access, model: str | None) -> Probe:
    served = await describe(access.url, timeout_s=access.timeout_s, headers=access.headers)
    try:
        told = [
            Described(
                str(m["name"]), [str(m["version"])], m["state"] == "ready", ["PNG, JPEG, ... files"],
                [f"{m['task']}, {len(m['labels'])} classes"], "pictures",
            )
            for m in served
        ]  # fmt: skip
        usable = [m for m in served if m["state"] == "ready" and model in (None, m["name"])]
        data = [str(c["data"]) for c in usable[-1]["claims"]] if usable else []
    except (KeyError, TypeError) as error:
        raise EndpointError(f"{access.url}/models cannot be read: {type(error).__name__} {error}") from error
    name = str(usable[-1]["name"]) if usable else None
    answers = await tried(AssayTrial(http, access.url, usable[-1]), name) if name else None
    auth = await _auth(access, URL(f"{access.url.rstrip('/')}/models"), answers)
    return Probe(
        access.url, "assay", "assay", "", [], auth, told, answers, _next(access, name or model, data)
    )


async def _oip(http: Http, access: Access, model: str | None) -> Probe:
    server = await server_of(http, access.url)
    names = [model] if model is not None else (await models_of(http, access.url))[:MOST_MODELS]
    models = await _models(http, access.url, names)
    card = None if access.card is None else card_of(access.card)
    if card is not None:  # KServe does not say what a model takes
        put = (prepared_of(card.input),)
        models = [(replace(m, inputs=m.inputs or put), ready) for m, ready in models]
    usable = [m for m, ready in models if ready and len(m.inputs) == 1]
    answers = None
    if usable:
        plain = OipTrial(http, access.url, usable[0])
        answers = await tried(plain, usable[0].name)
        answers.binary = await _binary(replace(plain, binary=True))
    data = [claim.data for claim in card.claims] if card is not None else []
    name = next((m.name for m in usable or [m for m, _ in models]), model)
    line = _next(access, name, data)
    told = [_described(m, ready) for m, ready in models]
    auth = await _auth(access, where(access.url), answers)
    extensions = list(server.extensions)
    return Probe(access.url, "oip", server.name, server.version, extensions, auth, told, answers, line)


def _described(model: Model, ready: bool) -> Described:
    pictures = any(p.datatype == "BYTES" for p in model.inputs) or any(
        p.name.startswith(PREFIX) for p in model.outputs
    )
    return Described(
        model.name, list(model.versions), ready, [str(p) for p in model.inputs],
        [str(p) for p in model.outputs], "pictures" if pictures else "tensors",
    )  # fmt: skip


async def _templated(access: Access, model: str | None) -> Probe:
    target = await target_of(access, model, None)
    endpoint = endpoint_of(target)
    if not isinstance(endpoint, TemplateEndpoint):
        raise EvalError("a template must be asked as one")
    async with endpoint:
        answers = await tried(TemplateTrial(endpoint), target.model, endpoint.most)
    told = Described(target.model, [], None, [], [f"{target.task}, {len(target.labels)} classes"], "pictures")
    auth = True if answers.denied else None
    return Probe(access.url, "template", "", "", [], auth, [told], answers, _next(access, None, []))


async def _auth(access: Access, at: URL, answers: Answers | None) -> bool | None:
    """Whether somebody without our headers is refused."""
    if answers is not None and answers.denied:
        return True
    if not access.headers:
        return False
    async with Http(timeout_s=access.timeout_s) as http:
        return (await http.look(at)).status in DENIED


async def _binary(trial: OipTrial) -> bool:
    """Whether raw bytes behind the JSON are taken, whatever the server says of itself."""
    try:
        return bool(trial.read(await trial.ask(1), 1))
    except (EndpointError, ValueError):
        return False


def _next(access: Access, model: str | None, data: Sequence[str]) -> str:
    """The command to try next; what only its reader knows is in capitals."""
    words = ["assay", "evaluate", access.url]
    words += ["--model", model] if model else []
    if access.kind == "oip":
        words += ["--endpoint", "oip", "--card", str(access.card or "CARD.json")]
    if access.kind == "template" and access.template is not None:
        words += ["--template", str(access.template)]
    for name, value in access.headers.items():
        words += ["--header", f"{name}={value if '$' in value else '$VARIABLE'}"]
    return shlex.join([*words, "--data", data[0] if data else "folder:DIR"])

"""The live endpoint that is meant, whatever protocol it speaks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError
from yarl import URL

from eval.errors import EndpointError, EvalError
from eval.remote.assay import AssayEndpoint, NotAssay, describe
from eval.remote.endpoint import LiveEndpoint
from eval.remote.http import Http
from eval.remote.oip import OipEndpoint
from eval.remote.protocol import chosen, server_of
from eval.remote.secrets import Secrets
from eval.remote.template import Template, read_template
from eval.remote.template_endpoint import TemplateEndpoint
from eval.target import Access, Kind, Target, choose
from models.card import ModelCard

__all__ = ["card_of", "endpoint_of", "kind_of", "target_of"]


async def target_of(access: Access | str, model: str | None, number: int | None) -> Target:
    """What the service says of the model that is meant; where it does not, its card or template.

    Raises:
        EvalError: it is not there, or is not described well enough to be asked.
    """
    access = Access(access) if isinstance(access, str) else access
    _check(access.url)
    access = replace(access, kind=await kind_of(access))
    if access.kind == "template":
        return _templated(access, model, number)
    if access.kind == "oip":
        return await _oip(access, model, number)
    return choose(
        access, await describe(access.url, timeout_s=access.timeout_s, headers=access.headers), model, number
    )


def endpoint_of(target: Target, run: str | None = None) -> LiveEndpoint[Any]:
    """The endpoint of exactly that version; `run` goes along as a header, so that its owner can tell."""
    access = target.access
    headers = {**access.headers, **({} if run is None else {"x-assay-run": run})}
    classes, version = len(target.labels), target.version
    if access.kind == "template":
        template = Template.model_validate_json(access.told)
        request = template.request
        http = _http(access, {**request.headers, **headers}, request.query)
        return TemplateEndpoint(http, target.url, template)
    if access.kind == "oip":
        return OipEndpoint(
            _http(access, headers),
            target.url,
            task=target.task,
            model=target.model,
            version=None if version is None else str(version),
            classes=classes,
            card=ModelCard.model_validate_json(access.told),
        )
    return AssayEndpoint(
        target.url,
        task=target.task,
        model=target.model,
        version=version,
        classes=classes,
        timeout_s=access.timeout_s,
        headers=headers,
        max_qps=access.max_qps,
    )


def _http(access: Access, headers: Mapping[str, str], query: Mapping[str, str] | None = None) -> Http:
    return Http(headers=headers, query=query, timeout_s=access.timeout_s, max_qps=access.max_qps)


def _check(url: str) -> None:
    """Raises EvalError for what is no address, or one with a password: reports and records name it."""
    try:
        read = URL(url)
    except ValueError as error:
        raise EvalError(f"the URL must be an address such as http://127.0.0.1:3000: {error}") from error
    if read.scheme not in ("http", "https") or not read.host:
        raise EvalError(f"the URL must begin with http:// or https:// and a host, got {url!r}")
    if read.user or read.password:
        raise EvalError(
            "the URL must hold no user or password, for reports name it; "
            "send --header 'Authorization=Basic $VARIABLE' instead"
        )


async def kind_of(access: Access) -> Kind:
    """The protocol, found out where it is not said: a template's, ours, or the Open Inference Protocol.

    Raises:
        EndpointError: nobody answers, or neither is spoken there.
    """
    if access.kind != "auto":
        return access.kind
    if access.template is not None:
        return "template"
    Secrets(access.headers).filled()  # what is wrong with a header is wrong with every protocol
    try:
        await describe(access.url, timeout_s=access.timeout_s, headers=access.headers)
        return "assay"
    except NotAssay as first:
        try:
            async with Http(headers=access.headers, timeout_s=access.timeout_s) as http:
                await server_of(http, access.url)
            return "oip"
        except EndpointError as second:
            raise EndpointError(
                f"{first}, {second}; any other JSON API can be described with --template"
            ) from second


def _templated(access: Access, model: str | None, number: int | None) -> Target:
    if access.template is None:
        raise EvalError("--endpoint template needs --template, the YAML that describes the API")
    template = read_template(access.template)
    told = replace(access, told=template.model_dump_json(by_alias=True, exclude={"labels_file"}))
    named = (model or template.name, number or template.version)
    return Target(access.url, *named, template.task, template.labels, "", {}, told, template.partial)


async def _oip(access: Access, model: str | None, number: int | None) -> Target:
    card = card_of(access.card)
    async with Http(headers=access.headers, timeout_s=access.timeout_s) as http:
        found, version = await chosen(http, access.url, model, number)
    claims = {claim.metric: (claim.value, claim.data) for claim in card.claims}
    told = replace(access, told=card.model_dump_json())
    return Target(access.url, found.name, version, card.task, card.labels, "", claims, told)


def card_of(path: Path | None) -> ModelCard:
    """The card in a file. Raises EvalError."""
    if path is None:
        raise EvalError(
            "the Open Inference Protocol tells neither task nor classes: give the model's card with --card; "
            "`assay-models import` writes one for an ONNX file"
        )
    try:
        return ModelCard.read(path)
    except OSError as error:
        raise EvalError(f"{path} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"])) or "the card"
        raise EvalError(f"{path}: {where}: {first['msg']}") from error

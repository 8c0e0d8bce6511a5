"""Which model of a service is meant, and whether we may press it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from eval.errors import EndpointError, EvalError, NotAuthorised
from models.card import TaskName

__all__ = ["Access", "Kind", "Target", "authorise", "choose", "name_of"]

INSIDE = (".svc", ".svc.cluster.local")  # names that resolve only inside a cluster


Kind: TypeAlias = Literal["auto", "assay", "oip", "template"]


@dataclass(frozen=True, slots=True)
class Access:
    """How a live endpoint is spoken to; plain values, so that a worker elsewhere can do the same.

    Attributes:
        url: of the service, e.g. `http://127.0.0.1:3000`; for a template, whatever it says.
        kind: the protocol; `auto` finds out.
        template: YAML that describes a JSON API, for `template`.
        card: model card (JSON) by which raw tensors are interpreted here, where the server does not.
        headers: sent with every request; `$VARIABLE` in a value is read from the environment then.
        timeout_s: of one attempt.
        max_qps: most images asked about in a second; None for no limit.
        told: what the template or the card holds, as JSON, once `target_of` has read it: a worker
            elsewhere has no such file.
    """

    url: str
    kind: Kind = "auto"
    template: Path | None = None
    card: Path | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)  # may hold keys
    timeout_s: float = 60.0
    max_qps: float | None = None
    told: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Target:
    """One version of one model, as the service describes it.

    Attributes:
        version: None where the server has none, or none that is a number.
        sha256: of the graph; empty where the server does not tell.
        claims: metric name -> (value, data it was measured on).
        access: how it is asked.
        partial: answers lack the scores of some classes: nothing may rest on more than the best class.
    """

    url: str
    model: str
    version: int | None
    task: TaskName
    labels: tuple[str, ...]
    sha256: str
    claims: Mapping[str, tuple[float, str]]
    access: Access
    partial: bool = False


def name_of(target: Target) -> str:
    """`digits/1`, as people and URLs say it; `digits` where there are no versions."""
    return target.model if target.version is None else f"{target.model}/{target.version}"


def choose(
    access: Access, served: Sequence[Mapping[str, Any]], model: str | None, version: int | None
) -> Target:
    """The version that was asked for; the latest when no version was.

    Raises:
        EvalError: it is not there, or the name is needed to tell several apart.
        EndpointError: the service does not describe its models as it should.
    """
    url = access.url
    try:
        names = sorted({str(m["name"]) for m in served})
        if model is None and len(names) != 1:
            raise EvalError(f"name the model with --model; {url} serves {', '.join(names) or 'none'}")
        own = [m for m in served if m["name"] == (model or names[0])]
        if not own:
            raise EvalError(f"{url} serves no model {model!r}; it serves {', '.join(names) or 'none'}")
        known = sorted((str(m["version"]) for m in own), key=int)
        own = [m for m in own if version in (None, m["version"])]
        if not own:
            raise EvalError(f"{url} serves no version {version} of {model!r}; it serves {', '.join(known)}")
        chosen = max(own, key=lambda m: int(m["version"]))
        if chosen["state"] != "ready":
            raise EvalError(
                f"{chosen['name']}/{chosen['version']} is {chosen['state']}: {chosen['error'] or 'wait'}"
            )
        claims = {c["metric"]: (float(c["value"]), str(c["data"])) for c in chosen["claims"]}
        facts = (
            chosen["name"],
            int(chosen["version"]),
            chosen["task"],
            tuple(chosen["labels"]),
            chosen["sha256"],
        )
    except (KeyError, TypeError, ValueError) as error:
        raise EndpointError(f"{url}/models cannot be read: {type(error).__name__} {error}") from error
    return Target(url, *facts, claims, access)


def authorise(url: str, allowed: Sequence[str] = ()) -> None:
    """Let an audit go to this machine, into the cluster, or to a host its owner named; else refuse.

    Raises:
        NotAuthorised: any other host.
        EvalError: no host is named.
    """
    host = urlsplit(url).hostname
    if not host:
        raise EvalError(f"an endpoint must be a URL such as http://127.0.0.1:3000, got {url!r}")
    try:
        near = ipaddress.ip_address(host).is_loopback
    except ValueError:
        near = host == "localhost" or host.endswith(INSIDE)
    if not near and host not in allowed:
        raise NotAuthorised(
            f"this presses the service hard, and {host!r} is not this machine. "
            f"If its owner agrees, say so: --authorised {host}"
        )

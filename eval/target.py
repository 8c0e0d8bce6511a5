"""Which model of a service is meant, and whether we may press it."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from eval.errors import EndpointError, EvalError, NotAuthorised
from models.card import TaskName

__all__ = ["Target", "authorise", "choose"]

INSIDE = (".svc", ".svc.cluster.local")  # names that resolve only inside a cluster


@dataclass(frozen=True, slots=True)
class Target:
    """One version of one model, as the service describes it.

    Attributes:
        claims: metric name -> (value, data it was measured on).
    """

    url: str
    model: str
    version: int
    task: TaskName
    labels: tuple[str, ...]
    sha256: str
    claims: Mapping[str, tuple[float, str]]


def choose(url: str, served: Sequence[Mapping[str, Any]], model: str | None, version: int | None) -> Target:
    """The version that was asked for; the latest when no version was.

    Raises:
        EvalError: it is not there, or the name is needed to tell several apart.
        EndpointError: the service does not describe its models as it should.
    """
    try:
        names = sorted({str(m["name"]) for m in served})
        if model is None and len(names) != 1:
            raise EvalError(f"name the model with --model; {url} serves {', '.join(names) or 'none'}")
        own = [m for m in served if m["name"] == (model or names[0])]
        if not own:
            raise EvalError(f"{url} serves no model {model!r}; it serves {', '.join(names) or 'none'}")
        own = [m for m in own if version in (None, m["version"])]
        if not own:
            raise EvalError(f"{url} serves no version {version} of {model!r}")
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
    return Target(url, *facts, claims)


def authorise(url: str, allowed: Sequence[str] = ()) -> None:
    """Let an audit go to this machine, into the cluster, or to a host its owner named; else refuse.

    Raises:
        NotAuthorised: any other host.
    """
    host = urlsplit(url).hostname or ""
    try:
        near = ipaddress.ip_address(host).is_loopback
    except ValueError:
        near = host == "localhost" or host.endswith(INSIDE)
    if not near and host not in allowed:
        raise NotAuthorised(
            f"an audit attacks the service; {host or url!r} is not this machine. "
            f"If its owner agrees, say so: --authorised {host}"
        )

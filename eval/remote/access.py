"""The live endpoint that is meant, whatever protocol it speaks."""

from __future__ import annotations

from typing import Any

from eval.remote.assay import AssayEndpoint, describe
from eval.target import Access, Target, choose

__all__ = ["endpoint_of", "target_of"]


async def target_of(access: Access | str, model: str | None, number: int | None) -> Target:
    """What the service says of the model that is meant. Raises EvalError when it is not there."""
    access = Access(access) if isinstance(access, str) else access
    return choose(access, await describe(access.url), model, number)


def endpoint_of(target: Target, run: str | None = None) -> AssayEndpoint[Any]:
    """The endpoint of exactly that version; `run` goes along as a header, so that its owner can tell."""
    headers = {**target.access.headers, **({} if run is None else {"x-assay-run": run})}
    return AssayEndpoint(
        target.url,
        task=target.task,
        model=target.model,
        version=target.version,
        timeout_s=target.access.timeout_s,
        headers=headers,
    )

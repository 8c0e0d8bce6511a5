"""A live Assay service as an endpoint: pictures as a form, answers as its own JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

from yarl import URL

from eval.errors import EndpointError
from eval.remote.endpoint import Answer, LiveEndpoint, pixels_of
from eval.remote.http import Http, words_of
from eval.remote.template_body import form_of
from models.card import TaskName
from models.results import Result
from models.wire import results_of

__all__ = ["AssayEndpoint", "describe", "is_ready"]

ROUTES: dict[TaskName, str] = {"classification": "classify", "detection": "detect", "segmentation": "segment"}
ASK: dict[TaskName, dict[str, str]] = {
    "classification": {"scores": "true", "top_k": "1"},
    "detection": {"score_threshold": "0"},
    "segmentation": {},
}


class AssayEndpoint(LiveEndpoint[Answer]):
    """One model of a service of ours. Use as `async with`.

    Args:
        url: e.g. `http://127.0.0.1:3000`.
        version: the latest when None.
        classes: that answers may name; None where that is not known.
        timeout_s: of one attempt.
        headers: sent with every request.
        max_qps: most images asked about in a second.
    """

    def __init__(
        self,
        url: str,
        *,
        task: TaskName,
        model: str | None = None,
        version: int | None = None,
        classes: int | None = None,
        timeout_s: float = 60.0,
        headers: Mapping[str, str] | None = None,
        max_qps: float | None = None,
    ) -> None:
        super().__init__(Http(headers=headers, timeout_s=timeout_s, max_qps=max_qps), classes)
        named = {"model": model, "version": None if version is None else str(version)}
        self._task = task
        parameters = {**ASK[task], **{k: v for k, v in named.items() if v is not None}}
        self._url = URL(f"{url.rstrip('/')}/{ROUTES[task]}").with_query(parameters)

    async def _answers(self, files: Sequence[bytes]) -> Sequence[Result]:
        body, kind = form_of(files, "image", typed=False)
        reply = await self.http.ask(self._url, body, {"content-type": kind}, images=len(files))
        try:
            return results_of(reply.json(), self._task, [pixels_of(file) for file in files])
        except ValueError as error:
            where = self._url.with_query(None)
            raise EndpointError(f"{where} gave an answer that cannot be read: {error}") from error


async def describe(
    url: str, *, timeout_s: float = 10.0, headers: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """What the service serves: `GET /models`, one object a version.

    Raises:
        EndpointError: nobody answers there, or it is not an Assay service.
    """
    where = f"{url.rstrip('/')}/models"
    async with Http(headers=headers, timeout_s=timeout_s) as http:
        reply = await http.look(URL(where))
    told = reply.json() if reply.status == 200 else None
    if not isinstance(told, dict) or not isinstance(told.get("models"), list):
        words = f"{reply.status} {words_of(reply)}" if reply.status in (401, 403) else str(reply.status)
        raise EndpointError(f"{where} answered {words}; is it an Assay service?")
    return cast("list[dict[str, Any]]", told["models"])


async def is_ready(url: str, *, timeout_s: float = 10.0) -> bool:
    """Whether the service has looked at every version and answers with at least one: `GET /readyz`."""
    async with Http(timeout_s=timeout_s) as http:
        try:
            return (await http.look(URL(f"{url.rstrip('/')}/readyz"))).status == 200
        except EndpointError:
            return False

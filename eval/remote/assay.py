"""A live Assay service as an endpoint: files as a form and answers as its own JSON; pixels as they are.

Pixels go as uint8 tensors to the service's own Open Inference Protocol, which neither side has to code and
decode; both ways give the very same answers. Where that way is not there they go as PNG.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, cast

from yarl import URL

from eval.errors import EndpointError, Refused
from eval.remote.endpoint import Answer, LiveEndpoint, pixels_of
from eval.remote.http import Http
from eval.remote.oip import OipEndpoint
from eval.remote.protocol import server_of
from eval.remote.reply import AGAIN, words_of
from eval.remote.template_body import form_of
from models.card import TaskName
from models.results import Array, Result
from models.wire import results_of

__all__ = ["AssayEndpoint", "NotAssay", "describe", "is_ready"]

ROUTES: dict[TaskName, str] = {"classification": "classify", "detection": "detect", "segmentation": "segment"}
ASK: dict[TaskName, dict[str, str]] = {
    "classification": {"scores": "true", "top_k": "1"},
    "detection": {"score_threshold": "0"},
    "segmentation": {},
}
MOST_RAW_BYTES = 16_000_000  # of one request: half of what a service takes by default


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
        self._task, self._named = task, {k: v for k, v in named.items() if v is not None}
        parameters = {**ASK[task], **self._named}
        self._url = URL(f"{url.rstrip('/')}/{ROUTES[task]}").with_query(parameters)
        self._raw: OipEndpoint[Answer] | None = None
        if model is not None:  # the protocol has no address for the only model there is
            self._raw = OipEndpoint(
                self.http, url, task=task, model=model, version=named["version"], classes=classes
            )
        self._at, self._looked, self._looking = url, False, asyncio.Lock()

    @property
    def raw(self) -> bool:
        """Whether pixels go as they are; known once some were sent."""
        return self._looked and self._raw is not None

    async def predict(self, images: Sequence[Array]) -> Sequence[Answer]:
        raw = await self._raw_way() if images else None
        if raw is None:
            return await super().predict(images)
        try:
            return [answer for part in _parts(images) for answer in await raw.predict(part)]
        except Refused:
            answers = await super().predict(images)
            self._raw = None  # not the pictures were refused but the way: a limit, or somebody in between
            return answers

    async def _raw_way(self) -> OipEndpoint[Answer] | None:
        """How pixels are sent as they are, looked for once; None where they are not."""
        async with self._looking:
            if not self._looked and self._raw is not None:
                try:
                    binary = (await server_of(self.http, self._at)).binary
                    await self._raw._learn()
                    # A graph that takes bytes itself would have them as its own tensor, unprepared.
                    if not (binary and self._raw.way.answers and self._raw.way.port.datatype != "UINT8"):
                        self._raw = None
                except (EndpointError, IndexError):  # the second from a description without an input
                    self._raw = None
            self._looked = True
        return self._raw

    async def _answers(self, files: Sequence[bytes]) -> Sequence[Result]:
        body, kind = form_of(files, "image", typed=False)
        reply = await self.http.ask(self._url, body, {"content-type": kind}, images=len(files))
        where, told = self._url.with_query(None), reply.json()
        for key, name in self._named.items():  # a gateway may send us elsewhere
            if isinstance(told, dict) and str(told.get(key, name)) != name:
                raise EndpointError(f"{where} must answer as {key} {name}, got {str(told[key])[:40]!r}")
        try:
            return results_of(told, self._task, [pixels_of(file) for file in files])
        except ValueError as error:
            raise EndpointError(f"{where} gave an answer that cannot be read: {error}") from error


def _parts(images: Sequence[Array]) -> list[Sequence[Array]]:
    """The images in order, in parts small enough for one request each; one always goes alone."""
    parts: list[list[Array]] = [[]]
    size = 0
    for image in images:
        if parts[-1] and size + image.nbytes > MOST_RAW_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(image)
        size += image.nbytes
    return list(parts)


class NotAssay(EndpointError):
    """Somebody answers there, but not as a service of ours: another protocol may be spoken."""


async def describe(
    url: str, *, timeout_s: float = 60.0, headers: Mapping[str, str] | None = None
) -> list[dict[str, Any]]:
    """What the service serves: `GET /models`, one object a version.

    Raises:
        NotAssay: it is not an Assay service.
        EndpointError: nobody answers there.
    """
    where = f"{url.rstrip('/')}/models"
    async with Http(headers=headers, timeout_s=timeout_s) as http:
        reply = await http.get(URL(where), AGAIN)
    told = reply.json() if reply.status == 200 else None
    if not isinstance(told, dict) or not isinstance(told.get("models"), list):
        words = {200: " without a list of models", 401: f" {words_of(reply)}", 403: f" {words_of(reply)}"}
        raise NotAssay(
            f"{where} answered {reply.status}{words.get(reply.status, '')}; is it an Assay service?"
        )
    return cast("list[dict[str, Any]]", told["models"])


async def is_ready(url: str, *, timeout_s: float = 10.0) -> bool:
    """Whether the service has looked at every version and answers with at least one: `GET /readyz`."""
    async with Http(timeout_s=timeout_s) as http:
        try:
            return (await http.look(URL(f"{url.rstrip('/')}/readyz"))).status == 200
        except EndpointError:
            return False

"""A model behind any JSON API, as a template describes it, as an endpoint."""

from __future__ import annotations

from collections.abc import Sequence

from yarl import URL

from eval.errors import EndpointError, Refused
from eval.remote.endpoint import Answer, LiveEndpoint, decoded
from eval.remote.http import Http
from eval.remote.reply import Reply
from eval.remote.template import Template
from eval.remote.template_answer import Reader
from eval.remote.template_body import Body, form_of, mime_of
from models.decoding import UnreadableImage
from models.results import Result, Shape

__all__ = ["TemplateEndpoint"]


class TemplateEndpoint(LiveEndpoint[Answer]):
    """One model of a service that is not ours. Use as `async with`.

    Args:
        http: with the template's headers and parameters among its own.
        url: of the service; the template's path goes behind it.
    """

    def __init__(self, http: Http, url: str, template: Template) -> None:
        super().__init__(http, len(template.labels))
        request = template.request
        self._request, self._reader = request, Reader.of(template)
        self._body = Body.of(request.value, request.images) if request.body == "json" else None
        self._url = URL(url.rstrip("/") + request.path if request.path else url).update_query(
            http.plain_query
        )

    @property
    def most(self) -> int:
        """Pictures in one request."""
        return self._request.images

    async def _answers(self, files: Sequence[bytes]) -> Sequence[Result]:
        most, results = self._request.images, list[Result]()
        shapes: list[Shape] | None = None
        if self._reader.sized:
            shapes = [(image.shape[0], image.shape[1]) for image in await decoded(files)]
        for start in range(0, len(files), most):
            part = files[start : start + most]
            results += await self._asked(part, shapes and shapes[start : start + most])
        return results

    async def _asked(self, files: Sequence[bytes], shapes: Sequence[Shape] | None) -> list[Result]:
        body, kind = self._written(files)
        method = self._request.method
        reply = await self.http.ask(self._url, body, {"content-type": kind}, method=method, images=len(files))
        return self.read(reply, len(files), shapes)

    async def look(self, files: Sequence[bytes]) -> Reply:
        """What comes back of one request, whatever it is, asked once."""
        body, kind = self._written(files)
        return await self.http.look(self._url, body, {"content-type": kind}, method=self._request.method)

    def read(self, reply: Reply, count: int, shapes: Sequence[Shape] | None) -> list[Result]:
        """The results in an answer. Raises EndpointError."""
        told = reply.json()
        try:
            if told is None:
                raise ValueError("it is no JSON")
            return self._reader.results(told, count, shapes)
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError) as error:
            raise EndpointError(f"{self._url.path} gave an answer that cannot be read: {error}") from error

    def _written(self, files: Sequence[bytes]) -> tuple[bytes, str]:
        if self._body is not None:
            try:
                return self._body.filled(files), "application/json"
            except UnreadableImage as error:
                raise Refused(f"the picture cannot be sent as pixels: {error}") from error
        if self._request.body == "multipart":
            return form_of(files, self._request.field)
        return files[0], self._request.content_type or mime_of(files[0])

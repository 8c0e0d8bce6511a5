"""Splits a multipart body; every limit is checked while it is read."""

from __future__ import annotations

from dataclasses import dataclass, field

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from service.errors import BadParameter, BadRequest, NoImage, TooManyImages

__all__ = ["FIELD", "Parts"]

FIELD = "image"
MAX_BOUNDARY_BYTES = 70  # RFC 2046, 5.1.1
MAX_TEXT_BYTES = 1024  # of a parameter's value
MAX_HEADER_BYTES = 8192  # of one part


@dataclass(slots=True)
class Parts:
    """Collects the parts of a multipart body; every limit is checked while it is read."""

    max_images: int
    files: list[bytes] = field(default_factory=list)
    texts: list[tuple[str, str]] = field(default_factory=list)
    header: bytes = b""
    value: bytes = b""
    header_bytes: int = 0
    disposition: bytes = b""
    chunks: list[bytes] = field(default_factory=list)

    def read(self, body: bytes, boundary: bytes) -> None:
        if not 0 < len(boundary) <= MAX_BOUNDARY_BYTES:
            raise BadRequest(
                f"the multipart boundary must have 1 to {MAX_BOUNDARY_BYTES} bytes, got {len(boundary)}"
            )
        ended = False

        def end() -> None:
            nonlocal ended
            ended = True

        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._name,
                "on_header_value": self._value,
                "on_header_end": self._header_end,
                "on_part_data": lambda data, start, stop: self.chunks.append(data[start:stop]),
                "on_part_end": self._part_end,
                "on_end": end,
            },
        )
        try:
            parser.write(body)
            parser.finalize()
        except FormParserError as error:
            raise BadRequest(f"the multipart body is broken: {error}") from error
        if not ended:
            raise BadRequest("the multipart body must end with its boundary; it is cut short")

    def _begin(self) -> None:
        self.header = self.value = self.disposition = b""
        self.header_bytes = 0
        self.chunks.clear()
        if len(self.files) + len(self.texts) >= self.max_images + 16:
            raise TooManyImages(f"a request must have at most {self.max_images} images, got more parts")

    def _name(self, data: bytes, start: int, stop: int) -> None:
        self.header += data[start:stop]
        self._grow(stop - start)

    def _value(self, data: bytes, start: int, stop: int) -> None:
        self.value += data[start:stop]
        self._grow(stop - start)

    def _grow(self, count: int) -> None:
        self.header_bytes += count
        if self.header_bytes > MAX_HEADER_BYTES:
            raise BadRequest(f"the headers of a part must have at most {MAX_HEADER_BYTES} bytes, got more")

    def _header_end(self) -> None:
        if self.header.lower() == b"content-disposition":
            self.disposition = self.value
        self.header = self.value = b""

    def _part_end(self) -> None:
        _, options = parse_options_header(self.disposition)
        name, data = options.get(b"name", b"").decode("utf-8", "replace"), b"".join(self.chunks)
        if b"filename" not in options:
            if name == FIELD:
                raise NoImage(f"the field {FIELD!r} must be a file, got text; URLs are not fetched")
            if len(data) > MAX_TEXT_BYTES:
                raise BadParameter(f"{name[:40]!r} must have at most {MAX_TEXT_BYTES} bytes, got {len(data)}")
            self.texts.append((name, data.decode("utf-8", "replace")))
        elif name != FIELD:
            raise BadParameter(f"files must be in the field {FIELD!r}, got {name[:40]!r}")
        elif len(self.files) >= self.max_images:
            raise TooManyImages(f"a request must have at most {self.max_images} images, got more")
        else:
            self.files.append(data)

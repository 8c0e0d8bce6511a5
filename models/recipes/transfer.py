"""One file on its way into its `.part`: what is asked, and what an answer does to what is there."""

from __future__ import annotations

import errno
import http.client
import io
import re
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from models.recipes.bar import Bar
from models.recipes.remote import NotFetched, Remote
from models.recipes.transport import opener, validator

__all__ = ["Transfer"]

CHUNK = 1 << 16
HEADERS = {"Accept-Encoding": "identity", "User-Agent": "assay-models"}
NO_ROOM = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Transfer:
    """A part file, and the server it comes from.

    Attributes:
        file: `part`, unbuffered and open to append: what `have` counts is on the disk.
        tag: beside it, the server's name for the state of the file that the part belongs to.
        bar: shows what comes.
    """

    remote: Remote
    part: Path
    file: io.FileIO
    bar: Bar

    @property
    def tag(self) -> Path:
        return self.part.with_name(f"{self.part.name}.tag")

    @property
    def have(self) -> int:
        return self.file.tell()

    def start_over(self) -> None:
        """Forget what is there."""
        self.file.seek(0)
        self.file.truncate()
        self.tag.unlink(missing_ok=True)

    def once(self, timeout_s: float) -> None:
        """Ask for what is missing, and write it down as it comes.

        Raises:
            NotFetched: another try cannot help.
            OSError, http.client.HTTPException: of the connection; what came before is kept.
        """
        request = urllib.request.Request(self.remote.url, headers=HEADERS)  # noqa: S310
        known = self.tag.read_text("ascii", "replace") if self.tag.is_file() else ""
        if self.have and known.isprintable() and known:
            request.add_header("Range", f"bytes={self.have}-")
            request.add_header("If-Range", known)
        else:
            self.start_over()
        try:
            with opener(self.remote.url).open(request, timeout=timeout_s) as response:
                self._receive(response)
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE:
                self.start_over()
                raise http.client.HTTPException("the server no longer has the rest of the file") from error
            raise

    def _receive(self, response: http.client.HTTPResponse) -> None:
        size = self._begin(response)
        while chunk := response.read1(CHUNK):
            if self.have + len(chunk) > self.remote.size:
                self._refuse(self.have + len(chunk), "or more")
            self._write(chunk)
            self.bar.came(self.have, size)
        if self.have < size:
            raise http.client.IncompleteRead(b"", size - self.have)

    def _begin(self, response: http.client.HTTPResponse) -> int:
        """Bytes of the whole file, after the part was made what the answer goes on from."""
        coding = response.headers.get("Content-Encoding", "identity")
        if coding != "identity" or response.status not in (200, 206):
            raise NotFetched(f"{self.remote.url} must answer with the file, got {response.status} {coding}")
        told = response.headers.get("Content-Length", "")
        if response.status == 206:
            span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
            if span is None or int(span[1]) != self.have:
                self.start_over()
                raise http.client.HTTPException("the server sent another part of the file")
            told = span[2]
        else:
            self.start_over()
            if name := validator(response.headers):
                self.tag.write_text(name, "ascii")
        if not told.isdecimal():
            return self.remote.size if self.remote.exact else 0
        if int(told) > self.remote.size or (self.remote.exact and int(told) != self.remote.size):
            self._refuse(int(told))
        return int(told)

    def _refuse(self, size: int, more: str = "") -> None:
        self.start_over()
        most = "" if self.remote.exact else "at most "
        raise NotFetched(
            f"{self.remote.url} must have {most}{self.remote.size} bytes, got {size} {more}".rstrip()
            + "; it was replaced, and is not used"
        )

    def _write(self, chunk: bytes) -> None:
        rest = memoryview(chunk)
        try:
            while rest:
                rest = rest[self.file.write(rest) :]
        except OSError as error:
            if error.errno not in NO_ROOM:
                raise NotFetched(f"{self.part} cannot be written: {error.strerror}") from error
            raise NotFetched(
                f"{self.part.parent} has no room for the {self.remote.size} bytes of {self.remote.name}: "
                "make some and run this again, it goes on from here; or name another folder with --cache"
            ) from error

"""A download ends whole and right, or says why not; whatever the server does."""

from __future__ import annotations

import fcntl
import hashlib
import io
import resource
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from models.recipes.bar import Bar
from models.recipes.fetch import Patience, fetch
from models.recipes.remote import NotFetched, Remote
from tests.models.recipes.site import Behaviour, Site, answer, cut, hang, plain, running, unsized

SIZE = 300_000
ONCE = Patience(attempts=1)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def content(seed: int, size: int = SIZE) -> bytes:
    return np.random.default_rng(seed).bytes(size)


def remote(site: Site, data: bytes | None = None) -> Remote:
    data = site.content if data is None else data
    return Remote(site.url, hashlib.sha256(data).hexdigest(), len(data))


def bar(stream: io.StringIO | None = None) -> Bar:
    return Bar("file.bin", stream or io.StringIO())


def hasty(pauses: list[float] | None = None) -> Patience:
    return Patience(sleep=([] if pauses is None else pauses).append)


@pytest.fixture
def site() -> Iterator[Site]:
    with running(content(0)) as site:
        yield site


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "cache"


def test_a_file_arrives_and_nothing_else(site: Site, folder: Path) -> None:
    path = fetch(remote(site), folder, bar=bar())
    assert path == folder / "file.bin"
    assert path.read_bytes() == site.content
    assert list(folder.iterdir()) == [path]
    (asked,) = site.asked
    assert asked["Accept-Encoding"] == "identity"
    assert asked["User-Agent"] == "assay-models"
    assert not {"Authorization", "Cookie", "Range"} & asked.keys()


def test_what_is_there_is_not_asked_for(site: Site, folder: Path) -> None:
    fetch(remote(site), folder)
    fetch(remote(site), folder)
    assert len(site.asked) == 1
    (folder / "file.bin").write_bytes(b"spoilt")
    assert fetch(remote(site), folder).read_bytes() == site.content


@pytest.mark.parametrize("seed", range(8))
def test_cuts_at_random_points_lose_nothing(site: Site, folder: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    site.content = content(seed, int(rng.integers(1, SIZE)))
    site.behaviours = [cut(int(n)) for n in rng.integers(0, len(site.content) // 3 + 1, size=3)]
    path = fetch(remote(site), folder, bar=bar(), patience=hasty())
    assert path.read_bytes() == site.content
    assert site.sent == len(site.content)  # no byte came twice
    assert list(folder.iterdir()) == [path]


@pytest.mark.parametrize("headers", [{"ETag": '"one"'}, {"Last-Modified": "Wed, 25 Nov 2026 10:00:00 GMT"}])
def test_the_next_call_goes_on(site: Site, folder: Path, headers: dict[str, str]) -> None:
    site.headers = headers
    site.behaviours = [cut(123_456)]
    with pytest.raises(NotFetched, match=r"cut\. 123456 of 300000 bytes are kept.*--from FILE"):
        fetch(remote(site), folder, bar=bar(), patience=ONCE)
    assert (folder / "file.bin.part").read_bytes() == site.content[:123_456]
    assert not (folder / "file.bin").exists()
    assert fetch(remote(site), folder, bar=bar()).read_bytes() == site.content
    assert site.asked[1]["Range"] == "bytes=123456-"
    assert site.asked[1]["If-Range"] in headers.values()
    assert site.sent == SIZE


def test_a_whole_part_is_not_asked_for(site: Site, folder: Path) -> None:
    folder.mkdir()
    (folder / "file.bin.part").write_bytes(site.content)
    assert fetch(remote(site), folder, bar=bar()).read_bytes() == site.content
    assert site.asked == []


def without_ranges(site: Site) -> None:
    site.ranges = False


def weak(site: Site) -> None:
    site.headers = {"ETag": 'W/"one"', "Last-Modified": "Wed, 25 Nov 2026 10:00:00 GMT"}


def nameless(site: Site) -> None:
    site.headers = {}


def another_part(site: Site) -> None:
    site.behaviours.append(answer(206, b"x" * 9, Content_Range=f"bytes 1-9/{SIZE}", Content_Length="9"))


def no_such_part(site: Site) -> None:
    site.behaviours.append(answer(416, Content_Range=f"bytes */{SIZE}"))


@pytest.mark.parametrize("trouble", [without_ranges, weak, nameless, another_part, no_such_part])
def test_starts_over_where_it_cannot_go_on(site: Site, folder: Path, trouble: Callable[[Site], None]) -> None:
    site.behaviours = [cut(200_000)]
    trouble(site)
    path = fetch(remote(site), folder, bar=bar(), patience=hasty())
    assert path.read_bytes() == site.content
    assert site.sent >= 200_000 + SIZE


def test_another_file_under_the_address_starts_over(site: Site, folder: Path) -> None:
    site.behaviours = [cut(200_000)]
    with pytest.raises(NotFetched):
        fetch(remote(site), folder, bar=bar(), patience=ONCE)
    site.content, site.headers = content(1), {"ETag": '"two"'}
    assert fetch(remote(site), folder, bar=bar()).read_bytes() == content(1)


def test_halves_of_two_files_are_no_file(site: Site, folder: Path) -> None:
    """The server says that it is the same file, and it is not."""
    site.behaviours = [cut(200_000)]
    with pytest.raises(NotFetched):
        fetch(remote(site, content(1)), folder, bar=bar(), patience=ONCE)
    site.content = content(1)
    with pytest.raises(NotFetched, match="sha256"):
        fetch(remote(site), folder, bar=bar())
    assert list(folder.iterdir()) == []
    assert fetch(remote(site), folder, bar=bar()).read_bytes() == content(1)


def test_a_wrong_checksum_keeps_nothing(site: Site, folder: Path) -> None:
    wanted, got = hashlib.sha256(content(1)).hexdigest(), hashlib.sha256(content(0)).hexdigest()
    with pytest.raises(NotFetched, match=f"sha256 of {wanted}, got {got}.*nothing of it is kept.*do not use"):
        fetch(remote(site, content(1)), folder, bar=bar())
    assert list(folder.iterdir()) == []
    assert len(site.asked) == 1


def test_a_published_beginning_of_the_checksum(site: Site, folder: Path) -> None:
    known = hashlib.sha256(site.content).hexdigest()[:8]
    part = replace(remote(site), sha256=known, size=SIZE + 1000)
    assert fetch(part, folder, bar=bar()).read_bytes() == site.content
    other = f"{known[:7]}{'0' if known[7] != '0' else '1'}"
    with pytest.raises(NotFetched, match=rf"sha256 of {other}\.\.\., got {known}"):
        fetch(replace(part, sha256=other), folder, bar=bar())


@pytest.mark.parametrize(("behaviour", "told"), [(plain, "got 300000;"), (unsized, r"got \d+ or more;")])
def test_too_large(site: Site, folder: Path, behaviour: Behaviour, told: str) -> None:
    """Refused before it comes, or as soon as more than the most has come."""
    site.behaviours = [behaviour]
    with pytest.raises(NotFetched, match=f"must have at most 1000 bytes, {told}"):
        fetch(Remote(site.url, "0" * 8, 1000), folder, bar=bar())
    assert list(folder.iterdir()) == []
    assert len(site.asked) == 1


def test_another_size_is_refused_before_it_comes(site: Site, folder: Path) -> None:
    with pytest.raises(NotFetched, match="must have 999999 bytes, got 300000; it was replaced"):
        fetch(replace(remote(site), size=999_999), folder, bar=bar())
    assert list(folder.iterdir()) == []


def test_a_length_nobody_told(site: Site, folder: Path) -> None:
    site.behaviours = [unsized]
    assert fetch(remote(site), folder, bar=bar()).read_bytes() == site.content


def test_a_packed_answer_is_refused(site: Site, folder: Path) -> None:
    site.behaviours = [answer(200, b"x", Content_Encoding="gzip")]
    with pytest.raises(NotFetched, match="must answer with the file, got 200 gzip"):
        fetch(remote(site), folder, bar=bar())


@pytest.mark.parametrize("status", [401, 403, 404, 410, 501])
def test_what_stays_is_not_tried_again(site: Site, folder: Path, status: int) -> None:
    site.behaviours = [answer(status)] * 2
    with pytest.raises(NotFetched, match=f"the server said {status} .*--from FILE"):
        fetch(remote(site), folder, bar=bar(), patience=hasty())
    assert len(site.asked) == 1
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(site: Site, folder: Path, status: int) -> None:
    pauses: list[float] = []
    told = io.StringIO()
    site.behaviours = [answer(status), answer(status, Retry_After="7"), answer(status, Retry_After="9999")]
    assert fetch(remote(site), folder, bar=bar(told), patience=hasty(pauses)).read_bytes() == site.content
    assert pauses == [1, 7, 30]
    assert f"said {status}" in told.getvalue()
    assert "trying again in 7 s" in told.getvalue()


def test_patience_ends(site: Site, folder: Path) -> None:
    pauses: list[float] = []
    site.behaviours = [answer(503)] * 9
    with pytest.raises(NotFetched, match="said 503"):
        fetch(remote(site), folder, bar=bar(), patience=hasty(pauses))
    assert pauses == [1, 2, 4]
    site.behaviours = [cut(1000)] * 99
    site.ranges = False  # every try brings the same 1000 bytes: no progress
    with pytest.raises(NotFetched, match="cut"):
        fetch(remote(site), folder, bar=bar(), patience=hasty())
    assert len(site.asked) == 4 + 4


def test_a_silent_server(site: Site, folder: Path) -> None:
    site.behaviours = [hang, hang]
    patience = replace(hasty(), timeout_s=0.05, attempts=2)
    with pytest.raises(NotFetched, match="timed out"):
        fetch(remote(site), folder, bar=bar(), patience=patience)
    assert len(site.asked) == 2


def test_nobody_listens(folder: Path) -> None:
    with running(b"") as site:
        gone = remote(site, b"x")
    with pytest.raises(NotFetched, match="Connection refused"):
        fetch(gone, folder, bar=bar(), patience=hasty())


def test_a_full_disk_leaves_a_part(site: Site, folder: Path) -> None:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))  # as a disk that is full there
    try:
        with pytest.raises(NotFetched, match=r"no room for the 300000 bytes of file\.bin: make some"):
            fetch(remote(site), folder, bar=bar(), patience=hasty())
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert (folder / "file.bin.part").stat().st_size == 100_000
    assert fetch(remote(site), folder, bar=bar()).read_bytes() == site.content
    assert site.asked[-1]["Range"] == "bytes=100000-"


def test_control_c_leaves_a_part(site: Site, folder: Path) -> None:
    class Impatient(Bar):
        def came(self, have: int, size: int) -> None:
            if have > 100_000:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(remote(site), folder, bar=Impatient("file.bin", io.StringIO()))
    kept = (folder / "file.bin.part").stat().st_size
    assert 100_000 < kept < SIZE
    assert fetch(remote(site), folder, bar=bar()).read_bytes() == site.content
    assert site.asked[-1]["Range"] == f"bytes={kept}-"


def test_two_at_once(site: Site, folder: Path) -> None:
    folder.mkdir()
    with (folder / "file.bin.part").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(NotFetched, match="another process"):
            fetch(remote(site), folder, bar=bar())
    assert fetch(remote(site), folder, bar=bar()).read_bytes() == site.content


def test_a_folder_that_cannot_be(site: Site, tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(NotFetched, match="cannot be written: Not a directory"):
        fetch(remote(site), tmp_path / "file" / "cache", bar=bar())


def test_the_bar(site: Site, folder: Path) -> None:
    terminal = Terminal()
    site.behaviours = [cut(150_000)]
    fetch(remote(site), folder, bar=bar(terminal), patience=hasty())
    lines = terminal.getvalue().split("\r")
    assert lines[-1] == f"file.bin [{'#' * 30}] 100% 0.3 of 0.3 MB\n"
    assert any(f"[{'#' * 15}{'.' * 15}]  50%" in line for line in lines)
    assert "\nfile.bin: the connection was cut; trying again in 1 s\n" in terminal.getvalue()
    quiet = io.StringIO()
    fetch(remote(site), folder / "other", bar=bar(quiet))
    assert quiet.getvalue() == ""

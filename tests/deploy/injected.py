"""Services watched by a real Prometheus, and what is done to them: each fault, with its alerts."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from models.decoding import encode_png
from models.repository import read_version
from tests.deploy.monitored import Prometheus, Traffic, running_prometheus, until
from tests.e2e.processes import running_service

Alert = tuple[str, str]  # its name, and its model or ""


def grey(level: int) -> bytes:
    """A picture of one level."""
    return encode_png(np.full((10, 20, 3), level, np.uint8))


DARK, LIGHT, FAINT = grey(20), grey(230), grey(115)
NOISE = encode_png(np.random.default_rng(0).integers(0, 256, (300, 300, 3), np.uint8))  # not run at once
LAMP, FRAME = "/classify?model=lamp", "/detect?model=frame"
# Both classes of `lamp` as often, `frame` sure of itself: a box scores the mean level.
USUAL = [(LAMP, DARK), (LAMP, LIGHT), (FRAME, LIGHT)]
OTHERS = [(LAMP, LIGHT), (LAMP, LIGHT), (FRAME, FAINT)]
LONGER = {"AssayErrorsSteady", "AssayErrorsLasting", "AssayErrorsSlow"}
LONGER |= {"AssaySlowSteady", "AssaySlowLasting", "AssaySlowSlow"}


@dataclass(frozen=True)
class Seen:
    """One fault and what came of it.

    Attributes:
        may: names of alerts that may follow from it.
    """

    fault: str
    must: frozenset[Alert]
    fired: frozenset[Alert]
    may: frozenset[str] = frozenset()

    @property
    def right(self) -> bool:
        """Whether what must fire did, and nothing else that may not."""
        return self.must <= self.fired and {name for name, _ in self.fired - self.must} <= self.may


@dataclass
class Watched:
    """Services by their job, and the Prometheus that scrapes them.

    Attributes:
        models: the repository of the job `assay`, to be spoiled.
        usual: what is asked of it all the time.
    """

    prometheus: Prometheus
    urls: dict[str, str]
    models: Path
    usual: Traffic
    seen: list[Seen] = field(default_factory=list)

    def evaluated(self) -> None:
        """Return after one more scrape and one more look at the rules."""
        after = time.time() + 0.3
        last = f'timestamp(up{{job="assay"}}) > {after}'
        until(lambda: bool(self.prometheus.query(last)), lambda: "no scrape")

    def calm(self, job: str = "assay") -> float:
        """Now, once nothing fires any more for a job."""
        until(lambda: not self.prometheus.firing(job), lambda: self.prometheus.firing(job))
        self.evaluated()
        return time.monotonic()

    def note(
        self,
        fault: str,
        must: set[Alert],
        since: float,
        *,
        job: str = "assay",
        may: frozenset[str] = frozenset(),
    ) -> None:
        """Wait for what must fire for a job, and a little longer for what must not."""
        with contextlib.suppress(AssertionError):  # it is told by what is seen
            until(lambda: self.prometheus.fired(job, since) >= must, lambda: fault)
        self.evaluated()
        fired = self.prometheus.fired(job, since)
        self.seen.append(Seen(fault, frozenset(must), frozenset(fired), may))


@contextlib.contextmanager
def watched(home: Path, repository: Path) -> Iterator[Watched]:
    """One service for each job, usual traffic on the first, and Prometheus; all are ended at the end."""
    models = Path(shutil.copytree(repository, home / "models"))
    (home / "unreadable" / "lamp" / "1").mkdir(parents=True)
    (home / "unreadable" / "lamp" / "1" / "card.json").write_text("{")
    settings: dict[str, dict[str, Any]] = {
        "assay": {"model_repository": models, "poll_s": 0.3},
        # Every answer is late, and most requests find no room.
        "assay-canary": {"model_repository": repository, "batch_delay_ms": 600, "max_waiting": 3},
        # Two processes. What is not run at once waits for four of a kind; three never are.
        "assay-pair": {
            "model_repository": repository,
            "workers": 2,
            "batch_delay_ms": 2000,
            "batch_ms": 10_000,
        },
        "assay-broken": {"model_repository": home / "unreadable", "until": "/livez"},
    }
    with contextlib.ExitStack() as stack:
        with ThreadPoolExecutor() as pool:  # they start at once
            running = [running_service(home / job, **told) for job, told in settings.items()]
            urls = dict(zip(settings, pool.map(stack.enter_context, running), strict=True))
        usual = stack.enter_context(Traffic(urls["assay"], USUAL, copies=4, pause_s=0.02))
        prometheus = stack.enter_context(running_prometheus(home / "prometheus", urls))
        up = f"count(up == 1) == {len(urls)}"
        until(lambda: bool(prometheus.query(up)), lambda: prometheus.query("up"))
        yield Watched(prometheus, urls, models, usual)


def processes(url: str) -> list[psutil.Process]:
    """Those below this one that listen at the address."""
    port = int(url.rsplit(":", 1)[1])
    return [
        child
        for child in psutil.Process().children(recursive=True)
        if any(c.status == psutil.CONN_LISTEN and c.laddr.port == port for c in child.net_connections())
    ]


@contextlib.contextmanager
def stopped(url: str) -> Iterator[None]:
    """The processes at this address, held and let go."""
    held = processes(url)
    try:
        for child in held:
            os.kill(child.pid, signal.SIGSTOP)
        yield
    finally:
        for child in held:
            os.kill(child.pid, signal.SIGCONT)


@contextlib.contextmanager
def away(folder: Path, place: Path) -> Iterator[None]:
    """The folder, somewhere else for a while."""
    folder.rename(place)
    try:
        yield
    finally:
        place.rename(folder)


def healthy(watched: Watched) -> set[Alert]:
    """What fires while nothing is wrong: once there is a past to hold it against, and under load."""
    began = watched.calm()
    past = "count(job_model_version:assay_confidence:mean1d) >= 2"
    until(lambda: bool(watched.prometheus.query(past)), lambda: "no past")
    with Traffic(watched.urls["assay"], USUAL, threads=4, pause_s=0):
        end = time.monotonic() + 3  # longer than most alerts wait, in their time
        until(lambda: time.monotonic() > end, lambda: "no time")
    jobs = [job for job in watched.urls if job != "assay-broken"]
    return set().union(*(watched.prometheus.fired(job, began) for job in jobs))


def inject(watched: Watched) -> list[Seen]:
    """Do it all, one after the other where it is the same service; tell what fired."""
    url, models = watched.urls["assay"], watched.models
    aside = models.with_name("aside")
    with contextlib.ExitStack() as stack:
        began_elsewhere = time.monotonic()
        for job, threads, pause_s in (("assay-canary", 8, 0.05), ("assay-pair", 3, 0)):
            crowd = Traffic(watched.urls[job], [(LAMP, NOISE)], threads=threads, pause_s=pause_s)
            stack.enter_context(crowd)
        faults: list[tuple[str, set[Alert], Callable[[], contextlib.AbstractContextManager[object]]]] = [
            (
                "a caller sends no pictures",
                {("AssayRejections", "")},
                lambda: Traffic(url, [(LAMP, b"no picture")], pause_s=0.01),
            ),
            ("a model is gone", {("AssayModelLost", "shade")}, lambda: away(models / "shade", aside)),
            (
                "the next version's graph is not the one its card has the digest of",
                {("AssayVersionRefused", "lamp")},
                lambda: changed(models / "lamp" / "2", models / "lamp" / "3"),
            ),
            ("the repository is away", {("AssayRepositoryUnreadable", "")}, lambda: away(models, aside)),
            ("the process hangs", {("AssayDown", "")}, lambda: stopped(url)),
        ]
        for fault, must, done in faults:
            began = watched.calm()
            with done():
                watched.note(fault, must, began)
        began = watched.calm()
        watched.usual.asked = OTHERS
        drift = {("AssayPredictionsDrift", "lamp"), ("AssayConfidenceFell", "frame")}
        watched.note("other pictures are sent", drift, began)
        _elsewhere(watched, began_elsewhere)
    return watched.seen


def _elsewhere(watched: Watched, since: float) -> None:
    """What went on at the other services all the while."""
    full = {("AssayErrorsFast", ""), ("AssaySlowFast", ""), ("AssayOverloaded", "")}
    may = frozenset(LONGER | {"AssayQueueGrows"})
    watched.note("late and no room", full, since, job="assay-canary", may=may)
    held = {("AssayQueueGrows", "lamp"), ("AssaySlowFast", "")}
    watched.note("work waits", held, since, job="assay-pair", may=frozenset(LONGER))
    broken = {("AssayNotReady", ""), ("AssayVersionRefused", "lamp")}
    watched.note("the only card is broken", broken, since, job="assay-broken")


@contextlib.contextmanager
def changed(version: Path, following: Path) -> Iterator[None]:
    """A version again, of another number and with a byte too many, for a while."""
    shutil.copytree(version, following, ignore=shutil.ignore_patterns("card.json"))
    with (following / "model.onnx").open("ab") as graph:
        graph.write(b"x")
    card = read_version(version).card
    card.model_copy(update={"version": int(following.name)}).write(following / "card.json")
    try:
        yield
    finally:
        shutil.rmtree(following)

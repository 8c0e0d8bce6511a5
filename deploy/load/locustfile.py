"""Load on a running service: every route and kind of body, answers checked, an SLO as exit code.

locust -f deploy/load/locustfile.py --headless --host http://127.0.0.1:3000 -u 6 -r 6 -t 20s --rate 40 \
    --slo-p99-ms 500 --slo-error-share 0 --figures runs/load/figures.json Classifier Detector

Closed loop (no `--rate`): each user asks again when it has its answer, so a service that stalls is simply
asked less, and its stall hardly shows ("coordinated omission"). Open loop (`--rate`): requests are due at
Poisson times whoever has answered, and latency counts from when a request was due. Classes named on the
command line are the mix; all by default. Exit codes: 0 kept, 1 broken, 3 inconclusive.
"""

from __future__ import annotations

import sys
import uuid
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from urllib.parse import urlsplit

import gevent
from locust import LoadTestShape, events
from locust.rpc import Message
from locust.runners import MasterRunner, WorkerRunner

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # locust runs this file, not a package

from deploy.load import promise, users
from deploy.load.arrivals import SHAPES
from deploy.load.options import add_options, headers_of
from deploy.load.payloads import ROUTES, Ask, asks
from deploy.load.tally import Tally
from deploy.load.told import tell

TALLY = Tally()
HEARD: set[str] = set()  # workers whose counts are in it
PICTURES = 12  # of each kind and route
SILENCE_S = 10  # of a worker that is gone; Locust itself gives it up after 3, as a busy machine may be silent


class _Shaped(LoadTestShape):
    """Users of a closed loop over time; an open loop shapes its rate itself."""

    abstract = True
    use_common_options = True

    def tick(self) -> tuple[int, float] | None:
        options: Any = self.runner.environment.parsed_options if self.runner else None
        share: float = self.get_run_time() / options.seconds  # type: ignore[no-untyped-call]
        if share >= 1:
            return None
        wanted = round(options.streams * SHAPES[options.shape](share))
        return max(1, wanted), max(1.0, options.spawn_rate or 1.0)


def _prepare(environment: Any, **_: object) -> None:
    """Check what was told, and settle what the master sends its workers with it."""
    options = environment.parsed_options
    _listeners(environment)
    if isinstance(environment.runner, WorkerRunner):
        return
    headers_of(options)
    options.run, options.lost = uuid.uuid4().hex, 0
    options.streams, options.seconds = options.num_users or 1, options.run_time
    options.mix = [told.__name__ for told in environment.user_classes]  # a worker is not told which
    if options.shape != "steady" and not options.run_time:
        raise SystemExit("--shape needs -t, the seconds it takes")
    if options.scenario:
        why = promise.misused(options.scenario, rate=options.rate, users=options.streams)
        if why:
            raise SystemExit(why)
    host = environment.host or ""
    if not promise.is_near(host) and urlsplit(host).hostname != options.allow_host:
        raise SystemExit(f"load goes to this machine only, got {host}; see --allow-host")
    # What is under way at the end is waited for and counted: to drop it would hide a stall.
    environment.stop_timeout = environment.stop_timeout or options.timeout_s + 1
    if options.shape != "steady" and not options.rate:
        environment.shape_class = _Shaped()  # type: ignore[no-untyped-call]
        environment.shape_class.runner = environment.runner


def _forget(**_: object) -> None:
    TALLY.taken()


def _count(response_time: float, exception: object, context: dict[str, Any], **_: object) -> None:
    TALLY.add(latency_ms=response_time, failed=exception is not None, **context)


def _listeners(environment: Any) -> None:
    """Workers hand their counts over; those of another run, left alone by its master, are not taken."""

    def hand_over(data: dict[str, Any], **_: object) -> None:
        run = getattr(environment.parsed_options, "run", "")
        data |= {"tally": TALLY.taken(), "run": run}

    def take(client_id: str, data: dict[str, Any], **_: object) -> None:
        if data.get("run") == environment.parsed_options.run:
            TALLY.merge(data["tally"])
            HEARD.add(client_id)

    environment.events.report_to_master.add_listener(hand_over)
    environment.events.worker_report.add_listener(take)


def _wait_for_workers(environment: Any, **_: object) -> None:
    """Send the workers home and wait for their last reports; Locust itself would wait half a second.

    What was under way longest is reported last: without this a stall at the end would be lost.
    """
    runner = environment.runner
    if not isinstance(runner, MasterRunner) or not environment.parsed_options.headless:
        return
    for worker in list(runner.clients.all):
        runner.server.send_to_client(Message("quit", None, worker.id))  # type: ignore[no-untyped-call]
    with gevent.Timeout(environment.stop_timeout + 5, False):
        while any(worker.heartbeat > -SILENCE_S for worker in runner.clients.all):
            gevent.sleep(0.1)
    environment.parsed_options.lost = len(runner.clients.all)


def _keep_promise(environment: Any, **_: object) -> None:
    if not isinstance(environment.runner, WorkerRunner):
        verdict = tell(environment.parsed_options, TALLY, workers=len(HEARD))
        print(verdict)  # noqa: T201  # the run's last word
        environment.process_exit_code = verdict.code


LISTENERS = {
    "init_command_line_parser": add_options,
    "init": _prepare,
    "test_start": _forget,
    "test_stop": _wait_for_workers,
    "request": _count,
    "quitting": _keep_promise,
}
for _event, _listener in LISTENERS.items():
    getattr(events, _event).add_listener(_listener)


@cache
def _made(route: str, model: str, kind: str, seed: int) -> list[Ask]:
    return asks(route, model, kind, count=PICTURES, seed=seed)


class _Asker(users.Asker):
    """Asks what its class says; in an open loop, what any class of the run says."""

    abstract = True
    routes: ClassVar[tuple[str, ...]] = ROUTES
    kinds: ClassVar[tuple[str, ...]] = ()

    def pool(self) -> Sequence[Ask]:
        options = self.environment.parsed_options
        models = dict(zip(ROUTES, options.models.split(","), strict=True))
        mixed = [told for told in self.environment.user_classes if told.__name__ in options.mix]
        made = [
            ask
            for told in (mixed if options.rate else [type(self)])
            for route in told.routes
            for kind in told.kinds
            for ask in _made(route, models[route], kind, options.seed) * int(told.weight)
        ]
        return promise.fitting(options.scenario, [ask for ask in made if options.only in ask.name])


class Classifier(_Asker):
    """`POST /classify`, PNG and JPEG."""

    weight = 3
    routes, kinds = ("/classify",), ("png", "jpeg")


class Detector(_Asker):
    """`POST /detect`, PNG and JPEG."""

    weight = 3
    routes, kinds = ("/detect",), ("png", "jpeg")


class Segmenter(_Asker):
    """`POST /segment`, PNG and JPEG."""

    weight = 3
    routes, kinds = ("/segment",), ("png", "jpeg")


class Batcher(_Asker):
    """Several pictures in one request, every route."""

    kinds = ("batch",)


class Protocol(_Asker):
    """`POST /v2/models/.../infer`: raw tensors, and a JPEG as the whole body."""

    kinds = ("tensor", "file")


class Misuser(_Asker):
    """Broken requests, which must be refused with the right error."""

    kinds = ("bad",)

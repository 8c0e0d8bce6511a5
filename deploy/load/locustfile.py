"""Load on a running service: the three routes, answers checked, an SLO as exit code.

locust -f deploy/load/locustfile.py --headless --host http://127.0.0.1:3000 -u 4 -r 4 -t 20s \
    --csv runs/load/load --html runs/load/load.html --slo-p99-ms 1000 --slo-error-share 0
"""

from __future__ import annotations

import random
import sys
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from locust import FastHttpUser, constant, events, task

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # locust runs this file, not a package

from deploy.load.payloads import BOUNDARY, ROUTES, Slo, bodies, is_near, verdict, wrong

BODIES = bodies(32, seed=0)
HEADERS = {"content-type": f"multipart/form-data; boundary={BOUNDARY}"}


@events.init_command_line_parser.add_listener
def _options(parser: Any) -> None:
    parser.add_argument(
        "--slo-p99-ms", type=float, default=2000.0, help="Most milliseconds for 99 % of requests"
    )
    parser.add_argument("--slo-error-share", type=float, default=0.0, help="Most failures, as a share")
    parser.add_argument("--allow-host", default="", help="A host beside this machine that may be loaded")


@events.test_start.add_listener
def _only_near(environment: Any, **_: object) -> None:
    host = environment.host or ""
    if not is_near(host) and urlsplit(host).hostname != environment.parsed_options.allow_host:
        raise SystemExit(f"load goes to this machine only, got {host}; see --allow-host")


@events.quitting.add_listener
def _keep_promise(environment: Any, **_: object) -> None:
    told, options = environment.stats.total, environment.parsed_options
    slo = Slo(options.slo_p99_ms, options.slo_error_share)
    p99_ms = told.get_response_time_percentile(0.99) or 0.0
    broken = verdict(slo, requests=told.num_requests, failures=told.num_failures, p99_ms=p99_ms)
    print(f"SLO broken: {broken}" if broken else "SLO kept")  # noqa: T201  # the run's last word
    environment.process_exit_code = 1 if broken else 0


class _Asker(FastHttpUser):
    """Asks one route, again as soon as the answer is there."""

    abstract = True
    wait_time = constant(0)
    route = ""

    @task
    def ask(self) -> None:
        body = random.choice(BODIES)  # which picture is next is no secret
        path = f"{self.route}?model={ROUTES[self.route]}"
        with self.client.post(
            path, data=body.data, headers=HEADERS, name=self.route, catch_response=True
        ) as response:
            try:
                answer = response.json()
            except ValueError:
                answer = None
            if problem := wrong(response.status_code, answer, body.images):
                response.failure(problem)
            else:
                response.success()


class Classifier(_Asker):
    """`POST /classify`."""

    route = "/classify"


class Detector(_Asker):
    """`POST /detect`."""

    route = "/detect"


class Segmenter(_Asker):
    """`POST /segment`."""

    route = "/segment"

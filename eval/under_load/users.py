"""What runs inside the Locust process: users that send recorded requests, one after the other, without end.

Locust changes the whole process it is imported in, so nothing here imports it before it is called there.
"""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from eval.remote.recording import Sent

__all__ = ["BEGUN", "LOCUSTFILE", "REQUESTS", "TOLD", "replaying", "write_requests"]

REQUESTS, BEGUN, TOLD = "requests.json", "begun", "told.json"
LOCUSTFILE = """\
from pathlib import Path
from eval.under_load.users import replaying
Replaying = replaying(Path(__file__).parent)
"""
MOST_ERRORS_TOLD = 5
WATCH_S = 0.5  # between two looks at whether the process that wants this is still there


def write_requests(folder: Path, requests: Sequence[Sent], *, per_second: float | None = None) -> None:
    """What the users are to send, at most so often each, and the process that wants it."""
    told = [
        {
            "method": r.method,
            "url": r.url,
            "headers": dict(r.headers),
            "body": base64.b64encode(r.body).decode(),
        }
        for r in requests
    ]
    whole = {"requests": told, "per_second": per_second, "parent": os.getpid()}
    (folder / REQUESTS).write_text(json.dumps(whole), encoding="utf-8")


def replaying(folder: Path) -> Any:
    """The user class; whoever started this process is told when load has begun and what it was."""
    import gevent
    from locust import FastHttpUser, constant, constant_throughput, events, task

    whole = json.loads((folder / REQUESTS).read_text(encoding="utf-8"))
    requests = [{**r, "body": base64.b64decode(r["body"])} for r in whole["requests"]]
    started: list[int] = []

    class Replaying(FastHttpUser):
        """Sends one request after the other, from another place in the list than its neighbours."""

        wait_time = constant_throughput(whole["per_second"]) if whole["per_second"] else constant(0)
        max_redirects = 0

        def on_start(self) -> None:
            self.at = 7 * len(started)
            started.append(self.at)

        @task
        def ask(self) -> None:
            request = requests[self.at % len(requests)]
            self.at += 1
            self.client.request(
                request["method"], request["url"], data=request["body"], headers=request["headers"],
                name="pictures",
            )  # fmt: skip

    def watch() -> None:
        while os.getppid() == whole["parent"]:
            gevent.sleep(WATCH_S)
        os._exit(1)  # nobody is left to end this, nor to be told

    def begun(**_: Any) -> None:
        (folder / BEGUN).touch()

    def told(environment: Any, **_: Any) -> None:
        (folder / TOLD).write_text(json.dumps(_summary(environment.stats)), encoding="utf-8")

    gevent.spawn(watch)
    hooks: Any = events
    hooks.spawning_complete.add_listener(begun)
    hooks.quitting.add_listener(told)
    return Replaying


def _summary(stats: Any) -> dict[str, Any]:
    total = stats.total
    times = {f"p{p}_ms": total.get_response_time_percentile(p / 100) or 0 for p in (50, 95, 99)}
    errors = [f"{error.error} ({error.occurrences} times)" for error in stats.errors.values()]
    return {
        "requests": total.num_requests,
        "failures": total.num_failures,
        "per_second": total.total_rps,
        **times,
        "errors": errors[:MOST_ERRORS_TOLD],
    }

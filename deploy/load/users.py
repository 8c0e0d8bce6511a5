"""A user of Locust that asks in a closed or in an open loop."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Mapping, Sequence
from typing import Any

import gevent
from gevent.pool import Group
from locust import FastHttpUser, constant, task
from locust.user.task import LOCUST_STATE_STOPPING

from deploy.load.arrivals import SHAPES, arrivals
from deploy.load.options import headers_of
from deploy.load.payloads import Ask, wrong

__all__ = ["Asker"]

STREAMS = itertools.count()  # users of this process
NAP_S = 0.1  # how often a sleeping open loop looks whether the run is over


class Asker(FastHttpUser):
    """Closed loop: asks again as soon as the answer is there. Open loop: asks whenever a request is due.

    The Poisson stream of a run is shared by its users: independent streams of `rate / users` add up to one of
    `rate`, on however many workers they run.
    """

    abstract = True
    wait_time = constant(0)
    told: Mapping[str, str] = {}  # headers of every request
    concurrency = 1000  # connections of one user; what waits for one is late, and is counted as late

    def __init__(self, environment: Any) -> None:
        self.network_timeout = self.connection_timeout = environment.parsed_options.timeout_s
        super().__init__(environment)

    def pool(self) -> Sequence[Ask]:
        """What may be asked; each is as likely."""
        raise NotImplementedError

    def on_start(self) -> None:
        """Draw the pictures before the first request is due."""
        self.options = self.environment.parsed_options
        worker = getattr(self.environment.runner, "worker_index", 0)
        self.chance = random.Random(f"{self.options.seed} {worker} {next(STREAMS)}")
        self.asks, self.told = self.pool(), headers_of(self.options)

    @task
    def work(self) -> None:
        if self.options.rate:
            self.arrive()
        else:
            self.ask(self.chance.choice(self.asks), time.perf_counter())

    def arrive(self) -> None:
        """Send each request when it is due, until the run is over; then wait for what is under way."""
        group, began, told = Group(), time.perf_counter(), self.options
        rate, shape = told.rate / told.streams, SHAPES[told.shape]
        try:
            for after in arrivals(rate, shape=shape, seconds=told.seconds, rng=self.chance):
                if not self._sleep_until(began + after):
                    group.join()
                    return
                group.spawn(self.ask, self.chance.choice(self.asks), began + after)
        finally:
            group.kill()

    def _sleep_until(self, due: float) -> bool:
        """False when the run was over before; others get their turn even when it is late."""
        while True:
            gevent.sleep(max(0.0, min(NAP_S, due - time.perf_counter())))
            if self._state == LOCUST_STATE_STOPPING:
                return False
            if time.perf_counter() >= due:
                return True

    def ask(self, ask: Ask, due: float) -> None:
        """Send one request; it counts from when it was due, and as failed if it is never answered."""
        lag_ms = (time.perf_counter() - due) * 1000
        context = {"lag_ms": lag_ms, "images": ask.images, "due": time.time() - lag_ms / 1000}
        told: dict[str, Any] = {"name": ask.name, "context": context}
        headers = {**ask.headers, **self.told}
        sent: dict[str, Any] = {"data": ask.data, "headers": headers, "catch_response": True}
        try:
            with self.client.post(ask.path, **sent, **told) as response:
                response.request_meta["response_time"] = (time.perf_counter() - due) * 1000
                try:
                    answer = response.json()
                except ValueError:
                    answer = None
                if problem := wrong(ask, response.status_code, answer):
                    response.failure(problem)
                else:
                    response.success()
        except gevent.GreenletExit:
            took: dict[str, Any] = {"response_time": (time.perf_counter() - due) * 1000, "response_length": 0}
            self.environment.events.request.fire(
                request_type="POST", exception=TimeoutError("never answered"), **told, **took
            )
            raise

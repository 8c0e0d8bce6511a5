"""EvaluationService: evaluations and audits of live endpoints as jobs over REST. Wiring only."""

from __future__ import annotations

import logging
import os
from typing import cast

import bentoml
from _bentoml_sdk.service import get_current_service

from eval.jobs.desk import Desk
from eval.jobs.edge import Edge
from eval.jobs.routes import application
from eval.jobs.settings import JobSettings
from eval.jobs.tied import die_with_parent

__all__ = ["EvaluationService"]


def _current() -> Desk | None:
    """What runs in this process; None until BentoML has made its service."""
    try:
        return cast("Desk", get_current_service().desk)
    except (AttributeError, RuntimeError, ValueError):
        return None


# One process answers: it does little, the jobs are processes of their own. With more, one of them runs
# the queue. BentoML's own HTTP metrics are labelled with the raw path, which holds ids here.
@bentoml.service(
    name="assay-evaluation",
    workers=1,
    traffic={"timeout": 60},
    metrics={"enabled": False},
    logging={"access": {"enabled": False}},
)
class EvaluationService:
    """Jobs: a run of the `assay` command each, in a process of its own."""

    def __init__(self) -> None:
        logging.getLogger("assay").setLevel(logging.INFO)
        if "PROMETHEUS_MULTIPROC_DIR" in os.environ:  # a process of BentoML's arbiter, which may be killed
            die_with_parent()
        self.desk = Desk(JobSettings())
        self.desk.runner.start()

    @bentoml.on_deployment  # type: ignore[untyped-decorator]
    def replace_dead_workers() -> None:  # BentoML calls it on the class, in the parent
        """In a container too, where BentoML would go on without them."""
        os.environ.pop("BENTOML_CONTAINERIZED", None)

    async def __is_ready__(self) -> bool:
        return self.desk.runner.healthy

    @bentoml.on_shutdown  # type: ignore[untyped-decorator]
    def close(self) -> None:
        self.desk.runner.close()


EvaluationService.mount_asgi_app(application(_current), path="/")  # type: ignore[attr-defined]  # it is a Service now
EvaluationService.add_asgi_middleware(Edge, current=_current)  # type: ignore[attr-defined]

"""Tries both images as production runs them: ready, confined, right, measured, and ended without a loss."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from deploy.image.bento import BENTOS
from deploy.image.confinement import confinement
from deploy.image.container import Container, running
from deploy.image.drain import Drained, drained
from deploy.image.engine import Engine
from deploy.image.measured import accuracy, claimed
from deploy.image.questions import QUESTIONS

__all__ = ["Smoke", "smoke"]

DRAIN_S = 3.0
NEAR = 0.002  # of the claimed accuracy: another processor may see a picture or two of 1,000 otherwise


@dataclass(frozen=True, slots=True)
class Smoke:
    """What was measured, and what is not as it must be."""

    figures: dict[str, float | int | None] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)

    def lines(self) -> Iterator[str]:
        for name, value in self.figures.items():
            yield f"{name:36} {value}"
        for reason in self.wrong:
            yield f"wrong: {reason}"


def smoke(engine: Engine, environment: Mapping[str, str] | None = None) -> Smoke:
    """Run the inference image through its life, with the evaluation image beside it.

    Args:
        environment: of the service, over what the test sets.

    Raises:
        EngineError: an image is not there, or does not start.
    """
    service, evaluation = (bento.image for bento in BENTOS)
    told = Smoke()
    settings = {"ASSAY_DRAIN_S": str(DRAIN_S), **(environment or {})}
    with running(engine, service, settings) as container:
        told.figures["smoke.ready_s"] = round(container.ready(), 2)
        _confined(container, service, told)
        _right(container, told)
        found = accuracy(container, evaluation)
        told.figures["smoke.evaluated_accuracy"] = found
        if found is None or abs(found - claimed()) > NEAR:
            told.wrong.append(f"the evaluation image must measure an accuracy of {claimed()}, got {found}")
        told.figures["smoke.rss_mb"] = round(confinement(container).rss_kb * 1024 / 1e6)
        _ended(drained(container, QUESTIONS[0](), DRAIN_S), told)
    return told


def _confined(container: Container, image: str, told: Smoke) -> None:
    with container.way.threads() as threads:
        if (status := threads.submit(container.way.status, "/livez").result()) != 200:
            told.wrong.append(f"/livez must be 200, got {status}")
    if not container.is_healthy(image):
        told.wrong.append("the image's own health check fails while /readyz is 200")
    told.wrong.extend(confinement(container).wrong())


def _right(container: Container, told: Smoke) -> None:
    questions = [question() for question in QUESTIONS]
    with container.way.threads() as threads:
        wrong = [threads.submit(question.ask, container.way).result() for question in questions]
    told.wrong.extend(reason for reason in wrong if reason)
    told.figures["smoke.tasks"] = len(questions)
    told.figures["smoke.tasks_right"] = wrong.count(None)


def _ended(end: Drained, told: Smoke) -> None:
    counted: dict[str, float | int | None] = {
        "smoke.requests": end.answered + end.failed,
        "smoke.connections": end.connections,
        "smoke.requests_while_draining": end.during,
        "smoke.failed_requests": end.failed,
        "smoke.late_requests": end.late,
        "smoke.stop_s": round(end.stop_s, 2),
        "smoke.exit_code": end.exit_code,
        "smoke.left_running": end.left,
    }
    told.figures.update(counted)
    if end.failed:
        told.wrong.append(f"{end.failed} requests were lost that were begun before the drain was over")
    if not end.during:
        told.wrong.append("no request was answered after SIGTERM: nothing was drained")
    if end.exit_code or end.left:
        told.wrong.append(f"it must end with 0 and leave nothing, got {end.exit_code}, {end.left} processes")

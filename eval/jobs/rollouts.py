"""Gates that a rollout asks for by name: one verdict for each revision of a canary, and only one.

Flagger (https://docs.flagger.app/usage/webhooks) posts the canary's name, namespace and checksum, and goes
on when it hears 200. It asks again and again; what it hears is what was recorded.
"""

from __future__ import annotations

import hashlib
import json
import re
from pathlib import Path
from typing import Annotated, Any, TypeAlias

import yaml
from pydantic import BaseModel, ConfigDict, StringConstraints, ValidationError

from eval.jobs.asked import Gate, parse
from eval.jobs.catalogue import NAME, CatalogueError
from eval.jobs.commands import MESSAGE
from eval.jobs.errors import (
    BadBody,
    BadParameter,
    GateFailed,
    GateOpen,
    GatePassed,
    GateRunning,
    GateUnasked,
    JobError,
    UnknownName,
)
from eval.jobs.states import ENDED
from eval.jobs.store import Job

__all__ = ["MOST_TRIES", "Gates", "Revision", "answer_of", "may_roll_back", "unasked"]

Name: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$")]
Checksum: TypeAlias = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._:-]{1,128}$")]
FILE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}\.yaml")  # of rules, beside the gate
MOST_TRIES = 100
MOST_WORDS = 1000  # characters of why


class _Told(BaseModel):
    """What Flagger adds to its payload one day is not in the way."""

    model_config = ConfigDict(strict=True, frozen=True)


class _Metadata(_Told):
    gate: Annotated[str, StringConstraints(pattern=NAME)]


class Revision(_Told):
    """A canary that asks whether it may go on.

    Attributes:
        checksum: of its pod template and its configuration: another revision has another.
        metadata: `gate` is the name of the gate.
    """

    name: Name
    namespace: Name
    checksum: Checksum
    metadata: _Metadata

    @staticmethod
    def of(body: bytes) -> Revision:
        """Raises BadBody, or BadParameter that says which field is not right."""
        try:
            return Revision.model_validate_json(body)
        except ValidationError as error:
            wrong: Any = error.errors(include_url=False, include_input=False)[0]
            where = ".".join(map(str, wrong["loc"]))[:100]
            if not where:
                raise BadBody(f"the body must be a JSON object: {wrong['msg']}"[:300]) from None
            raise BadParameter(f"{where}: {wrong['msg']}"[:300]) from None

    def key(self, asked: str, attempt: int) -> str:
        """By which a job is known again; no caller's own key can be one, for it holds a space.

        Args:
            asked: the body of the job: a gate that was changed is another gate.
        """
        told = json.dumps([self.namespace, self.name, self.checksum, self.metadata.gate, asked])
        return f"rollout {hashlib.sha256(told.encode()).hexdigest()} {attempt}"


class Gates:
    """The operator's gates: NAME.yaml in a folder, read when they are asked for.

    Raises:
        CatalogueError: there is no such folder.
    """

    def __init__(self, folder: Path | None) -> None:
        if folder is not None and not folder.is_dir():
            raise CatalogueError(f"{folder} must be a folder of gates, NAME.yaml")
        self._folder = folder

    def read(self, name: str) -> Gate:
        """The gate of a name; `rules` may be the name of a file beside it.

        Raises:
            UnknownName: there is none.
            BadParameter: it is none, or has no live subject.
        """
        if self._folder is None:
            raise UnknownName(
                "there are no gates here; the operator names their folder in ASSAY_EVAL_GATES_DIR"
            )
        told = _read(self._folder / f"{name}.yaml", f"gate {name!r}")
        if isinstance(told, dict) and isinstance(rules := told.get("rules"), str):
            if not FILE.fullmatch(rules):
                raise BadParameter(f"the rules of gate {name!r} must be the name of a .yaml file beside it")
            told = {**told, "rules": _read(self._folder / rules, f"rules {rules!r}")}
        try:
            gate = parse("gate", json.dumps(told).encode())
        except (TypeError, ValueError, BadBody) as error:
            raise BadParameter(f"gate {name!r} must be the body of a gate: {error}") from None
        if not isinstance(gate, Gate) or gate.subject.model is None:
            raise BadParameter(f"gate {name!r} must have a live subject, with a model")
        return gate


def _read(path: Path, what: str) -> Any:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        raise UnknownName(f"no {what} can be read here") from None


def unasked(job: Job) -> bool:
    """Whether a gate ended without a verdict, so that it may be tried again."""
    return job.state in ENDED and (job.state != "done" or job.verdict == "could not be asked")


def answer_of(job: Job, folder: Path) -> JobError | None:
    """What a rollout hears that asks whether it may go on: None is yes."""
    if unasked(job):
        return GateUnasked(f"could not be asked: {_why(job, folder)}")
    if job.state != "done":
        return GateRunning(f"job {job.id} is {job.state}")
    if job.verdict == "pass":
        return None
    failed = job.verdict == "fail"
    return (GateFailed if failed else GateOpen)(_why(job, folder))


def may_roll_back(job: Job | None, folder: Path) -> JobError | None:
    """What a rollout hears that asks whether it must go back: None is yes."""
    if job is None:
        return GateRunning("this revision has not been judged yet")
    told = answer_of(job, folder)
    if told is None:
        return GatePassed(f"job {job.id} passed")
    return None if isinstance(told, GateFailed | GateOpen) else told


def _why(job: Job, folder: Path) -> str:
    """In the words of the gate, as one line."""
    try:
        text = (folder / MESSAGE).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        text = job.why or f"it is {job.state}"
    return f"{'; '.join(text.splitlines())[:MOST_WORDS]} (job {job.id})"

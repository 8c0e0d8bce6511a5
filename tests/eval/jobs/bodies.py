"""Bodies of jobs, and the commands they become."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from eval.jobs.asked import parse
from eval.jobs.catalogue import Catalogue
from eval.jobs.commands import Commands
from eval.jobs.errors import UnknownName
from eval.jobs.settings import JobSettings
from eval.jobs.states import Kind

JOB = "0" * 32
GOOD: dict[str, Any] = {"endpoint": {"url": "http://127.0.0.1:3000"}, "data": "digits:test"}


def commands(**told: Any) -> Commands:
    """Of a service with these settings, in which one job is done: `JOB`."""

    def run_of(job_id: str, _: object) -> Path:
        if job_id != JOB:
            raise UnknownName("no such run")
        return Path("RUN")

    made = JobSettings(**told)
    return Commands(made, Catalogue(made.data_file, made.forms_dir), run_of, ("assay",))


def arguments(kind: Kind = "evaluation", made: Commands | None = None, **fields: Any) -> list[str]:
    """What would be run for a body; raises what the caller would be told."""
    made = made or commands()
    return made.of(kind, parse(kind, json.dumps({**GOOD, **fields}).encode()), Path("OUT"))


def endpoint(**fields: Any) -> dict[str, Any]:
    """An endpoint that differs in some fields."""
    return {"endpoint": {**GOOD["endpoint"], **fields}}

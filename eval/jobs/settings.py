"""Every knob of the evaluation service, in one place, read once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, PositiveFloat, PositiveInt, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from eval.jobs.hosts import Hosts

__all__ = ["JobSettings"]

PROJECT = Path(__file__).resolve().parents[2]
NEAR = "localhost,127.0.0.1,[::1],.svc,.svc.cluster.local"


class JobSettings(BaseSettings):
    """Read from `ASSAY_EVAL_*` variables."""

    model_config = SettingsConfigDict(
        env_prefix="ASSAY_EVAL_", extra="forbid", frozen=True, arbitrary_types_allowed=True
    )

    home: Path = Field(
        PROJECT / "runs" / "evaluation",
        description="Folder of the queue and of every job's report. One disk of this machine: not NFS.",
    )
    data_file: Path | None = Field(
        None, description="YAML or JSON, name: KIND:ARGUMENT; the data a job may name beside the built-ins."
    )
    forms_dir: Path | None = Field(
        None, description="Folder of NAME.yaml (templates) and NAME.json (model cards) a job may name."
    )
    gates_dir: Path | None = Field(
        None, description="Folder of NAME.yaml, the gates a rollout may name: bodies of POST /v1/gates."
    )
    hosts: Annotated[Hosts, NoDecode] = Field(
        Hosts.parse(NEAR),
        description="Hosts a job may measure: NAME, .SUFFIX, ADDRESS or [ADDRESS]; with :PORT for one port.",
    )
    audit_hosts: Annotated[Hosts, NoDecode] = Field(
        Hosts.parse(NEAR), description="Hosts whose owner agreed to be attacked, in the same words."
    )
    api_keys_file: Path | None = Field(
        None, description="File with one key a line; without it, everybody may ask."
    )
    jobs: PositiveInt = Field(1, description="Jobs that run at once, a process each.")
    max_waiting: int = Field(64, ge=0, description="Jobs that may wait; one more gets 429.")
    max_images: PositiveInt = Field(100_000, description="Most images a job may ask for with `limit`.")
    max_queries: PositiveInt = Field(1_000_000, description="Most queries of one audit.")
    attempts: PositiveInt = Field(3, description="Times a job that crashes is started before it has failed.")
    job_timeout_s: PositiveFloat = Field(
        21_600.0, description="Seconds until a job is stopped, each attempt."
    )
    grace_s: PositiveFloat = Field(5.0, description="Seconds between SIGTERM and SIGKILL for a job.")
    keep: PositiveInt = Field(1_000, description="Ended jobs that are kept, with their reports.")
    max_body_bytes: PositiveInt = Field(65_536, description="Largest request, bytes.")
    body_timeout_s: PositiveFloat = Field(10.0, description="Seconds until a request's body must be there.")

    @field_validator("hosts", "audit_hosts", mode="before")
    @classmethod
    def _parsed(cls, value: Any) -> Any:
        return Hosts.parse(value) if isinstance(value, str) else value

"""Which of docker, podman and buildah is there, and how it is called."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast

__all__ = [
    "BUILDERS",
    "CONFIGURATION",
    "RUNNERS",
    "Engine",
    "EngineError",
    "find",
    "last_lines",
    "needs_configuration",
]

Name = Literal["docker", "podman", "buildah"]
BUILDERS: tuple[Name, ...] = ("docker", "podman", "buildah")
RUNNERS: tuple[Name, ...] = ("docker", "podman")
CONFIGURATION = Path(__file__).with_name("containers.conf")
SYSTEMD = Path("/run/systemd/system")  # there if and only if systemd is process 1
PATIENCE_S = 20.0
INSTALL = "apt-get install --no-install-recommends podman buildah runc"
TOLD_LINES = 5  # of what an engine said before it failed


class EngineError(RuntimeError):
    """A container engine that is not there, or what it failed at; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine of this machine.

    Attributes:
        program: its path.
        environment: variables it needs beside ours.
    """

    name: Name
    program: str
    environment: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_docker(self) -> bool:
        return self.name == "docker"

    @property
    def has_host_network(self) -> bool:
        """Whether containers share the machine's network by default; nothing can be published then."""
        return not self.is_docker and self.variables().get("CONTAINERS_CONF") == str(CONFIGURATION)

    def command(self, *words: str) -> list[str]:
        return [self.program, *words]

    def variables(self) -> dict[str, str]:
        """The whole environment to call it in."""
        return {**os.environ, **self.environment}

    def run(self, *words: str, check: bool = True, **options: object) -> subprocess.CompletedProcess[str]:
        """What `engine words...` said. Raises EngineError with its last lines where it fails and `check`."""
        told = subprocess.run(  # noqa: S603  # no shell, our own words
            self.command(*words), env=self.variables(), capture_output=True, text=True, **options
        )  # type: ignore[call-overload]  # the options are subprocess.run's own
        done = cast("subprocess.CompletedProcess[str]", told)
        if check and done.returncode:
            raise EngineError(f"{self.name} {words[0]} failed: {last_lines(done.stderr or done.stdout)}")
        return done

    def ask(self, *words: str) -> str:
        """Its output, without the last line's end."""
        return self.run(*words).stdout.strip()

    def has_image(self, reference: str) -> bool:
        return self.run("inspect", "--type", "image", reference, check=False).returncode == 0


def needs_configuration(environment: Mapping[str, str]) -> bool:
    """Whether podman and buildah would take defaults here that only work under systemd."""
    return "CONTAINERS_CONF" not in environment and os.geteuid() == 0 and not SYSTEMD.is_dir()


def find(of: Sequence[Name] = BUILDERS, environment: Mapping[str, str] | None = None) -> Engine:
    """The first engine of `of` that is installed and answers.

    Raises:
        EngineError: there is none; the message tells what was there and why it does not serve.
    """
    told = os.environ if environment is None else environment
    extra = {"CONTAINERS_CONF": str(CONFIGURATION)} if needs_configuration(told) else {}
    reasons: list[str] = []
    for name in of:
        program = shutil.which(name, path=told.get("PATH", os.defpath))
        if program is None:
            continue
        engine = Engine(name, program, {} if name == "docker" else extra)
        if (reason := _silent(engine)) is None:
            return engine
        reasons.append(f"{name} is installed but does not answer ({reason})")
    raise EngineError(_none(of, reasons))


def _silent(engine: Engine) -> str | None:
    """Why an engine does not answer; None when it does. A docker client without a daemon is no engine."""
    try:
        engine.run("info", timeout=PATIENCE_S)
    except EngineError as error:
        return str(error).partition(": ")[2]
    except (OSError, subprocess.TimeoutExpired) as error:
        return str(error)
    return None


def _none(of: Iterable[Name], reasons: Sequence[str]) -> str:
    wanted = " or ".join(of)
    found = "; ".join(reasons) or "none is installed"
    return f"{wanted} must work here: {found}; on Debian: {INSTALL}"


def last_lines(told: str) -> str:
    """The end of what a program said, in one line."""
    return " | ".join(told.strip().splitlines()[-TOLD_LINES:]) or "it said nothing"

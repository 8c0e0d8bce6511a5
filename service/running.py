"""What a running service is made of; every handler gets it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from service.access import Access
from service.body import Memory
from service.drain import Drain
from service.engine import Engine
from service.logs import AccessLog
from service.registry import Registry
from service.settings import ServiceSettings
from service.tally import flush
from service.telemetry import begin

__all__ = ["Running", "start"]


@dataclass(frozen=True, slots=True)
class Running:
    """One process's parts.

    Attributes:
        document: gives the OpenAPI document as JSON.
    """

    settings: ServiceSettings
    registry: Registry
    engine: Engine
    memory: Memory
    access: Access
    drain: Drain
    document: Callable[[], bytes]
    log: AccessLog

    @property
    def ready(self) -> bool:
        """Whether to send requests here."""
        return self.registry.ready and not self.drain.began

    def close(self) -> None:
        """Let what runs end, and write what was noted."""
        self.registry.stop()
        self.engine.close()
        self.log.flush()
        flush()


def start(document: Callable[[], bytes]) -> Running:
    """Read the settings, start the slots, load the models in the background."""
    settings = ServiceSettings()
    begin()
    registry = Registry(settings)
    access = Access(settings.api_keys_file, settings.admin_keys_file)
    running = Running(
        settings,
        registry,
        Engine(settings),
        Memory(settings.max_buffered_bytes),
        access,
        Drain(settings.drain_s),
        document,
        AccessLog(),
    )
    registry.start()
    return running

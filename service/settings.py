"""Every knob of the service, in one place, read once."""

from __future__ import annotations

import math
import os
from pathlib import Path

from pydantic import Field, PositiveFloat, PositiveInt
from pydantic_settings import BaseSettings, SettingsConfigDict

__all__ = ["ServiceSettings", "usable_cpus"]

PROJECT = Path(__file__).resolve().parents[1]
QUOTAS = (  # where Linux keeps the CPU quota: cgroup v2, then v1
    ("/sys/fs/cgroup/cpu.max", None),
    ("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", "/sys/fs/cgroup/cpu/cpu.cfs_period_us"),
)


def usable_cpus() -> int:
    """Whole CPUs this process may use: its affinity, cut by its cgroup's quota.

    Neither Python nor onnxruntime looks at the quota; a pod of half a CPU would start a thread
    for every core of the node.
    """
    affinity = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for quota_path, period_path in QUOTAS:
        try:
            words = Path(quota_path).read_text().split()
            period = Path(period_path).read_text() if period_path else words[1]
            quota = float(words[0]) / float(period)
        except (OSError, ValueError, IndexError):  # "max", or no such file
            continue
        if quota > 0:
            return max(1, min(affinity, math.ceil(quota)))
    return affinity


class ServiceSettings(BaseSettings):
    """Read from `ASSAY_*` variables.

    A setting exists only if two deployments would really differ in it.
    """

    model_config = SettingsConfigDict(env_prefix="ASSAY_", extra="forbid", frozen=True)

    model_repository: Path = Field(
        PROJECT / "models" / "zoo", description="Folder of `<name>/<version>/` that is served."
    )
    versions: str = Field(
        "all",
        pattern=r"^(all|latest|[1-9]\d*(,[1-9]\d*)*)$",
        description="Which versions are served: `all`, `latest`, or numbers such as `1,3`.",
    )
    poll_s: float = Field(
        5.0, ge=0, description="Seconds between looks at the repository for new versions; 0 never looks."
    )
    workers: PositiveInt = Field(
        1, description="Processes; each loads every model. Threads do more for less."
    )
    runs: PositiveInt = Field(
        default_factory=lambda told: max(1, usable_cpus() // told["workers"]),
        description="Batches run at once in one process, a thread each.",
    )
    threads: PositiveInt = Field(
        1, description="Threads of one run of a graph; more than 1 helps single large images only."
    )
    batch_ms: PositiveFloat = Field(
        20.0, description="A batch takes no more images than are run in this time, milliseconds."
    )
    batch_delay_ms: float = Field(
        0.0, ge=0, description="How long an image may wait for others to share its batch, milliseconds."
    )
    max_waiting: int = Field(
        256,
        ge=0,
        description="Images that may wait for one model; more get 429. One request may always wait.",
    )
    timeout_s: PositiveFloat = Field(30.0, description="Seconds until a request is given up, body included.")
    drain_s: float = Field(
        0.0, ge=0, description="Seconds of service after SIGTERM, while `/readyz` already says 503."
    )
    max_body_bytes: PositiveInt = Field(
        32_000_000, description="Largest request, bytes; after decompression too."
    )
    max_buffered_bytes: PositiveInt = Field(
        512_000_000, description="Most bytes of all requests together that are held; more get 503."
    )
    max_pixels: PositiveInt = Field(
        25_000_000, description="Most pixels in one request, all images together."
    )
    max_images: PositiveInt = Field(128, description="Most images in one request.")
    max_header_bytes: PositiveInt = Field(32_768, description="Most bytes of a request's line and headers.")
    header_timeout_s: PositiveFloat = Field(
        10.0, description="Seconds until the headers must be there, and until a reader must read on."
    )
    max_connections: PositiveInt = Field(2_000, description="Connections; one more is closed at once.")
    api_keys_file: Path | None = Field(
        None, description="File with one key a line; without it, everybody may ask."
    )
    admin_keys_file: Path | None = Field(
        None, description="File with one key a line; without it, nobody may load or unload models over HTTP."
    )

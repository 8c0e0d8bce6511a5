"""What the kernel says of a container's first process: its user, its rights, its limits."""

from __future__ import annotations

import json
from dataclasses import dataclass

from deploy.image.container import MEMORY_BYTES, PIDS, Container

__all__ = ["USER", "Confinement", "confinement"]

USER = 10001
# Run inside, since only there the numbers are the container's own. /proc/1 is the service; we are not.
PROBE = """
import json, os
from pathlib import Path

def words(path):
    return dict(line.split(":", 1) for line in Path(path).read_text().splitlines())

def first(*paths):
    return next((p.read_text().strip() for p in map(Path, paths) if p.exists()), "none")

status = words("/proc/1/status")
pids = [p.name for p in Path("/proc").iterdir() if p.name.isdecimal() and int(p.name) != os.getpid()]
try:
    Path("/assay/written").write_text("")
    written = True
except OSError:
    written = False
print(json.dumps({
    "user": int(status["Uid"].split()[0]),
    "group": int(status["Gid"].split()[0]),
    "capabilities": int(status["CapEff"], 16) | int(status["CapPrm"], 16) | int(status["CapBnd"], 16),
    "no_new_privileges": int(status["NoNewPrivs"]),
    "read_only": bool(os.statvfs("/").f_flag & os.ST_RDONLY) and not written,
    "memory_limit": first("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes"),
    "pids_limit": first("/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max"),
    "shell": any(Path(p).exists() for p in ("/bin/sh", "/bin/bash", "/usr/bin/sh", "/usr/bin/env")),
    "rss_kb": sum(int(words(f"/proc/{p}/status").get("VmRSS", "0").split()[0]) for p in pids),
    "zombies": sum(words(f"/proc/{p}/status")["State"].split()[0] == "Z" for p in pids),
}))
"""


@dataclass(frozen=True, slots=True)
class Confinement:
    """What was found; see PROBE.

    Attributes:
        capabilities: effective, permitted and bounding ones, as a mask.
        rss_kb: of all processes together; what they share is counted more than once.
    """

    user: int
    group: int
    capabilities: int
    no_new_privileges: int
    read_only: bool
    memory_limit: str
    pids_limit: str
    shell: bool
    rss_kb: int
    zombies: int

    def wrong(self) -> list[str]:
        """What is not as it must be, a line each."""
        expected = {
            "user": USER,
            "group": USER,
            "capabilities": 0,
            "no_new_privileges": 1,
            "read_only": True,
            "memory_limit": str(MEMORY_BYTES),
            "pids_limit": str(PIDS),
            "shell": False,
            "zombies": 0,
        }
        pairs = [(name, value, getattr(self, name)) for name, value in expected.items()]
        return [f"{name} must be {value}, got {found}" for name, value, found in pairs if found != value]


def confinement(container: Container) -> Confinement:
    """Ask the kernel, from inside."""
    return Confinement(**json.loads(container.python(PROBE)))

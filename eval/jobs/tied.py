"""`python -m eval.jobs.tied PARENT LOCK SIGNAL PROGRAM ...`: become PROGRAM, and end with PARENT.

Linux ends this process with SIGNAL when the thread that started it ends, however that came about; the
wish survives becoming another program. The lock on LOCK (`-` for none) is kept open for as long as the
program lives: a second one with the same lock waits for it, and gives up when it does not go away. So
nobody else writes into the folder of a job, not even where a process cannot be tied to its parent.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import sys
import time

__all__ = ["LOCKED", "become", "command", "die_with_parent"]

PR_SET_PDEATHSIG = 1
LOCKED = 75  # exit code: somebody else holds the lock (EX_TEMPFAIL)
PATIENCE_S = 20.0


def command(program: list[str], *, lock: str = "-", with_signal: int = signal.SIGKILL) -> list[str]:
    """The argument list that starts a program tied to this process."""
    return [sys.executable, "-m", "eval.jobs.tied", str(os.getpid()), lock, str(int(with_signal)), *program]


def die_with_parent(parent: int | None = None, with_signal: int = signal.SIGKILL) -> None:
    """Tie this process to the one that started it; does nothing where the system cannot.

    Args:
        parent: its id, where it is known: it may be gone already.
    """
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, with_signal, 0, 0, 0)
    if parent is not None and os.getppid() != parent:
        sys.exit(f"the process {parent} that started this is gone")


def become(arguments: list[str]) -> None:
    """Take the lock and turn into the program; comes back never, or as SystemExit."""
    parent, lock, with_signal, *program = arguments
    die_with_parent(int(parent), int(with_signal))
    if lock != "-":
        held = os.open(lock, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        end = time.monotonic() + PATIENCE_S
        while True:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    sys.exit(LOCKED)
                time.sleep(0.05)
        os.set_inheritable(held, True)
    os.execv(program[0], program)  # noqa: S606  # our own words only, and no shell


if __name__ == "__main__":
    become(sys.argv[1:])

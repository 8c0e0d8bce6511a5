"""`python -m service`: serve the repository on one address, with BentoML."""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

__all__ = ["main"]


def main() -> int:
    """Start BentoML as a child with a home of its own; end with it, and as it ended."""
    parser = argparse.ArgumentParser(prog="python -m service", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=3000, help="port; 0 picks a free one (default: 3000)")
    options = parser.parse_args()
    port = options.port or _free_port(options.host)
    # BentoML wipes the metrics folder of its home at start: two servers must not share one.
    home = None if "BENTOML_HOME" in os.environ else tempfile.mkdtemp(prefix="assay-")
    defaults = {
        "BENTOML_HOME": home or "",
        "BENTOML_DO_NOT_TRACK": "True",
        "OTEL_SDK_DISABLED": "true",  # spans of every request and message, sent nowhere by default
    }
    bento = [sys.executable, "-m", "bentoml", "serve", "service.app:VisionService"]
    print(f"serving on http://{options.host}:{port}", flush=True)  # noqa: T201  # whoever started us reads it
    child = subprocess.Popen(  # noqa: S603  # our own words only
        [*bento, "--host", options.host, "--port", str(port)],
        env={**defaults, **os.environ},
        cwd=Path(__file__).resolve().parents[1],
        stdout=sys.stderr,  # the address is all that is said on stdout
    )
    try:
        return _wait(child)
    finally:
        if home:
            shutil.rmtree(home, ignore_errors=True)


def _free_port(host: str) -> int:
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


def _wait(child: subprocess.Popen[bytes]) -> int:
    """Wait for the child; SIGTERM and Ctrl-C are passed on and waited for."""
    import signal

    signal.signal(signal.SIGTERM, lambda *_: child.terminate())
    while True:
        try:
            return child.wait()
        except KeyboardInterrupt:
            child.terminate()


if __name__ == "__main__":
    sys.exit(main())

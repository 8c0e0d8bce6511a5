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

from pydantic import ValidationError

from service.access import Access, KeysError
from service.settings import ServiceSettings

__all__ = ["main"]


def main() -> int:
    """Start BentoML as a child with a home of its own; end with it, and as it ended."""
    parser = argparse.ArgumentParser(prog="python -m service", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=3000, help="port; 0 picks a free one (default: 3000)")
    options = parser.parse_args()
    try:
        settings = ServiceSettings()
        Access(settings.api_keys_file, settings.admin_keys_file)
        port = _usable_port(options.host, options.port)
    except ValidationError as error:
        for wrong in error.errors(include_url=False):
            if wrong["type"] == "default_factory_not_called":  # only because of another's error
                continue
            name = f"ASSAY_{'_'.join(map(str, wrong['loc'])).upper()}"
            sys.stderr.write(f"Error: {name}: {wrong['msg']}, got {str(wrong['input'])[:80]!r}\n")
        return 2
    except (KeysError, OSError) as error:
        sys.stderr.write(f"Error: {error}\n")
        return 2
    # BentoML wipes the metrics folder of its home at start: two servers must not share one.
    home = None if "BENTOML_HOME" in os.environ else tempfile.mkdtemp(prefix="assay-")
    defaults = {
        "BENTOML_HOME": home or "",
        "BENTOML_DO_NOT_TRACK": "True",
        "MALLOC_ARENA_MAX": "2",  # glibc makes eight arenas a core, and each keeps what it once needed
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


def _usable_port(host: str, port: int) -> int:
    """The port, or a free one for 0. Raises OSError, in words, where nothing can listen there."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except (OSError, OverflowError) as error:
            raise OSError(f"nothing can listen on {host}:{port} ({error}); choose another --port") from error
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

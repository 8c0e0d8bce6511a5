"""`python -m eval.jobs`: the evaluation service on one address, with BentoML."""

from __future__ import annotations

import argparse
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

from pydantic import ValidationError

from eval.jobs.access import Keys, KeysError
from eval.jobs.catalogue import Catalogue, CatalogueError
from eval.jobs.rollouts import Gates
from eval.jobs.settings import PROJECT, JobSettings
from eval.jobs.store import Store, StoreError
from eval.jobs.tied import command

__all__ = ["main"]


def main() -> int:
    """Start BentoML as a child that ends with this process, however that ends; end as it ended."""
    parser = argparse.ArgumentParser(prog="python -m eval.jobs", description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=3010, help="port; 0 picks a free one (default: 3010)")
    options = parser.parse_args()
    try:
        settings = JobSettings()
        Keys(settings.api_keys_file)
        Catalogue(settings.data_file, settings.forms_dir)
        Gates(settings.gates_dir)
        Store(settings.home / "queue.sqlite")
        port = _usable_port(options.host, options.port)
    except ValidationError as error:
        for wrong in error.errors(include_url=False):
            name = f"ASSAY_EVAL_{'_'.join(map(str, wrong['loc'])).upper()}"
            sys.stderr.write(f"Error: {name}: {wrong['msg']}, got {str(wrong['input'])[:80]!r}\n")
        return 2
    except (KeysError, CatalogueError, StoreError, OSError) as error:
        sys.stderr.write(f"Error: {error}\n")
        return 2
    paths = {
        name: told.resolve() for name, told in settings if isinstance(told, Path)
    }  # BentoML starts elsewhere
    absolute = {f"ASSAY_EVAL_{name.upper()}": str(path) for name, path in paths.items()}
    defaults = {
        # Of its own: BentoML wipes the metrics folder of its home at start.
        "BENTOML_HOME": str(paths["home"] / "bentoml"),
        "BENTOML_DO_NOT_TRACK": "True",
        "OTEL_SDK_DISABLED": "true",
    }
    bento = [sys.executable, "-m", "bentoml", "serve", "eval.app:EvaluationService"]
    print(f"serving on http://{options.host}:{port}", flush=True)  # noqa: T201  # whoever started us reads it
    with subprocess.Popen(  # noqa: S603  # our own words only
        command([*bento, "--host", options.host, "--port", str(port)], with_signal=signal.SIGTERM),
        env={**defaults, **os.environ, **absolute},
        cwd=PROJECT,
        stdout=sys.stderr,  # the address is all that is said on stdout
    ) as child:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: child.terminate())
        return child.wait()


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


if __name__ == "__main__":
    sys.exit(main())

"""A stand-in for the `assay` command in tests: takes its arguments, does what the model is called after.

`done`, `invalid`, `refused`, `crash`, `killed`: end so. `once`: crash, unless it was tried before.
`wait`: write a journal, then wait to be ended. `deaf`: the same, not minding SIGTERM. `family`: with a
child of its own that is deaf.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

from eval.journal import Journal, Row

DEAF = """
import signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print(1, flush=True)
time.sleep(600)
"""


def main(arguments: list[str]) -> int:
    told = dict(
        word.removeprefix("--").split("=", 1) for word in arguments if word.startswith("--") and "=" in word
    )
    out, model = Path(told["out"]), told.get("model", "done")
    (out / "arguments.json").write_text(json.dumps(arguments))
    match model:
        case "refused":
            sys.stderr.write("noise before\nError: http://x serves no model 'refused'\n")
            return 1
        case "crash":
            raise RuntimeError("a bug")
        case "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        case "once" if not (out / "tried").exists():
            (out / "tried").touch()
            return 70
        case "wait" | "deaf" | "family":
            return wait(out, model)
    for suffix in ("json", "html", "md"):
        (out / f"report.{suffix}").write_text(f"{suffix} {model}")
    return 3 if model == "invalid" else 0


def wait(out: Path, model: str) -> int:
    if model == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with Journal.create(out / "journal.sqlite", {"images": 8}) as journal:
        journal.add([Row(0, "a", "", "", b""), Row(1, "b", "", "", None, "why")])
    if model == "family":
        child = subprocess.Popen([sys.executable, "-c", DEAF], stdout=subprocess.PIPE)
        assert child.stdout is not None
        child.stdout.readline()
        (out / "child").write_text(str(child.pid))
    (out / "pid").write_text(str(os.getpid()))
    sys.stderr.write("".join(f"line {i}\n" for i in range(30)))
    sys.stderr.write(f"the secret is {os.environ.get('ASSAY_EVAL_SECRET_TEST', '')}\n")
    sys.stderr.flush()
    signal.pause()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

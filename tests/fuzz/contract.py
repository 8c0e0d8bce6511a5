"""The live service against its own OpenAPI document, by schemathesis: is what it answers what it says?

schemathesis has requirements of its own, and lives in `.venv-fuzz` (`make fuzz` makes it).
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.bench.serving.processes import ROOT
from tests.bench.serving.servers import assay
from tests.fuzz.asks import ADMIN_KEY
from tests.fuzz.served import repository

__all__ = ["PROGRAM", "ContractError", "contract"]

PROGRAM = ROOT / ".venv-fuzz" / "bin" / "st"
REPORTS = ROOT / "runs" / "fuzz" / "schemathesis"
HOOKS = "tests.fuzz.hooks"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
ADMINISTERED = "^/v2/repository/models/"
# Names that are served, mostly: a random one only ever shows the 404.
CONFIG = """\
[dictionaries.models]
values = [{models}]
[dictionaries.versions]
values = ["1"]
[parameters]
"path.model" = {{ dictionary = "models", probability = 0.7 }}
"path.version" = {{ dictionary = "versions", probability = 0.7 }}
"""


class ContractError(Exception):
    """schemathesis could not do its work; says why."""


def contract(folder: Path, seed: int, inputs: int) -> dict[str, float]:
    """`schemathesis_cases` and `schemathesis_failures`; nothing where schemathesis is not installed.

    Args:
        inputs: of the whole run; more of them, more cases of each route.
    """
    if not PROGRAM.exists():
        return {}
    shutil.rmtree(REPORTS, ignore_errors=True)
    each = max(5, min(300, inputs // 2000))
    keys = folder / "contract-keys"
    keys.write_text(f"{ADMIN_KEY}\n")
    served = repository(folder / "contract")
    with assay(served, folder / "contract-home", admin_keys_file=keys, poll_s=0) as process:
        asking = _run(folder, process.url, seed, each, "asking", ["lamp", "levels", "frame", "shade"])
        # With the key, and only what needs it: a model that is unloaded answers nobody else.
        loading = _run(folder, process.url, seed, each, "loading", ["spare"])
    return {name: asking[name] + loading[name] for name in asking}


def _run(folder: Path, url: str, seed: int, each: int, name: str, models: list[str]) -> Mapping[str, float]:
    config, report = folder / f"{name}.toml", REPORTS / f"{name}.json"
    config.write_text(CONFIG.format(models=", ".join(f'"{model}"' for model in models)))
    admin = name == "loading"
    ways = ["--include-path-regex" if admin else "--exclude-path-regex", ADMINISTERED]
    key = ["--header", f"X-API-Key: {ADMIN_KEY}"] if admin else []
    command = [
        *(str(PROGRAM), "--config-file", str(config), "run", f"{url}/docs.json", "--no-color", *ways, *key),
        *("--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing", "--continue-on-failure"),
        *("--max-examples", str(each), "--seed", str(seed), "--generation-database", "none"),
        *("--report", "json", "--report-json-path", str(report), "--request-timeout", "30"),
    ]
    report.parent.mkdir(parents=True, exist_ok=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": HOOKS}
    ran = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    (REPORTS / f"{name}.txt").write_text(ran.stdout + ran.stderr)
    if not report.exists() or not (told := json.loads(report.read_text()))["complete"]:
        raise ContractError(f"schemathesis ended with {ran.returncode}:\n{(ran.stdout + ran.stderr)[-3000:]}")
    cases = told["test_cases"]
    wrong = cases["with_failures"] + len(told["errors"])
    return {"schemathesis_cases": cases["generated"], "schemathesis_failures": wrong}

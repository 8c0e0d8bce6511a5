"""`python -m tests.faults`: every fault and seed, and how many runs gave wrong numbers, as flat JSON."""

from __future__ import annotations

import json
import sys

from tests.faults.cases import CASES
from tests.faults.counted import counted

if __name__ == "__main__":
    counts = counted(max(case.seeds for case in CASES))
    told = {f"network_faults.{name}": count for name, count in counts.items()}
    sys.stdout.write(json.dumps(told, indent=2) + "\n")

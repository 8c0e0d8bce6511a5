"""Whatever the network does, a run gives the numbers of a clean one or says that it has none."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from tests.faults.cases import CASES, Case, Ends
from tests.faults.running import RUNS, through

SEED = 0  # `python -m tests.faults` takes more
EVERY = [
    pytest.param(name, case, id=f"{name}-{re.sub('[^a-z]+', '-', case.name)}")
    for name in RUNS
    for case in CASES
    if case.ends(name) is not None
]


@pytest.mark.parametrize(("name", "case"), EVERY)
def test_never_wrong_numbers(
    name: str, case: Case, service: str, data: str, clean: dict[str, str], tmp_path: Path
) -> None:
    outcome = asyncio.run(through(RUNS[name], case, SEED, service, data, tmp_path))
    wanted = case.ends(name)
    assert outcome.struck
    assert not outcome.wrong(clean[name])
    same = outcome.report == clean[name]
    assert same or outcome.why or not outcome.valid
    if wanted is not Ends.EITHER:
        assert same is (wanted is Ends.SAME), outcome.why

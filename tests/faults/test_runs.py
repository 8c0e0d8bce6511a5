"""Whatever the network does, a run gives the numbers of a clean one or says that it has none."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from unittest.mock import patch

import pytest

from tests.faults.cases import CASES, Case, Ends
from tests.faults.running import RUNS, through

SEED = 0  # `python -m tests.faults` takes more
EVERY = [
    pytest.param(name, case, id=f"{name}-{re.sub('[^a-z]+', '-', case.name)}")
    for name in RUNS
    for case in CASES
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


@pytest.mark.parametrize(
    ("name", "fault"),
    [("evaluation", "another digit in an answer"), ("audit", "garbage over every request's end")],
)
def test_without_digests_they_would_be_wrong(
    name: str, fault: str, service: str, data: str, clean: dict[str, str], tmp_path: Path
) -> None:
    """The faults are as bad as they say."""
    (case,) = [case for case in CASES if case.name == fault]

    async def none(_: bytes) -> str:
        return "unixsum=0"

    async def intact(*_: object) -> bool:
        return True

    with patch("eval.remote.http.digest_of", none), patch("eval.remote.http.is_intact", intact):
        outcome = asyncio.run(through(RUNS[name], case, SEED, service, data, tmp_path))
    assert outcome.wrong(clean[name])

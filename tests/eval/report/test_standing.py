"""What became of every sample: counted against the slow definition, one sample at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.attacks.base import Threat
from eval.attacks.results import AttackResult, worst_case
from eval.report.standing import Counts, Standing, counted, counts_of, standing_of
from tests.eval.report.audits import result


def worst(row: str) -> str:
    """In words: wrong if its first answer was; fallen if anything made it fall; else unknown or standing."""
    answered = row.replace("e", "")
    if answered.startswith("w"):
        return "w"
    if "f" in row or "w" in row:
        return "f"
    return "e" if "e" in row else "s"


@given(st.lists(st.text("sfwe", min_size=3, max_size=3), max_size=12))
def test_the_worst_of_all_attacks(rows: list[str]) -> None:
    told = Standing("untargeted", "t", 9, ["a", "b", "c"], {str(i): row for i, row in enumerate(rows)})
    assert told.letters().tolist() == [worst(row) for row in rows]
    assert told.letters("b").tolist() == [row[1] for row in rows]
    for place, name in enumerate("abc"):
        alone = [r for r in rows if worst(r) == "f" and [i for i in range(3) if r[i] == "f"] == [place]]
        assert told.alone()[name] == len(alone)
    counts = told.counts()
    assert sum(counts) == len(rows)
    assert counts.answered + counts.silent == len(rows)


def test_it_is_what_the_attacks_say() -> None:
    one, two = result("one", "ssfwec"), result("two", "sffwss")
    told = standing_of([one, two], [f"s{i}" for i in range(6)], 50)
    assert dict(told.samples) == {"s0": "ss", "s1": "sf", "s2": "ff", "s3": "ww", "s4": "es", "s5": "ss"}
    assert told.counts() == Counts(stood=2, fell=2, wrong=1, silent=1)
    assert told.counts("one") == counts_of(one) == Counts(3, 1, 1, 1)
    assert counted(told.letters()[:2]) == Counts(1, 1, 0, 0)
    assert told.alone() == {"one": 0, "two": 1}
    without = [name for name, row in told.samples.items() if "e" not in row]
    kept = [r.standing[[int(name[1:]) for name in without]] for r in (one, two)]
    assert int(np.logical_and.reduce(kept).sum()) == told.counts().stood
    assert worst_case([one, two]).sum() == told.counts().stood


def test_samples_of_one_name_are_all_kept() -> None:
    assert list(standing_of([result("a", "sfs")], ["x", "x", "y"], 5).samples) == ["x", "x#2", "y"]


@pytest.mark.parametrize(
    "results",
    [
        [],
        [result("a", "s")],
        [result("a", "ss"), result("b", "ss", goal="targeted")],
        [result("a", "ss"), result("b", "ss", threat=Threat("linf", 9))],
    ],
)
def test_what_does_not_belong_together_is_refused(results: list[AttackResult]) -> None:
    with pytest.raises(ValueError, match="must"):
        standing_of(results, ["x", "y"], 5)

"""What docs/audits.md says of suites, attacks and goals is what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from eval.attacks.goals.tables import GOALS
from eval.attacks.tables import ATTACKS
from eval.attacks.transfer import ON_A_TWIN
from eval.auditing.suites import SUITES, suite_of

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "audits.md").read_text(encoding="utf-8")


def cells(title: str) -> dict[str, list[str]]:
    """Rows of the table below a title, by their first cell."""
    lines = TEXT.split(f"\n## {title}\n")[1].split("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("| `")]
    return {first: rest for first, *rest in rows}


def names(cell: str) -> tuple[str, ...]:
    return tuple(re.findall(r"`([^`]+)`", cell))


def test_every_suite_is_told() -> None:
    assert [name.strip("`") for name in cells("Suites")] == list(SUITES)


@pytest.mark.parametrize("name", SUITES)
def test_what_a_suite_does(name: str) -> None:
    images, queries, attacks, others, corruptions, found, mapped = cells("Suites")[f"`{name}`"]
    sorts, detects, maps = (suite_of(name, task) for task in ("classification", "detection", "segmentation"))
    assert images == f"{sorts.samples} / {detects.samples}"
    assert maps.samples == detects.samples
    assert int(queries) == sorts.budget == detects.budget
    assert names(attacks) == sorts.attacks
    assert names(others) == detects.attacks == maps.attacks
    assert int(corruptions) == len(sorts.corruptions) == len(detects.corruptions)
    assert (names(found), names(mapped)) == (detects.goals, maps.goals)


def test_every_attack_is_told() -> None:
    told = {name for first in cells("Attacks") for name in names(first)}
    assert told == {*ATTACKS, *ON_A_TWIN}


def test_every_goal_is_told_with_what_may_follow() -> None:
    told = {first: names(first) for first in cells("Goals") if "--" not in first}
    assert {forms[0] for forms in told.values()} == set(GOALS)
    for forms in told.values():
        details = {form.partition(":")[2] for form in forms[1:]}
        assert details == set(filter(None, GOALS[forms[0]].detail.split("|")))

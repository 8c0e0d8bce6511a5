"""The record of an audit gives back what it was told, and a wave goes on from it wherever it was cut off."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from eval.attacks.base import Attack, Verdict
from eval.attacks.goals.classification import untargeted
from eval.attacks.results import AttackResult, Facts, Outcome
from eval.attacks.tables import ATTACKS
from eval.attacks.wave import Limits, attack_all
from eval.auditing.record import AttackBook, AuditRecord, CellBook, Row
from eval.errors import EndpointError, EvalError
from eval.journal import Journal
from models.results import Classification
from tests.eval.attacks.test_book import Until
from tests.eval.attacks.test_contract import pictures, right_labels, same, usual

ORIGINALS = pictures(4)
ANSWER = Classification(np.array([0.2, 0.5, 0.3], np.float32))


def record(path: Path) -> AuditRecord:
    return AuditRecord.create(path / "audit.sqlite", {"images": 4})


def outcome(**told: object) -> Outcome:
    facts = Facts(**{"label": 1, "queries": 7, "best_loss": -0.1, **told})  # type: ignore[arg-type]
    return Outcome(facts, ORIGINALS[1] // 2, ANSWER)


def test_outcomes_come_back_bit_for_bit(tmp_path: Path) -> None:
    odd = outcome(start_loss=math.nan, best_loss=math.inf, late_gain=1 / 3, distance=5e-324, fooled=True)
    with record(tmp_path) as kept:
        book = AttackBook(kept, "untargeted/square", ORIGINALS)
        book.note([], [(1, odd), (0, Outcome(Facts(), ORIGINALS[0], None))])
        facts, images, answers = book.columns()
        assert str(list(facts)) == str([Facts(), odd.facts])
        assert images[0] is ORIGINALS[0]  # not kept twice
        np.testing.assert_array_equal(images[1], odd.picture)
        assert [len(images), len(images[:1]), len(answers)] == [2, 1, 2]
        assert answers[0] is None
        back = answers[1]
        assert isinstance(back, Classification)
        np.testing.assert_array_equal(back.scores, ANSWER.scores)
        assert AttackBook(kept, "untargeted/rays", ORIGINALS).ended() == set()


def test_turns_are_forgotten_when_their_dialogue_is_over(tmp_path: Path) -> None:
    told = [Verdict(0.25, False, 3, True), Verdict(-1e-300, True, -1, False)]
    with record(tmp_path) as kept:
        book = AttackBook(kept, "a", ORIGINALS)
        book.note([(2, told), (3, told[:1])], [])
        book.note([(2, told[1:])], [(3, outcome(error=True))])
        again = AttackBook(kept, "a", ORIGINALS)
        assert [list(turn) for turn in again.turns(2)] == [told, told[1:]]
        assert [list(turn) for turn in again.turns(3)] == [told[:1]]  # it failed, and will go on
        assert again.ended() == set()
        again.note([], [(2, outcome()), (3, outcome())])
        assert list(again.turns(2)) == list(again.turns(3)) == []
        assert again.ended() == {2, 3}


def test_rows_of_another_process_are_outcomes(tmp_path: Path) -> None:
    with record(tmp_path) as kept:
        book = AttackBook(kept, "a", ORIGINALS)
        row = Row.of(1, outcome(fooled=True), ORIGINALS[1])
        assert row.told.fooled
        book.add([row])
        np.testing.assert_array_equal(book.picture(1), ORIGINALS[1] // 2)


def told(attack: Attack, endpoint: Until, folder: Path) -> AttackResult:
    images = pictures(5)
    goals, path = untargeted(right_labels(endpoint, images)), folder / "audit.sqlite"
    limits = Limits(budget=60, batch=3, in_flight=2)
    opened = AuditRecord.open(path) if path.exists() else AuditRecord.create(path, {"images": 5})
    with opened as kept:
        book = AttackBook(kept, attack.name, images)
        result = asyncio.run(
            attack_all(
                attack, endpoint, images, goals, threat=usual(attack), limits=limits, seed=0, book=book
            )
        )
        return replace(result, images=list(result.images), answers=list(result.answers))


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_cut_off_again_and_again(attack: Attack, tmp_path: Path) -> None:
    whole = told(attack, Until(10**9), tmp_path / "whole")
    asked = 0
    for requests in (1, 4, 9, 10**9):
        endpoint = Until(requests)
        with suppress(EndpointError):
            result = told(attack, endpoint, tmp_path / "cut")
        asked += len(endpoint.asked)
    same(whole, result)
    assert asked <= whole.queries.sum() + 3 * 2 * 4


def test_cells_are_told_apart(tmp_path: Path) -> None:
    with record(tmp_path) as kept:
        own, other = CellBook(kept), CellBook(kept, "toy/2 ")
        own.keep("clean", [(1, b"b"), (0, b"a")])
        own.keep("clean", [(2, b"c")])
        other.keep("clean", [(0, b"z")])
        assert list(own.kept("clean")) == [(0, b"a"), (1, b"b"), (2, b"c")]
        assert list(other.kept("clean")) == [(0, b"z")]
        assert list(own.kept("fog/1")) == []


def test_what_was_found_once_stays(tmp_path: Path) -> None:
    with record(tmp_path) as kept:
        assert kept.found("flags") is None
        kept.keep("flags", [{"raised": None, "worst": 0.1}])
    with AuditRecord.open(tmp_path / "audit.sqlite") as again:
        assert again.found("flags") == [{"raised": None, "worst": 0.1}]


def test_an_evaluation_is_no_audit(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    Journal.create(path, {"images": 1}).__exit__(None, None, None)
    with pytest.raises(EvalError, match="record of another kind of run"):
        AuditRecord.open(path)

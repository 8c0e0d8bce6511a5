"""The life of a job, and what the end of its process means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eval.jobs.states import ENDED, FOLLOWS, KINDS, STATES, End, Kind, end_of


def test_what_has_ended_stays_so() -> None:
    assert {"done", "failed", "cancelled"} == ENDED
    assert set(FOLLOWS) == set(STATES)


def test_every_state_leads_to_an_end() -> None:
    reached = set(ENDED)
    for _ in STATES:
        reached |= {state for state in STATES if FOLLOWS[state] & reached}
    assert reached == set(STATES)


TRACE = ["Traceback (most recent call last):", '  File "x"', "RuntimeError: a bug"]


@pytest.mark.parametrize(
    ("kind", "code", "reported", "tail", "attempts", "end"),
    [
        ("evaluation", 0, True, [], 1, End("done", "valid")),
        ("audit", 3, True, ["not valid"], 1, End("done", "not valid")),
        ("gate", 1, True, [], 1, End("done", "fail")),
        ("gate", 0, True, [], 1, End("done", "pass")),
        ("gate", 3, True, [], 1, End("done", "inconclusive")),
        ("evaluation", 1, False, ["x", "Error: no m", "it has a"], 1, End("failed", why="no m it has a")),
        ("gate", 2, False, ["Usage: x", "Error: no such option"], 1, End("failed", why="no such option")),
        ("evaluation", 1, False, TRACE, 1, End("queued", why="crashed (exit code 1); tried again")),
        ("gate", 1, False, TRACE, 2, End("queued", why="crashed (exit code 1); tried again")),
        ("audit", -9, False, [], 1, End("queued", why="crashed (signal 9); tried again")),
        ("audit", -9, True, [], 2, End("queued", why="crashed (signal 9); tried again")),
        ("evaluation", 0, False, [], 1, End("queued", why="crashed (exit code 0); tried again")),
        (
            "evaluation", 1, False, TRACE, 3,
            End("failed", why="crashed 3 times, the last time with exit code 1: RuntimeError: a bug"),
        ),
    ],
)  # fmt: skip
def test_an_end_means(
    kind: Kind, code: int, reported: bool, tail: list[str], attempts: int, end: End
) -> None:
    assert end_of(kind, code, reported=reported, tail=tail, attempts=attempts, most=3) == end


@given(st.sampled_from(KINDS), st.integers(-64, 255), st.booleans(), st.lists(st.text()), st.integers(3, 9))
def test_after_the_last_attempt_there_is_no_other(
    kind: Kind, code: int, reported: bool, tail: list[str], attempts: int
) -> None:
    end = end_of(kind, code, reported=reported, tail=tail, attempts=attempts, most=3)
    assert end.state in FOLLOWS["running"] & ENDED
    assert (end.state == "done") == (end.verdict is not None) == (end.why is None)

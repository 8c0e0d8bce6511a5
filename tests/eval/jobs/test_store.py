"""The queue on disk against a plain dictionary, over lives that hypothesis makes up."""

from __future__ import annotations

import sqlite3
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, multiple, rule

from eval.jobs.errors import Conflict, KeyReused, QueueFull, UnknownJob
from eval.jobs.states import ENDED, FOLLOWS, KINDS, STATES, Kind, State
from eval.jobs.store import Store, StoreError

MOST = 3


class Lives(RuleBasedStateMachine):
    """Any order of anything; after each step the file says what the dictionary says."""

    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.store = Store(Path(self.folder.name) / "queue.sqlite")
        self.kept: dict[str, tuple[Kind, State]] = {}
        self.keys: dict[str, str] = {}
        self.ended: dict[tuple[Kind, State], int] = {}

    def teardown(self) -> None:
        self.folder.cleanup()

    def waiting(self) -> int:
        return sum(state == "queued" for _, state in self.kept.values())

    @rule(target=ids, kind=st.sampled_from(KINDS), key=st.none() | st.sampled_from("ab"))
    def add(self, kind: Kind, key: str | None) -> object:
        there = self.keys.get(key or "")
        try:
            job, new = self.store.add(kind, "{}", key, MOST)
        except QueueFull:
            assert there is None
            assert self.waiting() >= MOST  # more, where some came back from running
            return multiple()
        except KeyReused:
            assert there is not None
            assert self.kept[there][0] != kind
            return multiple()
        assert new == (there is None)
        if new:
            assert self.waiting() < MOST
            self.kept[job.id] = (kind, "queued")
            if key is not None:
                self.keys[key] = job.id
        assert job.id == (there or job.id)
        return job.id if new else multiple()

    @rule(job_id=ids, state=st.sampled_from(STATES))
    def move(self, job_id: str, state: State) -> None:
        if job_id not in self.kept:
            with pytest.raises(UnknownJob):
                self.store.move(job_id, state)
            return
        kind, before = self.kept[job_id]
        if state not in FOLLOWS[before]:
            with pytest.raises(Conflict):
                self.store.move(job_id, state, why="never")
            assert self.store.get(job_id).why != "never"
            return
        assert self.store.move(job_id, state, why=state).state == state
        self.kept[job_id] = (kind, state)
        if state in ENDED:
            self.ended[kind, state] = self.ended.get((kind, state), 0) + 1

    @rule(job_id=ids)
    def remove(self, job_id: str) -> None:
        if job_id in self.kept and self.kept[job_id][1] in ENDED:
            self.store.remove(job_id)
            del self.kept[job_id]
            self.keys = {key: there for key, there in self.keys.items() if there != job_id}
        else:
            with pytest.raises((UnknownJob, Conflict)):
                self.store.remove(job_id)

    @rule()
    def open_again(self) -> None:
        self.store = Store(Path(self.folder.name) / "queue.sqlite")

    @invariant()
    def they_agree(self) -> None:
        found = self.store.newest(10_000)
        assert {job.id: (job.kind, job.state) for job in found} == self.kept
        assert [job.place for job in found] == sorted((job.place for job in found), reverse=True)
        assert all((job.ended is not None) == (job.state in ENDED) for job in found)
        now, ever = self.store.counts()
        assert {pair: count for pair, count in ever.items() if count} == self.ended
        assert sum(now.values()) == len(self.kept)


Lives.TestCase.settings = settings(max_examples=30, stateful_step_count=25, deadline=None)
TestLives = Lives.TestCase


def test_pages_are_whole_and_in_order(tmp_path: Path) -> None:
    store = Store(tmp_path / "queue.sqlite")
    made = [store.add("audit", f"{i}", None, 100)[0].id for i in range(7)]
    store.move(made[3], "cancelled")
    seen, before = [], None
    while page := store.newest(2, before=before):
        seen += [job.id for job in page]
        before = page[-1].place
    assert seen == made[::-1]
    assert [job.id for job in store.newest(9, state="cancelled")] == [made[3]]
    assert [job.id for job in store.oldest(2, "queued")] == made[:2]


def test_of_many_at_once_as_many_as_fit_get_in(tmp_path: Path) -> None:
    store = Store(tmp_path / "queue.sqlite")

    def add(number: int) -> bool:
        try:
            return store.add("gate", "{}", f"{number % 20}", 10)[1]
        except QueueFull:
            return False

    with ThreadPoolExecutor(8) as pool:
        assert sum(pool.map(add, range(40))) == 10
    assert len(store.newest(100)) == 10


def test_only_the_newest_are_kept(tmp_path: Path) -> None:
    store = Store(tmp_path / "queue.sqlite")
    made = [store.add("gate", "{}", None, 100)[0].id for _ in range(6)]
    for job_id in made[:4]:
        store.move(job_id, "cancelled")
    assert [job.id for job in store.superfluous(3)] == made[:1]
    assert store.superfluous(4) == []


def test_another_edition_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "queue.sqlite"
    with sqlite3.connect(path) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    with pytest.raises(StoreError, match="edition 1, got 99"):
        Store(path)
    path.write_bytes(b"no database at all" * 100)
    with pytest.raises(StoreError, match="cannot be used"):
        Store(path)

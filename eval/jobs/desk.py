"""What can be asked of the service, without HTTP: submit, look, read, cancel, remove."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

from eval.jobs.access import Keys
from eval.jobs.asked import parse
from eval.jobs.catalogue import Catalogue
from eval.jobs.commands import ASSAY, Commands
from eval.jobs.errors import BadParameter, Conflict, NoReport, UnknownJob, UnknownName
from eval.jobs.rollouts import MOST_TRIES, Gates, Revision, answer_of, may_roll_back, unasked
from eval.jobs.runner import Runner
from eval.jobs.settings import JobSettings
from eval.jobs.states import STATES, Kind, State
from eval.jobs.status import REPORTS, status
from eval.jobs.store import Job, Store

__all__ = ["Desk"]

KEY = re.compile(r"[\x21-\x7e]{1,128}")
ID = re.compile(r"[0-9a-f]{32}")
MOST = 200  # jobs on one page


class Desk:
    """Everything the routes need, opened from the settings.

    Args:
        program: what runs a job, see `Commands`.

    Raises:
        KeysError, CatalogueError, StoreError: a file that a setting names cannot be used.
    """

    def __init__(self, settings: JobSettings, program: Sequence[str] = ASSAY) -> None:
        self.settings = settings
        self.keys = Keys(settings.api_keys_file)
        self.catalogue = Catalogue(settings.data_file, settings.forms_dir)
        self.store = Store(settings.home / "queue.sqlite")
        self.commands = Commands(settings, self.catalogue, self._run_of, tuple(program))
        self.runner = Runner(self.store, self.commands, settings)
        self.gates = Gates(settings.gates_dir)

    def submit(self, kind: Kind, body: bytes, key: str | None) -> tuple[Job, bool]:
        """The job, and whether it is new: with an Idempotency-Key that came before, it is not.

        Raises:
            JobError: the body, the host, a name or the key is not right, or the queue is full.
        """
        if key is not None and not KEY.fullmatch(key):
            raise BadParameter("an Idempotency-Key must be 1 to 128 printable characters without a space")
        asked = parse(kind, body)
        self.commands.of(kind, asked, Path())  # refuses what would not be run
        job, new = self.store.add(kind, asked.model_dump_json(), key, self.settings.max_waiting)
        self.runner.wake()
        return job, new

    def rollout(self, body: bytes) -> dict[str, Any]:
        """The job of a canary's revision that has passed its gate, which begins when it is first asked for.

        Raises:
            GateFailed, GateOpen: it has not, and will not.
            GateRunning: not yet.
            GateUnasked: it could not be asked; it is tried again, up to `MOST_TRIES` times.
            JobError: as `submit`.
        """
        revision = Revision.of(body)
        gate = self.gates.read(revision.metadata.gate)
        self.commands.of("gate", gate, Path())
        asked, last = gate.model_dump_json(), None
        for attempt in range(1, MOST_TRIES + 1):
            key = revision.key(asked, attempt)
            job, new = self.store.add("gate", asked, key, self.settings.max_waiting)
            if new or not unasked(job):
                break
            last = job
        self.runner.wake()
        told = last if new and last is not None else job  # why it is tried again, once
        if (error := answer_of(told, self.runner.folder(told.id))) is not None:
            raise error
        return self.job(job.id)

    def rollback(self, body: bytes) -> dict[str, Any]:
        """The job of a canary's revision that has not passed its gate; begins none.

        Raises:
            GatePassed, GateRunning, GateUnasked: it has, or nothing is known yet.
            JobError: as `submit`.
        """
        revision = Revision.of(body)
        asked, last = self.gates.read(revision.metadata.gate).model_dump_json(), None
        for attempt in range(1, MOST_TRIES + 1):
            job = self.store.of_key(revision.key(asked, attempt))
            if job is None:
                break
            last = job
        folder = self.runner.folder("" if last is None else last.id)
        if (error := may_roll_back(last, folder)) is not None:
            raise error
        return self.job("" if last is None else last.id)

    def jobs(self, state: str | None, limit: str | None, before: str | None) -> dict[str, Any]:
        """One page, the newest first; `next` is the `before` of the next one. Raises BadParameter."""
        if state is not None and state not in STATES:
            raise BadParameter(f"state must be one of {', '.join(STATES)}")
        wanted: State | None = next((known for known in STATES if known == state), None)
        most = _whole("limit", limit, MOST) or 50
        found = self.store.newest(most + 1, state=wanted, before=_whole("before", before, 2**62))
        page = found[:most]
        more = str(page[-1].place) if len(found) > most else None
        return {"jobs": [status(job, self.runner.folder(job.id), whole=False) for job in page], "next": more}

    def job(self, job_id: str) -> dict[str, Any]:
        """All a job tells. Raises UnknownJob."""
        return status(self._known(job_id), self.runner.folder(job_id))

    def report(self, job_id: str, suffix: str) -> bytes:
        """A report of a job that is done. Raises UnknownJob, or NoReport for one that is not."""
        job = self._known(job_id)
        path = self.runner.folder(job_id) / f"report.{suffix}"
        if job.state != "done" or suffix not in REPORTS or not path.is_file():
            raise NoReport(f"the job is {job.state}" + (f": {job.why}" if job.why else "; it has no report"))
        return path.read_bytes()

    def cancel(self, job_id: str) -> dict[str, Any]:
        """The job, which ends soon if it runs; again is no mistake.

        Raises:
            UnknownJob: there is none.
            Conflict: it has ended otherwise.
        """
        for state in ("cancelled", "cancelling"):  # it may begin in between, never go back
            try:
                self.store.move(self._known(job_id).id, state)
                break
            except Conflict:
                if self.store.get(job_id).state in ("cancelling", "cancelled"):
                    break
        else:
            raise Conflict(f"the job is {self.store.get(job_id).state}; it cannot be cancelled any more")
        self.runner.wake()
        return self.job(job_id)

    def remove(self, job_id: str) -> None:
        """Forget a job and its reports. Raises UnknownJob, or Conflict where it has not ended."""
        self.runner.forget(self._known(job_id).id)

    def _run_of(self, job_id: str, kinds: Collection[Kind]) -> Path:
        """The folder of a job of one of these kinds that is done. Raises UnknownName."""
        try:
            job = self._known(job_id)
        except UnknownJob as error:
            raise UnknownName(str(error)) from None
        if job.kind not in kinds or job.state != "done":
            raise UnknownName(
                f"job {job_id} must be an {' or '.join(kinds)} that is done, got {job.kind} {job.state}"
            )
        return self.runner.folder(job_id)

    def _known(self, job_id: str) -> Job:
        if not ID.fullmatch(job_id):
            raise UnknownJob("there is no such job")
        return self.store.get(job_id)


def _whole(name: str, text: str | None, most: int) -> int | None:
    if text is None:
        return None
    if not re.fullmatch(r"[1-9][0-9]{0,18}", text) or int(text) > most:
        raise BadParameter(f"{name} must be a whole number from 1 to {most}")
    return int(text)

"""Which versions are live: found, verified, proven and warmed in the background, then switched at once.

A version on disk is believed when its digests match and its golden pair reproduces. Until then, and
for ever if it fails, what was served before is served on. Requests hold the version they were given,
so a switch never splits one.
"""

from __future__ import annotations

import gc
import threading
from collections.abc import Sequence
from typing import Any

import numpy as np

from models.card import TaskName
from models.repository import RepositoryError, Seen, look, opened, read_version
from service.batcher import Batcher
from service.errors import ModelRequired, NotLoaded, NotReady, UnknownModel, WrongTask
from service.heap import give_back
from service.live import Key, Live
from service.logs import get_log
from service.settings import ServiceSettings
from service.telemetry import REPOSITORY_UNREADABLE, note_refused

__all__ = ["Live", "Registry"]

log = get_log("registry")


class Registry:
    """All versions of one repository. `start` returns at once; `ready` tells when there is one to ask.

    The table is replaced, never changed: readers on the event loop need no lock.
    """

    def __init__(self, settings: ServiceSettings) -> None:
        self._settings = settings
        self._table: dict[Key, Live] = {}
        self._unloaded: set[str] = set()
        self._policies: dict[str, str] = {}
        self._lock = threading.Lock()  # one look at the folder at a time
        self._looked, self._stopped = threading.Event(), threading.Event()
        self.error: str | None = None

    def start(self) -> threading.Thread:
        """Load everything on a thread of its own, so that liveness always answers; then keep looking."""
        thread = threading.Thread(target=self._watch, name="registry", daemon=True)
        thread.start()
        return thread

    def stop(self) -> None:
        self._stopped.set()

    @property
    def ready(self) -> bool:
        """True when the first look is over and at least one version answers."""
        return self._looked.is_set() and any(live.state == "ready" for live in self._table.values())

    def _watch(self) -> None:
        while True:
            try:
                self.sync()
            except Exception:
                self.error = "looking at the repository failed; the log knows why"
                REPOSITORY_UNREADABLE.set(1)
                log.exception(self.error)
            if not self._looked.is_set():
                gc.set_threshold(20_000, 20, 20)  # a request makes few cycles, and looking costs
                gc.freeze()  # modules and models stay: the collector need not visit them again and again
            self._looked.set()
            if not self._settings.poll_s or self._stopped.wait(self._settings.poll_s):
                return

    def sync(self) -> None:
        """Make the table what the folder and the policies say. What fails leaves the old in place."""
        with self._lock:
            try:
                found = look(self._settings.model_repository)
            except RepositoryError as error:
                if self.error != str(error):
                    log.error("the repository cannot be served: %s", error)
                self.error = str(error)
                REPOSITORY_UNREADABLE.set(1)
                return  # what is served stays: a folder may be away for a moment
            self.error = None
            REPOSITORY_UNREADABLE.set(0)
            wanted = {(s.name, s.number): s for s in self._chosen(found)}
            models = {name for name, _ in wanted}
            self._retire([key for key in self._table if key[0] not in models])
            new = [key for key, seen in wanted.items() if not self._has(key, seen)]
            for key in new:
                self._take(key, wanted[key], self._table.get(key))
            self._retire(self._replaced(set(wanted), {(s.name, s.number) for s in found}))
            if new:
                give_back()

    def _has(self, key: Key, seen: Seen) -> bool:
        return key in self._table and self._table[key].seen == seen

    def _replaced(self, wanted: set[Key], there: set[Key]) -> list[Key]:
        """What is not wanted any more: told last, so that a model answers while its next version is loaded.

        Where that one failed, the one before stays, unless its files are gone.
        """
        ready = {key[0] for key, live in self._table.items() if key in wanted and live.state == "ready"}
        return [key for key in self._table if key not in wanted and (key[0] in ready or key not in there)]

    def _chosen(self, found: list[Seen]) -> list[Seen]:
        """The versions the policy wants, by name and number."""
        chosen = []
        for name in sorted({s.name for s in found} - self._unloaded):
            own = sorted((s for s in found if s.name == name), key=lambda s: s.number)
            policy = self._policies.get(name, self._settings.versions)
            if policy == "latest":
                own = own[-1:]
            elif policy != "all":
                numbers = {int(number) for number in policy.split(",")}
                own = [s for s in own if s.number in numbers]
            chosen += own
        return chosen

    def _take(self, key: Key, seen: Seen, old: Live | None) -> None:
        """Open one version and switch to it; a failure is its own and takes nothing down."""
        new = Live(seen)
        if old is None or old.state != "ready":
            self._table = {**self._table, key: new}
        try:
            self._open(new)
        except Exception as error:
            log.error("%s/%d is not taken: %s", *key, error)
            new.error, new.state = str(error), "failed"
            note_refused(*key, error)
            if old is not None and old.state == "ready":
                old.error, old.seen = new.error, seen  # not tried again until the files change
                return
        else:
            log.info("%s/%d is live", *key)
            note_refused(*key, None)
        if new.version is not None:
            new.meters.ready.set(new.state == "ready")
        self._table = dict(sorted({**self._table, key: new}.items()))

    def _open(self, live: Live) -> None:
        """Verify, load, prove, warm."""
        live.version = read_version(live.seen.folder)
        card, told = live.card, self._settings
        found = opened(live.version, threads=told.threads)
        picture = np.zeros((card.input.height, card.input.width, 3), np.uint8)
        for count in (1, card.max_batch):  # onnxruntime plans memory for each shape it sees
            found.predictor.predict([picture] * count)
        live.predictor, live.inputs, live.outputs = found.predictor, found.inputs, found.outputs
        live.queue = Batcher(card.max_batch, told.max_waiting, told.batch_ms / 1e3, told.batch_delay_ms / 1e3)
        live.state = "ready"

    def _retire(self, keys: Sequence[Key]) -> None:
        """Give them to nobody any more; those who hold one finish with it."""
        for key in keys:
            live = self._table[key]
            self._table = {k: v for k, v in self._table.items() if k != key}
            if live.version is not None:
                live.meters.ready.set(0)
            note_refused(*key, None)
            log.info("%s/%d is no longer served", *key)

    def load(self, name: str, policy: str | None = None) -> None:
        """Serve a model again and try what failed once more. Blocks; not for the event loop.

        Raises:
            UnknownModel, NotLoaded: the folder has no such model, or a version did not prove itself.
        """
        self._unloaded.discard(name)
        if policy is not None:
            self._policies[name] = policy
        for live in list(self._table.values()):
            if live.seen.name == name and (live.state == "failed" or live.error):
                live.seen = live.seen.forgotten()
        self.sync()
        own = [live for live in self._table.values() if live.seen.name == name]
        if not own:
            raise UnknownModel(f"the repository has no model {name[:80]!r} that may be served")
        wrong = [f"version {live.seen.number}: {live.error}" for live in own if live.error]
        if wrong:
            raise NotLoaded("; ".join(wrong))

    def unload(self, name: str) -> None:
        """Stop serving a model until it is loaded again. Raises UnknownModel."""
        if all(live.seen.name != name for live in self._table.values()):
            raise UnknownModel(f"no model {name[:80]!r} is served")
        self._unloaded.add(name)
        self.sync()

    def find(self, task: TaskName | None, name: str | None, version: int | None) -> Live:
        """The version to ask: the named one, or the latest that is ready.

        Raises:
            ServiceError: 404, 409, 422 or 503; the message says what there is.
        """
        table = self._table
        if not table:
            raise NotReady(self.error or "the models are being loaded")
        name = name or self._only(task)
        if version is not None:
            found = table.get((name, version))
            own = [] if found is None else [found]
        else:
            own = [live for live in table.values() if live.seen.name == name]
        if not own:
            self._unknown(name, version)
        for live in reversed(own):
            if live.state == "ready":
                if task is not None and live.card.task != task:
                    raise WrongTask(f"{name!r} does {live.card.task}, not {task}")
                return live
        raise NotReady(f"{name!r} is {own[-1].state}: {own[-1].error or 'try again soon'}")

    def _unknown(self, name: str, version: int | None) -> None:
        names = sorted({live.seen.name for live in self._table.values()})
        if name in names:
            raise UnknownModel(f"{name!r} has no version {version}")
        raise UnknownModel(f"model must be one of {', '.join(names)}, got {name[:80]!r}")

    def _only(self, task: TaskName | None) -> str:
        versions = [live.version for live in self._table.values() if live.version is not None]
        names = sorted({v.card.name for v in versions if v.card.task == task})
        if len(names) != 1:
            raise ModelRequired(f"the parameter 'model' must name one of {', '.join(names) or 'no models'}")
        return names[0]

    @property
    def all(self) -> list[Live]:
        """Every version, by name and number, whatever its state."""
        return list(self._table.values())

    def listing(self) -> list[dict[str, Any]]:
        """Every version for `GET /models`."""
        return [live.listed() for live in self._table.values()]

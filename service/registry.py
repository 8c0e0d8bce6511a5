"""Which versions are live: loaded in the background, verified, proven, warmed up."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from models.card import ModelCard, TaskName
from models.repository import RepositoryError, Version, open_version, versions
from models.results import Result
from models.tasks import Predictor
from service.errors import ModelRequired, NotReady, UnknownModel, WrongTask
from service.logs import get_log
from service.telemetry import MODEL_READY

__all__ = ["Live", "Registry"]

log = get_log("registry")


@dataclass(slots=True)
class Live:
    """One version and how far it has come. `predictor` is there when the state is `ready`."""

    version: Version
    state: Literal["loading", "ready", "failed"] = "loading"
    predictor: Predictor[Result] | None = None
    error: str | None = None

    @property
    def card(self) -> ModelCard:
        return self.version.card


class Registry:
    """All versions of one repository. `start` returns at once; `ready` tells when it is done."""

    def __init__(self, root: Path, *, threads: int = 1) -> None:
        self._root, self._threads = root, threads
        self._live: list[Live] = []
        self._finished = threading.Event()
        self.error: str | None = None

    def start(self) -> threading.Thread:
        """Load everything on a thread of its own, so that liveness always answers."""
        thread = threading.Thread(target=self._load, name="registry", daemon=True)
        thread.start()
        return thread

    @property
    def ready(self) -> bool:
        """True when loading is over and at least one version answers."""
        return self._finished.is_set() and any(live.state == "ready" for live in self._live)

    def _load(self) -> None:
        try:
            self._live = [Live(version) for version in versions(self._root)]
            for live in self._live:
                self._open(live)
        except RepositoryError as error:
            self.error = str(error)
            log.error("the repository cannot be served: %s", error)
        except Exception:
            self.error = "loading failed; the log knows why"
            log.exception("loading the repository failed")
        finally:
            self._finished.set()

    def _open(self, live: Live) -> None:
        """Prove and warm up one version; a failure is its own and takes no other down."""
        card = live.card
        try:
            predictor = open_version(live.version, threads=self._threads)
            size = (card.input.height, card.input.width, 3)
            for count in (1, card.max_batch):  # onnxruntime plans memory for each shape it sees
                predictor.predict([np.zeros(size, np.uint8)] * count)
            live.predictor, live.state = predictor, "ready"
        except Exception as error:
            live.error, live.state = str(error), "failed"
            log.error("%s/%d is not served: %s", card.name, card.version, error)
        MODEL_READY.labels(card.name, str(card.version)).set(live.state == "ready")

    def find(self, task: TaskName, name: str | None, version: int | None) -> Live:
        """The version to ask: the named one, or the latest that is ready.

        Raises:
            ServiceError: 404, 409, 422 or 503; the message says what there is.
        """
        if not self._live:
            raise NotReady(self.error or "the models are being loaded")
        name = name or self._only(task)
        own = [live for live in self._live if live.card.name == name]
        if not own:
            names = ", ".join(sorted({live.card.name for live in self._live}))
            raise UnknownModel(f"model must be one of {names}, got {name!r}")
        if own[0].card.task != task:
            raise WrongTask(f"{name!r} does {own[0].card.task}, not {task}")
        if version is not None:
            own = [live for live in own if live.card.version == version]
            if not own:
                raise UnknownModel(f"{name!r} has no version {version}")
        ready = [live for live in own if live.state == "ready"]
        if not ready:
            raise NotReady(f"{name!r} is {own[-1].state}: {own[-1].error or 'try again soon'}")
        return ready[-1]

    def _only(self, task: TaskName) -> str:
        names = sorted({live.card.name for live in self._live if live.card.task == task})
        if len(names) != 1:
            raise ModelRequired(f"the parameter 'model' must name one of {', '.join(names) or 'no models'}")
        return names[0]

    def listing(self) -> list[dict[str, Any]]:
        """Every version for `GET /models`, by name and number."""
        kept = {
            "name",
            "version",
            "task",
            "description",
            "labels",
            "licence",
            "sha256",
            "claims",
            "max_batch",
        }
        return [
            {
                **live.card.model_dump(include=kept, mode="json"),
                "input": {"height": live.card.input.height, "width": live.card.input.width},
                "state": live.state,
                "error": live.error,
            }
            for live in self._live
        ]

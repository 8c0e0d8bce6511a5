"""The engine refuses what it cannot hold, drops what is late, and passes failures on alone."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from models.decoding import encode_png
from models.repository import versions
from models.results import Array, Classification, Result
from models.tasks import Predictor
from service.engine import Engine
from service.errors import NotReady, Overloaded, TooLate, UndecodableImage
from service.registry import Live, Registry
from service.settings import ServiceSettings

PICTURE = encode_png(np.zeros((4, 4, 3), np.uint8))


@dataclass
class HeldPredictor:
    """Answers only when it is let go."""

    go: threading.Event = field(default_factory=threading.Event)
    asked: int = 0

    def predict(self, images: Sequence[Array]) -> list[Result]:
        self.asked += 1
        assert self.go.wait(10)
        return [Classification(np.array([1.0], np.float32)) for _ in images]


def held(repository: Path) -> tuple[Live, HeldPredictor]:
    predictor = HeldPredictor()
    return Live(versions(repository)[0], "ready", cast("Predictor[Any]", predictor)), predictor


def engine(**settings: Any) -> Engine:
    return Engine(ServiceSettings(**{"runs": 1, "max_waiting": 1, "timeout_s": 5.0, **settings}))


def test_what_would_not_fit_is_refused_at_once(repository: Path) -> None:
    async def run() -> None:
        live, predictor = held(repository)
        own = engine()
        first, second = (asyncio.create_task(own.predict(live, [PICTURE])) for _ in range(2))
        await asyncio.sleep(0)
        with pytest.raises(Overloaded, match="at most 2"):
            await own.predict(live, [PICTURE])
        predictor.go.set()
        assert [len(await task) for task in (first, second)] == [1, 1]
        assert len(await own.predict(live, [PICTURE])) == 1  # there is room again
        own.close()

    asyncio.run(run())


def test_what_is_late_is_dropped_before_it_begins(repository: Path) -> None:
    async def run() -> None:
        live, predictor = held(repository)
        own = engine(timeout_s=0.05, max_waiting=3)
        late = [asyncio.create_task(own.predict(live, [PICTURE])) for _ in range(3)]
        for task in late:
            with pytest.raises(TooLate):
                await task
        predictor.go.set()
        own.close()
        assert predictor.asked <= 1  # the first may have begun; the others never did

    asyncio.run(run())


def test_a_broken_image_fails_its_own_request_only(repository: Path) -> None:
    async def run() -> None:
        live, predictor = held(repository)
        predictor.go.set()
        own = engine(max_waiting=8)
        answers = await asyncio.gather(
            own.predict(live, [PICTURE]),
            own.predict(live, [b"no"]),
            own.predict(live, [PICTURE]),
            return_exceptions=True,
        )
        assert [type(a) for a in answers] == [list, UndecodableImage, list]
        own.close()

    asyncio.run(run())


def test_one_broken_version_takes_no_other_down(repository: Path, tmp_path: Path) -> None:
    import shutil

    root = tmp_path / "repository"
    shutil.copytree(repository, root)
    (root / "lamp" / "2" / "model.onnx").write_bytes(b"changed")
    registry = Registry(root)
    with pytest.raises(NotReady, match="loaded"):
        registry.find("classification", "lamp", None)
    assert not registry.ready
    registry.start().join(60)
    assert registry.ready
    assert registry.find("classification", None, None).card.version == 1  # the newest that works
    with pytest.raises(NotReady, match="sha256"):
        registry.find("classification", "lamp", 2)
    assert [m["state"] for m in registry.listing()] == ["ready", "ready", "failed", "ready"]

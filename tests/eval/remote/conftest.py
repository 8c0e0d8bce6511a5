"""What the tests of the client share."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Waits are noted, not slept."""
    waits: list[float] = []
    real = asyncio.sleep

    async def noted(seconds: float, result: Any = None) -> Any:
        if seconds > 0:
            waits.append(seconds)
        return await real(0, result)

    monkeypatch.setattr("asyncio.sleep", noted)
    return waits

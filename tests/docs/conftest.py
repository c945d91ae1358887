"""Time that passes faster."""

from __future__ import annotations

import asyncio
import time

import pytest

from tenios_ext._clock import SystemClock

# How many seconds pass for clients and simulator in one second.
SPEED = 100


@pytest.fixture
def _fast_time(monkeypatch: pytest.MonkeyPatch) -> None:
    start = time.monotonic()

    def elapsed(_: SystemClock) -> float:
        return (time.monotonic() - start) * SPEED

    async def async_sleep(_: SystemClock, seconds: float) -> None:
        await asyncio.sleep(seconds / SPEED)

    monkeypatch.setattr(SystemClock, "monotonic", elapsed)
    monkeypatch.setattr(SystemClock, "now", lambda clock: 1e9 + elapsed(clock))
    monkeypatch.setattr(SystemClock, "sleep", lambda _, seconds: time.sleep(seconds / SPEED))
    monkeypatch.setattr(SystemClock, "async_sleep", async_sleep)

"""Time as the rest of the package sees it, so that a test can bring its own."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> float:
        """Seconds since the epoch; never goes back."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait."""
        ...

    async def async_sleep(self, seconds: float) -> None:
        """Wait, and let other tasks go on meanwhile."""
        ...


class SystemClock:
    """The machine's clock, read once; from then on it advances evenly, whatever somebody sets the machine's clock to."""

    def __init__(self) -> None:
        self._offset = time.time() - time.monotonic()

    def now(self) -> float:
        """Seconds since the epoch; never goes back."""
        return self._offset + time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)

    async def async_sleep(self, seconds: float) -> None:
        """Wait, and let other tasks go on meanwhile."""
        import asyncio  # noqa: PLC0415 - whoever gets here has imported it already; all others are spared it

        await asyncio.sleep(seconds)


SYSTEM_CLOCK = SystemClock()

"""The clock that the clients use, so that a test can replace it."""

from __future__ import annotations

import time
from typing import Protocol

# time.sleep takes no more than 292 years, and no infinity.
_MAX_SLEEP = 1e9


class Clock(Protocol):
    """Tells the time and waits."""

    def now(self) -> float:
        """
        Return the seconds since the epoch, as the machine's clock shows them. It may be set back.
        """
        ...

    def monotonic(self) -> float:
        """Return seconds that never go back, to measure how long something takes."""
        ...

    def sleep(self, seconds: float) -> None:
        """Block the thread for this many seconds."""
        ...

    async def async_sleep(self, seconds: float) -> None:
        """Wait for this many seconds, and let other tasks run meanwhile."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> float:
        """Return the seconds since the epoch."""
        return time.time()

    def monotonic(self) -> float:
        """Return seconds that never go back."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(min(seconds, _MAX_SLEEP))

    async def async_sleep(self, seconds: float) -> None:
        """Wait, and let other tasks run meanwhile."""
        import asyncio  # imported by every caller of this method already, and by no one else

        await asyncio.sleep(min(seconds, _MAX_SLEEP))


SYSTEM_CLOCK = SystemClock()

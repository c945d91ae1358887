"""A clock that only sleeping advances."""

from __future__ import annotations

import asyncio
from threading import Lock

# An instant that is easy to recognise: 2001-09-09 01:46:40 UTC.
_BEGINNING = 1_000_000_000.0


class VirtualClock:
    """Time that passes only where somebody sleeps, and then at once."""

    def __init__(self) -> None:
        self._now = _BEGINNING
        self._lock = Lock()

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass."""
        with self._lock:
            self._now += seconds

    def sleep(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self.advance(seconds)

    async def async_sleep(self, seconds: float) -> None:
        """Let *seconds* pass, and other tasks run."""
        wake_at = self._now + seconds
        await asyncio.sleep(0)
        with self._lock:
            # Others may have slept meanwhile: those who sleep at the same time wake in turn, and time passes once.
            self._now = max(self._now, wake_at)

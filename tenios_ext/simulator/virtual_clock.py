"""A clock that only sleeping advances."""

from __future__ import annotations

import asyncio
from threading import Lock

# An instant that is easy to recognise: 2001-09-09 01:46:40 UTC.
_BEGINNING = 1_000_000_000.0
# How often a task that sleeps lets all others run before time passes, so that those on their way to a shorter sleep get there.
_TURNS = 3


class VirtualClock:
    """Time that passes only where somebody sleeps, and then at once."""

    def __init__(self) -> None:
        self._now = _BEGINNING
        self._lock = Lock()
        self._wakings: list[float] = []

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
        """Let *seconds* pass, and other tasks run: those that sleep at the same time wake in the order of their waking times."""
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        wake_at = self._now + seconds
        self._wakings.append(wake_at)
        try:
            for _ in range(_TURNS):
                await asyncio.sleep(0)
            while wake_at > min(self._wakings):  # noqa: ASYNC110 - nothing is awaited but the others' turn
                await asyncio.sleep(0)
            with self._lock:
                self._now = max(self._now, wake_at)
        finally:
            self._wakings.remove(wake_at)

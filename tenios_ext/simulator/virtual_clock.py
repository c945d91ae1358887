"""A clock that only sleeping advances."""

from __future__ import annotations

import asyncio
from heapq import heappop, heappush
from itertools import count
from math import inf
from threading import Lock

# An instant that is easy to recognise: 2001-09-09 01:46:40 UTC.
_BEGINNING = 1_000_000_000.0
# How often all other tasks may run after one has gone to sleep before time passes, so that those on their way to a shorter sleep
# get there.
_TURNS = 3


class VirtualClock:
    """Time that passes only where somebody sleeps, and then at once."""

    def __init__(self) -> None:
        self._now = _BEGINNING
        self._lock = Lock()
        self._sleepers: dict[asyncio.AbstractEventLoop, _Sleepers] = {}

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass. Raises ValueError where they are negative or infinite."""
        if not 0 <= seconds < inf:
            raise ValueError(f"Time goes on by a finite number of seconds, not by {seconds}.")
        with self._lock:
            self._now += seconds

    def advance_to(self, time: float) -> None:
        """Let it be *time*, if it is not later already."""
        with self._lock:
            self._now = max(self._now, time)

    def sleep(self, seconds: float) -> None:
        """Let *seconds* pass. Raises ValueError as :meth:`advance` does."""
        self.advance(seconds)

    async def async_sleep(self, seconds: float) -> None:
        """Let *seconds* pass, and other tasks run: those that sleep at the same time wake in the order of their waking times."""
        if not seconds < inf:
            raise ValueError(f"Nobody sleeps for {seconds} seconds.")
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        with self._lock:
            if loop not in self._sleepers:
                # Whoever still sleeps in a loop that was closed never wakes.
                here = {each: sleepers for each, sleepers in self._sleepers.items() if not each.is_closed()}
                self._sleepers = {**here, loop: _Sleepers(self, loop)}
        await self._sleepers[loop].add(self._now + seconds)


class _Sleepers:
    """The tasks of one event loop that sleep."""

    def __init__(self, clock: VirtualClock, loop: asyncio.AbstractEventLoop) -> None:
        self._clock = clock
        self._loop = loop
        self._wakings: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()
        self._turns_left = 0

    def add(self, wake_at: float) -> asyncio.Future[None]:
        waking = self._loop.create_future()
        is_first = not self._wakings
        heappush(self._wakings, (wake_at, next(self._order), waking))
        self._turns_left = _TURNS
        if is_first:
            self._loop.call_soon(self._turn)
        return waking

    def _turn(self) -> None:
        if self._turns_left:
            self._turns_left -= 1
        else:
            wake_at, _, waking = heappop(self._wakings)
            if not waking.done():  # else the task has been cancelled
                self._clock.advance_to(wake_at)
                waking.set_result(None)
                self._turns_left = _TURNS
        if self._wakings:
            self._loop.call_soon(self._turn)

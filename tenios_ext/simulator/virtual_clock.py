"""A clock that only sleeping advances."""

from __future__ import annotations

import asyncio
from heapq import heappop, heappush
from itertools import count
from threading import Lock

# An instant that is easy to recognise: 2001-09-09 01:46:40 UTC.
_BEGINNING = 1_000_000_000.0
# 2286-11-20: a float's steps have grown to two millionths of a second. Whoever goes on until then waits for what does not happen.
_END = 10_000_000_000.0
# How often all other tasks may run after one has gone to sleep before time passes, so that those on their way to a shorter sleep
# get there; and how often where one after the other goes to sleep.
_TURNS = 3
_MOST_TURNS = 1000


class VirtualClock:
    """
    Time that passes only where somebody sleeps, and then at once.

    Where a task sleeps, it passes as soon as the others have had a few turns of the event loop in which none has gone to sleep.
    It begins on 2001-09-09 and ends on 2286-11-20.
    """

    def __init__(self) -> None:
        self._now = _BEGINNING
        self._lock = Lock()
        self._sleepers: dict[asyncio.AbstractEventLoop, _Sleepers] = {}

    def now(self) -> float:
        """Seconds since the epoch."""
        return self._now

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass. Raises ValueError where they are negative or lead beyond the end."""
        if not seconds >= 0:
            raise ValueError(f"Time goes on, not by {seconds} seconds.")
        with self._lock:
            self._now = _before_the_end(self._now + seconds)

    def advance_to(self, time: float) -> None:
        """Let it be *time*, if it is not later already. Raises ValueError where that is beyond the end."""
        with self._lock:
            self._now = max(self._now, _before_the_end(time))

    def sleep(self, seconds: float) -> None:
        """Let *seconds* pass. Raises ValueError as :meth:`advance` does."""
        self.advance(seconds)

    async def async_sleep(self, seconds: float) -> None:
        """
        Let *seconds* pass, and other tasks run: those that sleep at the same time wake in the order of their waking times.

        Raises ValueError where they lead beyond the end.
        """
        wake_at = _before_the_end(self._now + seconds)
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        with self._lock:
            if loop not in self._sleepers:
                # Whoever still sleeps in a loop that was closed never wakes.
                here = {each: sleepers for each, sleepers in self._sleepers.items() if not each.is_closed()}
                self._sleepers = {**here, loop: _Sleepers(self, loop)}
        await self._sleepers[loop].add(wake_at)


def _before_the_end(time: float) -> float:
    if not time <= _END:
        raise ValueError(f"A virtual clock goes until {_END:.0f} seconds after the epoch (2286), not until {time}.")
    return time


class _Sleepers:
    """The tasks of one event loop that sleep."""

    def __init__(self, clock: VirtualClock, loop: asyncio.AbstractEventLoop) -> None:
        self._clock = clock
        self._loop = loop
        self._wakings: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()
        self._turns = 0  # since the last waking
        self._wake_at_turn = 0

    def add(self, wake_at: float) -> asyncio.Future[None]:
        waking = self._loop.create_future()
        is_first = not self._wakings
        heappush(self._wakings, (wake_at, next(self._order), waking))
        self._stay_for_a_while()
        if is_first:
            self._loop.call_soon(self._turn)
        return waking

    def _stay_for_a_while(self) -> None:
        self._wake_at_turn = min(self._turns + _TURNS, _MOST_TURNS)

    def _turn(self) -> None:
        while self._wakings and self._wakings[0][-1].done():  # The task has been cancelled.
            heappop(self._wakings)
        if self._turns < self._wake_at_turn:
            self._turns += 1
        elif self._wakings:
            wake_at, _, waking = heappop(self._wakings)
            self._clock.advance_to(wake_at)
            waking.set_result(None)
            self._turns = 0
            self._stay_for_a_while()
        if self._wakings:
            self._loop.call_soon(self._turn)
        else:
            self._turns = 0

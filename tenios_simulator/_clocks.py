"""
The simulator's clocks: a scaled one and a virtual one.

A thread that sleeps on the virtual clock advances it and returns. With asyncio this would be wrong:
if a task that sleeps for ten seconds advanced the clock at once, another task that is about to
sleep for one second would wake nine seconds late. So the sleeping tasks of an event loop wait in a
queue, ordered by wake time, and the clock advances only when all other tasks are waiting as well.
An event loop does not report this. The queue assumes it after three iterations of the loop in which
no task went to sleep. It then advances the clock to the first wake time and wakes that task.
"""

from __future__ import annotations

import asyncio
import time
from heapq import heappop, heappush
from itertools import count
from threading import Lock

from tenios_ext.shared import SYSTEM_CLOCK

_MAX_SPEED = 1_000_000
# A round number that is easy to recognise: 2001-09-09 01:46:40 UTC.
_START = 1_000_000_000.0
# 2286-11-20. Floats are two microseconds apart there; with larger ones, short sleeps would no
# longer advance the clock.
_END = 10_000_000_000.0
# After this number of iterations without a new sleep, all other tasks are assumed to be waiting.
_QUIET_ITERATIONS = 3
# After this number, the first task wakes anyway. Otherwise a task that repeatedly starts and
# cancels a sleep would stop the clock.
_MAX_ITERATIONS = 1000


class ScaledClock:
    """
    A clock that runs faster or slower than the system's, and never goes back.

    Args:
        speed: 10 is ten times faster than real time.

    Raises:
        ValueError: *speed* is not greater than 0, or is greater than a million.
    """

    def __init__(self, speed: float) -> None:
        if not 0 < speed <= _MAX_SPEED:
            raise ValueError(
                f"speed must be a number greater than 0 and at most {_MAX_SPEED}, got {speed}."
            )
        self.speed = speed
        self._wall_start = time.time()
        self._start = time.monotonic()

    def now(self) -> float:
        """Return the seconds since the epoch, counted from the real time at its creation."""
        return self._wall_start + self.monotonic()

    def monotonic(self) -> float:
        """Return the seconds of this clock since its creation."""
        return (time.monotonic() - self._start) * self.speed

    def sleep(self, seconds: float) -> None:
        """Wait for *seconds* of this clock."""
        SYSTEM_CLOCK.sleep(seconds / self.speed)

    async def async_sleep(self, seconds: float) -> None:
        """Wait for *seconds* of this clock while other tasks run."""
        await SYSTEM_CLOCK.async_sleep(seconds / self.speed)


class VirtualClock:
    """
    A clock that advances only when a thread or task sleeps, without real waiting. It starts on
    2001-09-09.

    Threads and asyncio tasks can use it. Concurrent tasks wake in the right order and exactly on
    time.
    """

    def __init__(self) -> None:
        self._now = _START
        self._lock = Lock()
        self._queues: dict[asyncio.AbstractEventLoop, _SleepQueue] = {}

    def now(self) -> float:
        """Return the seconds since the epoch."""
        return self._now

    def monotonic(self) -> float:
        """Return the same as :meth:`now`."""
        return self._now

    def advance(self, seconds: float) -> None:
        """
        Advance the clock. Raises ValueError if *seconds* is negative or leads beyond the year 2286.
        """
        if not seconds >= 0:
            raise ValueError(f"The clock cannot advance by {seconds} seconds. Use 0 or more.")
        with self._lock:
            self._now = _checked(self._now + seconds)

    def advance_to(self, time: float) -> None:
        """
        Advance the clock to *time* if that is later than now. Raises ValueError if it is beyond the
        year 2286.
        """
        with self._lock:
            self._now = max(self._now, _checked(time))

    def sleep(self, seconds: float) -> None:
        """Do the same as :meth:`advance`."""
        self.advance(seconds)

    async def async_sleep(self, seconds: float) -> None:
        """
        Wait until the clock has advanced by *seconds*. It advances when all other tasks are
        waiting.

        A negative number counts as 0. Raises ValueError if *seconds* leads beyond the year 2286.
        """
        wake_at = _checked(self._now + seconds)
        if seconds <= 0:
            await asyncio.sleep(0)
            return
        loop = asyncio.get_running_loop()
        with self._lock:
            if loop not in self._queues:
                open_queues = {
                    each: queue for each, queue in self._queues.items() if not each.is_closed()
                }
                self._queues = {**open_queues, loop: _SleepQueue(self, loop)}
        await self._queues[loop].add(wake_at)


def _checked(time: float) -> float:
    if not time <= _END:
        raise ValueError(
            f"The clock cannot advance to {time}: it ends at {_END:.0f}, in the year 2286. Sleep "
            "for less."
        )
    return time


class _SleepQueue:
    """The sleeping tasks of one event loop; see the module's docstring."""

    def __init__(self, clock: VirtualClock, loop: asyncio.AbstractEventLoop) -> None:
        self._clock = clock
        self._loop = loop
        # The number in the middle keeps tasks with the same wake time in order.
        self._sleeps: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()
        self._iterations = 0  # since a task was last woken
        self._wake_at_iteration = 0

    def add(self, wake_at: float) -> asyncio.Future[None]:
        """Return a future that is done when the clock reaches *wake_at*."""
        future = self._loop.create_future()
        was_empty = not self._sleeps
        heappush(self._sleeps, (wake_at, next(self._order), future))
        self._postpone_waking()
        if was_empty:
            self._loop.call_soon(self._on_iteration)
        return future

    def _postpone_waking(self) -> None:
        self._wake_at_iteration = min(self._iterations + _QUIET_ITERATIONS, _MAX_ITERATIONS)

    def _on_iteration(self) -> None:
        """Run in each iteration of the event loop while a task is sleeping."""
        while self._sleeps and self._sleeps[0][-1].done():  # cancelled
            heappop(self._sleeps)
        if self._iterations < self._wake_at_iteration:
            self._iterations += 1
        elif self._sleeps:
            wake_at, _, future = heappop(self._sleeps)
            self._clock.advance_to(wake_at)
            future.set_result(None)
            self._iterations = 0
            self._postpone_waking()
        if self._sleeps:
            self._loop.call_soon(self._on_iteration)
        else:
            self._iterations = 0

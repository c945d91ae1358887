"""
Clocks for the simulator: one that runs faster than the system's, and one whose time passes only by
sleeping.

With a virtual clock, sleeping in a thread is simple: it advances the time and returns. With asyncio
it is not. If the first task that sleeps for ten seconds advanced the time at once, another task
that is about to sleep for one second would wake nine seconds late. So the sleeping tasks of an
event loop wait in a queue, ordered by the time at which they wake, and the time advances only when
all other tasks are waiting, too. An event loop does not say when that is so. The queue therefore
counts the loop's iterations: when three have passed in which no task went to sleep, it advances the
time to that of the first task and wakes it.
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
# 2286-11-20. Neighbouring floats are two microseconds apart there; much later, short sleeps would
# no longer advance the time.
_END = 10_000_000_000.0
# How many iterations of an event loop without a new sleep show that all other tasks are waiting.
_QUIET_ITERATIONS = 3
# After so many the first task wakes anyway. Otherwise a task that repeatedly starts and cancels a
# sleep would stop the time.
_MAX_ITERATIONS = 1000


class ScaledClock:
    """
    The system's clock, but faster or slower, and unaffected when the system's clock is set.

    Args:
        speed: How many of its seconds pass in one second.

    Attributes:
        speed: The same.

    Raises:
        ValueError: *speed* is not greater than 0, or it is greater than a million.
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
        """
        Return the seconds since the epoch. They were right when the clock was made, and never go
        back.
        """
        return self._wall_start + self.monotonic()

    def monotonic(self) -> float:
        """Return the seconds since the clock was made, which never go back."""
        return (time.monotonic() - self._start) * self.speed

    def sleep(self, seconds: float) -> None:
        """Wait for so many seconds of this clock."""
        SYSTEM_CLOCK.sleep(seconds / self.speed)

    async def async_sleep(self, seconds: float) -> None:
        """Wait for so many seconds of this clock, and let other tasks run meanwhile."""
        await SYSTEM_CLOCK.async_sleep(seconds / self.speed)


class VirtualClock:
    """
    A clock whose time passes only by sleeping, and then at once. It starts on 2001-09-09.

    Use it from threads or from asyncio: tasks that sleep at the same time wake in the right order,
    each exactly on time.
    """

    def __init__(self) -> None:
        self._now = _START
        self._lock = Lock()
        self._queues: dict[asyncio.AbstractEventLoop, _SleepQueue] = {}

    def now(self) -> float:
        """Return the seconds since the epoch."""
        return self._now

    def monotonic(self) -> float:
        """Return the same as :meth:`now`, which never goes back."""
        return self._now

    def advance(self, seconds: float) -> None:
        """
        Advance the time. Raises ValueError if *seconds* is negative or leads beyond the year 2286.
        """
        if not seconds >= 0:
            raise ValueError(f"A clock cannot be advanced by {seconds} seconds. Give 0 or more.")
        with self._lock:
            self._now = _checked(self._now + seconds)

    def advance_to(self, time: float) -> None:
        """
        Advance the time to *time*, if that is later than now. Raises ValueError if it is beyond the
        year 2286.
        """
        with self._lock:
            self._now = max(self._now, _checked(time))

    def sleep(self, seconds: float) -> None:
        """Advance the time; the same as :meth:`advance`."""
        self.advance(seconds)

    async def async_sleep(self, seconds: float) -> None:
        """
        Wait until this clock has advanced by *seconds*, which it does when no task has anything
        else to do.

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
            f"A virtual clock cannot be advanced beyond {_END:.0f} (the year 2286), got {time}. "
            "Sleep for less."
        )
    return time


class _SleepQueue:
    """The sleeping tasks of one event loop; see the module's docstring."""

    def __init__(self, clock: VirtualClock, loop: asyncio.AbstractEventLoop) -> None:
        self._clock = clock
        self._loop = loop
        # The number in the middle keeps tasks that wake at the same time in the order in which they
        # went to sleep.
        self._sleeps: list[tuple[float, int, asyncio.Future[None]]] = []
        self._order = count()
        self._iterations = 0  # since a task was last woken
        self._wake_at_iteration = 0

    def add(self, wake_at: float) -> asyncio.Future[None]:
        """Return a future that is done when the clock has reached *wake_at*."""
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
        """Run once in each iteration of the event loop, as long as a task is sleeping."""
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

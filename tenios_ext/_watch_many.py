"""
Watches many callbacks at once without a task for each, with limits on concurrent requests and
requests per second.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from itertools import count
from typing import TYPE_CHECKING, Any

from attrs import field, frozen

from ._exceptions import TeniosError

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable

    from tenios_client.models import CallbackStatus

    from ._clock import Clock
    from ._models import Outcome
    from ._polling import PollState

    Poll = Callable[[PollState], Awaitable[CallbackStatus | None]]

logger = logging.getLogger("tenios_ext")

MAX_CONCURRENCY = 100
# Polls that are due within this time (seconds) are sent together: a wake-up costs as much as a
# request.
_TOGETHER = 0.02
# The lateness that is logged as a warning (seconds).
_LATE = 1.0


@frozen
class StatusUpdate:
    """
    A change in one of many callbacks, from :meth:`AsyncTenios.watch_many`.

    Attributes:
        outcome: The outcome so far; ``outcome.handle`` identifies the callback.
        status: The new status; None if *error* is set.
        error: The error that ended the updates of this callback: a CallbackTimeoutError, a
            StatusUnavailableError, or the exception of your poll interval; else None.
        lateness: Seconds from the scheduled time of the poll to the actual time. It grows if the
            limits of ``watch_many`` are too low, or if your code takes long for an update.
    """

    outcome: Outcome
    status: CallbackStatus | None = None
    error: Exception | None = None
    lateness: float = field(default=0.0, eq=False)


async def watch_many(
    states: Iterable[PollState],
    poll: Poll,
    clock: Clock,
    *,
    later: AsyncIterable[Any] | None = None,
    new_state: Callable[[Any], PollState],
    max_concurrency: int,
    max_requests_per_second: float | None,
) -> AsyncIterator[StatusUpdate]:
    """Poll *states* and the callbacks that come *later* until all have ended; yield each change."""
    limits = (
        f"max_concurrency={max_concurrency} or max_requests_per_second={max_requests_per_second}"
    )
    gap = _seconds_between_requests(max_concurrency, max_requests_per_second)
    next_request = clock.monotonic()
    due: list[tuple[float, int, PollState]] = []
    order = count()  # Breaks ties, because states cannot be compared.
    alarm = _Alarm(clock)
    has_warned = False

    def add(state: PollState) -> None:
        now = clock.monotonic()
        heapq.heappush(due, (now + state.pause(now), next(order), state))

    for state in states:
        add(state)
    reader = asyncio.create_task(_read(later, lambda item: add(new_state(item)), alarm))
    reader.add_done_callback(alarm.ring)
    tasks = {reader}
    try:
        while due or tasks:
            now = clock.monotonic()
            most = max_concurrency + (reader in tasks)
            while due and len(tasks) < most and max(due[0][0], next_request) <= now:
                at, _, state = heapq.heappop(due)
                task = asyncio.create_task(_poll(state, now - at, poll, add, clock))
                task.add_done_callback(alarm.ring)
                tasks.add(task)
                is_last = not due or due[0][0] > now  # of a group that is sent together
                pause = gap or (_TOGETHER if is_last else 0.0)
                next_request = max(next_request, now - gap) + pause
            if due and not has_warned and now - due[0][0] > _LATE:
                has_warned = True
                message = "status polls are late: %s is too low for %d callbacks"
                logger.warning(message, limits, len(due) + len(tasks - {reader}))
            if due and len(tasks) < most:
                alarm.set(max(due[0][0], next_request))
            await alarm.wait()
            done = [task for task in tasks if task.done()]
            for task in sorted(done, key=lambda task: task is reader):  # It may raise.
                tasks.remove(task)
                for update in task.result():  # Raises the iterable's exception.
                    yield update
    finally:
        alarm.cancel()
        await _close(tasks, reader)


async def _read(
    items: AsyncIterable[Any] | None, add: Callable[[Any], None], alarm: _Alarm
) -> list[StatusUpdate]:
    if items is None:
        return []
    iterator = aiter(items)
    try:
        async for item in iterator:
            add(item)
            alarm.ring()
    finally:
        # An invalid id or a cancellation ends the loop early.
        if (aclose := getattr(iterator, "aclose", None)) is not None:
            await aclose()
    return []


async def _close(tasks: Iterable[asyncio.Task[Any]], reader: asyncio.Task[Any]) -> None:
    """Raise the iterable's exception, also one that it raised while it was closed."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(reader, *tasks, return_exceptions=True)
    if not reader.cancelled():
        reader.result()


def _seconds_between_requests(max_concurrency: int, max_requests_per_second: float | None) -> float:
    if max_concurrency < 1 or not (max_requests_per_second is None or max_requests_per_second > 0):
        raise ValueError(
            "max_concurrency must be at least 1, and max_requests_per_second greater than 0, got "
            f"{max_concurrency} and {max_requests_per_second}."
        )
    return 0.0 if max_requests_per_second is None else 1 / max_requests_per_second


async def _poll(
    state: PollState, lateness: float, poll: Poll, add: Callable[[PollState], None], clock: Clock
) -> list[StatusUpdate]:
    now = clock.monotonic()
    updates: list[StatusUpdate] = []
    try:
        if state.may_poll(now) and (status := await poll(state)):
            updates.append(StatusUpdate(state.outcome, status, lateness=lateness))
        state.raise_if_expired(now)
    except Exception as error:
        # Any other exception is a time limit of the program itself.
        if not isinstance(error, TeniosError) and error is not state.interval_error:
            raise
        updates.append(StatusUpdate(state.outcome, error=error, lateness=lateness))
    else:
        if not state.outcome.ended:
            add(state)
    return updates


class _Alarm:
    """Wakes one waiting task, when it is rung or at a given time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._event = asyncio.Event()
        self._timer: asyncio.Task[None] | None = None
        self._at = 0.0

    def set(self, at: float) -> None:
        if self._timer is None or self._timer.done() or at < self._at:
            self.cancel()
            self._at = at
            seconds = max(0.0, at - self._clock.monotonic())
            self._timer = asyncio.create_task(self._clock.async_sleep(seconds))
            self._timer.add_done_callback(self.ring)

    def ring(self, _: object = None) -> None:
        self._event.set()

    async def wait(self) -> None:
        """Wait until it rings. Return at once if it has rung since the last call."""
        await self._event.wait()
        self._event.clear()

    def cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()

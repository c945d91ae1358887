"""Watches many callbacks at once without a task for each, with limits on concurrent requests and requests per second."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from attrs import frozen

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tenios_client.models import CallbackStatus

    from ._clock import Clock
    from ._models import Outcome
    from ._polling import PollState

MAX_CONCURRENCY = 20
MAX_REQUESTS_PER_SECOND = 100.0

Poll = Callable[["PollState"], Awaitable["CallbackStatus | None"]]


@frozen
class StatusUpdate:
    """
    A change in one of many callbacks.

    Attributes:
        outcome: What was seen of the callback so far; ``outcome.handle`` identifies it.
        status: The new status; None if *error* is set.
        error: Why there will be no more updates of this callback: a CallbackTimeoutError, a StatusUnavailableError, or what the
            caller's poll interval raised; else None.
    """

    outcome: Outcome
    status: CallbackStatus | None = None
    error: Exception | None = None


async def watch_many(
    states: Sequence[PollState],
    poll: Poll,
    clock: Clock,
    *,
    max_concurrency: int,
    max_requests_per_second: float,
) -> AsyncIterator[StatusUpdate]:
    """Poll all *states* until they have ended, and yield each change."""
    if max_concurrency < 1 or not max_requests_per_second > 0:
        raise ValueError("max_concurrency must be at least 1, and max_requests_per_second greater than 0.")
    start = clock.monotonic()
    # The index of each state breaks ties, so that states are never compared.
    due = [(start + state.pause(start), index) for index, state in enumerate(states)]
    heapq.heapify(due)
    polls: set[asyncio.Task[tuple[int, list[StatusUpdate]]]] = set()
    next_request = start
    try:
        while due or polls:
            pause = max(due[0][0], next_request) - clock.monotonic() if due and len(polls) < max_concurrency else None
            if pause is not None and pause <= 0:
                _, index = heapq.heappop(due)
                polls.add(asyncio.create_task(_poll(index, states[index], poll, clock)))
                next_request = (
                    max(next_request, clock.monotonic() - 1 / max_requests_per_second) + 1 / max_requests_per_second
                )
                continue
            for index, updates in await _next_done(polls, pause, clock):
                for update in updates:
                    yield update
                if not states[index].outcome.ended and all(update.error is None for update in updates):
                    now = clock.monotonic()
                    heapq.heappush(due, (now + states[index].pause(now), index))
    finally:
        for task in polls:
            task.cancel()
        await asyncio.gather(*polls, return_exceptions=True)


async def _poll(index: int, state: PollState, poll: Poll, clock: Clock) -> tuple[int, list[StatusUpdate]]:
    now = clock.monotonic()
    updates: list[StatusUpdate] = []
    try:
        if state.may_poll(now) and (status := await poll(state)):
            updates.append(StatusUpdate(state.outcome, status))
        state.raise_if_expired(now)
    except Exception as error:  # noqa: BLE001 - also the caller's own poll interval may fail, and ends only this callback
        updates.append(StatusUpdate(state.outcome, error=error))
    return index, updates


async def _next_done(
    polls: set[asyncio.Task[tuple[int, list[StatusUpdate]]]],
    pause: float | None,
    clock: Clock,
) -> list[tuple[int, list[StatusUpdate]]]:
    """Wait until a poll is done or *pause* seconds have passed; remove the polls that are done, and return their results."""
    timer = [asyncio.create_task(clock.async_sleep(pause))] if pause is not None else []
    try:
        await asyncio.wait([*polls, *timer], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for sleeping in timer:
            sleeping.cancel()
        await asyncio.gather(*timer, return_exceptions=True)
    done = {task for task in polls if task.done()}
    polls -= done
    return [task.result() for task in done]

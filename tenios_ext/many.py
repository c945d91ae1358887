"""Following many callbacks at once: no task for each of them, a bound on the questions under way and per second."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from .errors import TeniosError
from .outcome import Update

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from tenios_client.models import CallbackStatus

    from .clock import Clock
    from .following import Follower

Poll = Callable[["Follower"], Awaitable["CallbackStatus | None"]]


async def watch_many(
    followers: Sequence[Follower],
    poll: Poll,
    clock: Clock,
    *,
    in_flight: int,
    per_second: float,
) -> AsyncIterator[Update]:
    """Follow all *followers* to their ends and yield each change."""
    if in_flight < 1 or not per_second > 0:
        raise ValueError("in_flight is at least 1, and per_second greater than 0.")
    start = clock.now()
    # The number of each follower breaks ties, so that followers are never compared.
    due = [(start + follower.pause(start), number) for number, follower in enumerate(followers)]
    heapq.heapify(due)
    asking: set[asyncio.Task[tuple[int, Update | None]]] = set()
    next_question = start
    try:
        while due or asking:
            pause = max(due[0][0], next_question) - clock.now() if due and len(asking) < in_flight else None
            if pause is not None and pause <= 0:
                _, number = heapq.heappop(due)
                asking.add(asyncio.create_task(_ask(number, followers[number], poll, clock)))
                next_question = max(next_question, clock.now() - 1 / per_second) + 1 / per_second
                continue
            for number, update in await _first_of(asking, pause, clock):
                if update is not None:
                    yield update
                if (update is None or update.error is None) and not followers[number].outcome.over:
                    now = clock.now()
                    heapq.heappush(due, (now + followers[number].pause(now), number))
    finally:
        for task in asking:
            task.cancel()
        await asyncio.gather(*asking, return_exceptions=True)


async def _ask(number: int, follower: Follower, poll: Poll, clock: Clock) -> tuple[int, Update | None]:
    try:
        news = await poll(follower) if follower.may_ask(clock.now()) else None
        if news is None:
            follower.check(clock.now())
    except TeniosError as error:
        return number, Update(follower.outcome, error=error)
    return number, Update(follower.outcome, news) if news is not None else None


async def _first_of(
    asking: set[asyncio.Task[tuple[int, Update | None]]],
    pause: float | None,
    clock: Clock,
) -> list[tuple[int, Update | None]]:
    """Wait for the next answers, or for *pause* seconds; take the tasks that are done out of *asking*."""
    timer = [asyncio.create_task(clock.async_sleep(pause))] if pause is not None else []
    try:
        await asyncio.wait([*asking, *timer], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for sleeping in timer:
            sleeping.cancel()
        await asyncio.gather(*timer, return_exceptions=True)
    done = {task for task in asking if task.done()}
    asking -= done
    return [task.result() for task in done]

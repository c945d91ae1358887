"""Following many callbacks at once."""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator

import httpx
import pytest
from support.dialling import CONFIG_ID

from tenios_ext import (
    AsyncTenios,
    CallbackHandle,
    CallbackTimeoutError,
    StatusUnavailableError,
    TeniosError,
    Update,
)
from tenios_ext.simulator import Journey, VirtualClock

MANY = 1000


class Town:
    """
    Many callbacks, each with a journey of its own, behind one transport.

    Attributes:
        most_in_flight: How many questions were under way at once at most.
        asked_at: When each question came.
        tasks: How many tasks there were at most.
    """

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.start = self.clock.now()
        self.most_in_flight = self.tasks = 0
        self.asked_at: list[float] = []
        self._in_flight = 0
        self._questions: Counter[int] = Counter()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer; every 7th callback does not exist, and every 11th answers each second question with 503."""
        callback = json.loads(request.content)["id"]
        self.asked_at.append(self.clock.now())
        self._in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self._in_flight)
        self.tasks = max(self.tasks, len(asyncio.all_tasks()))
        await asyncio.sleep(0)
        self._in_flight -= 1
        if callback % 7 == 0:
            return httpx.Response(400, json={"error_code": "INVALID_VALUE", "error_message": "Invalid value"})
        self._questions[callback] += 1
        if callback % 11 == 0 and self._questions[callback] % 2:
            return httpx.Response(503)
        journey = Journey.customer_declines() if callback % 2 else Journey.answered(talking=callback % 300)
        elapsed = self.clock.now() - self.start
        status = next(status for begins, status in reversed(journey.timeline(delay=0)) if begins <= elapsed)
        return httpx.Response(200, json={"status": status})

    def client(self) -> AsyncTenios:
        """A client of the town."""
        return AsyncTenios("KEY", CONFIG_ID, transport=httpx.MockTransport(self), clock=self.clock)


def follow(town: Town, count: int, **bounds: float) -> list[Update]:
    async def run() -> list[Update]:
        async with town.client() as tenios:
            handles = [CallbackHandle(number, started_at=town.start) for number in range(1, count + 1)]
            return [update async for update in tenios.watch_many(handles, **bounds)]  # type: ignore[arg-type] # a mix

    return asyncio.run(run())


def test_thousands_are_followed_to_their_ends() -> None:
    """Each callback's changes come once and in order, and the trouble of some does not stop the others."""
    town = Town()
    updates = follow(town, MANY, in_flight=20, per_second=math.inf)
    by_callback = defaultdict(list)
    for update in updates:
        by_callback[update.outcome.handle.id].append(update)
    assert len(by_callback) == MANY
    for number, own in by_callback.items():
        last = own[-1]
        assert all(update.error is None for update in own[:-1])
        if number % 7 == 0:
            assert isinstance(last.error, StatusUnavailableError)
            assert last.status is None
            continue
        assert last.error is None
        assert last.outcome.over
        assert last.outcome.failed_party == ("customer" if number % 2 else None)
        assert [update.status for update in own] == [sighting.status for sighting in last.outcome.sightings]
    assert town.most_in_flight == 20
    assert town.tasks <= 20 + 3, "there is a task for each question under way, not for each callback"


def test_questions_per_second_are_bounded() -> None:
    """In no second are more questions asked than allowed."""
    town = Town()
    follow(town, 100, per_second=5)
    seconds = Counter(int(at - town.start) for at in town.asked_at)
    assert max(seconds.values()) <= 6
    assert len(town.asked_at) > 200


def test_each_callback_has_its_own_limit() -> None:
    """The limit of one callback ends that one with an update of its own."""
    town = Town()
    updates = follow(town, 6, ended_within=100, answered_within=100)
    last = {update.outcome.handle.id: update for update in updates}
    assert {number for number, update in last.items() if isinstance(update.error, CallbackTimeoutError)} == set()
    town = Town()
    updates = follow(town, 298, ended_within=100, answered_within=100)
    last = {update.outcome.handle.id: update for update in updates}
    assert isinstance(last[298].error, CallbackTimeoutError)
    assert last[298].outcome.connected
    assert last[2].outcome.over


def test_nothing_to_follow_is_over_at_once() -> None:
    """An empty list yields nothing."""
    assert follow(Town(), 0) == []


@pytest.mark.parametrize("bounds", [{"in_flight": 0}, {"per_second": 0}])
def test_bounds_without_sense_are_refused(bounds: dict[str, float]) -> None:
    """No question could ever be asked."""
    with pytest.raises(ValueError, match="in_flight"):
        follow(Town(), 1, **bounds)


def test_leaving_early_leaves_no_task_behind() -> None:
    """Whoever breaks out of the loop and closes the iterator stops all questions."""
    town = Town()

    async def run() -> int:
        async with town.client() as tenios:
            updates = tenios.watch_many(range(1, 100))
            assert isinstance(updates, AsyncGenerator)
            async for update in updates:
                assert not isinstance(update.error, TeniosError)
                break
            await updates.aclose()
            return len(asyncio.all_tasks())

    assert asyncio.run(run()) == 1

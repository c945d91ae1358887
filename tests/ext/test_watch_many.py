"""Watching many callbacks at once."""

from __future__ import annotations

import asyncio
import json
import math
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Iterable
from typing import Any

import httpx
import pytest
from support.clients import CONFIG_ID, Script

from tenios_ext import (
    AsyncTenios,
    CallbackHandle,
    CallbackTimeoutError,
    StatusUnavailableError,
    StatusUpdate,
)
from tenios_simulator import Scenario, VirtualClock

IDS = range(1, 1001)


class FakeFleet:
    """
    A fake server with many callbacks, each with its own scenario.

    The status of every 7th callback is refused. Every other status request of every 11th callback fails with 503.

    Attributes:
        clock: The clock of its clients.
        start: When all callbacks were started.
        polled_at: When each status request came.
        max_concurrent: The most status requests at the same time.
        max_tasks: The most asyncio tasks at the same time.
    """

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.start = self.clock.now()
        self.polled_at: list[float] = []
        self.max_concurrent = self.max_tasks = 0
        self._concurrent = 0
        self._polls: Counter[int] = Counter()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        """Return the response to a status request."""
        callback_id = json.loads(request.content)["id"]
        self.polled_at.append(self.clock.now())
        self._concurrent += 1
        self.max_concurrent = max(self.max_concurrent, self._concurrent)
        self.max_tasks = max(self.max_tasks, len(asyncio.all_tasks()))
        await asyncio.sleep(0)
        self._concurrent -= 1
        if callback_id % 7 == 0:
            return httpx.Response(400, json={"error_code": "INVALID_VALUE", "error_message": "Invalid value"})
        self._polls[callback_id] += 1
        if callback_id % 11 == 0 and self._polls[callback_id] % 2:
            return httpx.Response(503)
        scenario = Scenario.customer_declines() if callback_id % 2 else Scenario.answered(talking=callback_id % 300)
        elapsed = self.clock.now() - self.start
        status = next(status for begins, status in reversed(scenario.timeline(delay=0)) if begins <= elapsed)
        return httpx.Response(200, json={"status": status})

    def client(self) -> AsyncTenios:
        """Return a client of this server."""
        return AsyncTenios("KEY", CONFIG_ID, transport=httpx.MockTransport(self), clock=self.clock)


def watch_many(fleet: FakeFleet, ids: Iterable[int], **limits: Any) -> list[StatusUpdate]:
    async def run() -> list[StatusUpdate]:
        async with fleet.client() as tenios:
            handles = [CallbackHandle(number, started_at=fleet.start) for number in ids]
            return [update async for update in tenios.watch_many(handles, **limits)]

    return asyncio.run(run())


def test_each_of_many_callbacks_is_watched_to_its_end() -> None:
    """Changes come once and in order, and an error of one callback does not stop the others."""
    fleet = FakeFleet()
    by_callback = defaultdict(list)
    for update in watch_many(fleet, IDS, max_concurrency=20, max_requests_per_second=math.inf):
        by_callback[update.outcome.handle.id].append(update)
    assert len(by_callback) == len(IDS)
    for number, updates in by_callback.items():
        last = updates[-1]
        assert all(update.error is None for update in updates[:-1])
        if number % 7 == 0:
            assert isinstance(last.error, StatusUnavailableError)
            assert last.status is None
            continue
        assert last.error is None
        assert last.outcome.ended
        assert last.outcome.failed_party == ("customer" if number % 2 else None)
        assert [update.status for update in updates] == [change.status for change in last.outcome.history]


@pytest.mark.parametrize("limit", [1, 20])
def test_requests_at_the_same_time_are_limited(limit: int) -> None:
    fleet = FakeFleet()
    watch_many(fleet, IDS[:100], max_concurrency=limit, max_requests_per_second=math.inf)
    assert fleet.max_concurrent == limit
    assert fleet.max_tasks <= limit + 3, "there is a task for each running request, not for each callback"


def test_requests_per_second_are_limited() -> None:
    fleet = FakeFleet()
    watch_many(fleet, IDS[:100], max_requests_per_second=5)
    assert len(fleet.polled_at) > 200
    windows = zip(fleet.polled_at, fleet.polled_at[6:], strict=False)
    assert all(later - earlier >= 1 - 1e-6 for earlier, later in windows), "no more than six polls in any second"


def test_no_result_is_lost_while_the_caller_takes_its_time() -> None:
    """The second poll ends while the caller is still busy with the update of the first."""

    async def respond(request: httpx.Request) -> httpx.Response:
        for _ in range(20 * json.loads(request.content)["id"]):
            await asyncio.sleep(0)
        return httpx.Response(200, json={"status": "DISCONNECTED"})

    async def run() -> list[int]:
        ended = []
        clock = VirtualClock()
        async with AsyncTenios("KEY", CONFIG_ID, transport=httpx.MockTransport(respond), clock=clock) as tenios:
            async for update in tenios.watch_many([1, 2], answer_timeout=None, end_timeout=None):
                for _ in range(100):
                    await asyncio.sleep(0)
                ended.append(update.outcome.handle.id)
        return ended

    assert asyncio.run(asyncio.wait_for(run(), 60)) == [1, 2]


def test_by_default_no_poll_is_late() -> None:
    assert {update.lateness for update in watch_many(FakeFleet(), IDS[:500]) if update.status} == {0.0}


def test_limit_that_makes_polls_late_is_logged_once_and_seen(caplog: pytest.LogCaptureFixture) -> None:
    updates = watch_many(FakeFleet(), IDS[:100], max_requests_per_second=5)
    warnings = [record.getMessage() for record in caplog.records if "late" in record.getMessage()]
    assert warnings == [
        "status polls are late: max_concurrency=100 or max_requests_per_second=5 is too low for 100 callbacks"
    ]
    assert max(update.lateness for update in updates) > 1


def test_limits_of_one_callback_end_only_that_one() -> None:
    last = {
        update.outcome.handle.id: update
        for update in watch_many(FakeFleet(), [2, 298], answer_timeout=100, end_timeout=100)
    }
    # 298 talks for 298 seconds, 2 for two.
    assert isinstance(last[298].error, CallbackTimeoutError)
    assert last[298].status is None
    assert last[298].outcome.connected
    assert last[298].error.outcome == last[298].outcome
    assert last[2].error is None
    assert last[2].outcome.ended


def test_no_callbacks_yield_no_updates() -> None:
    assert watch_many(FakeFleet(), []) == []


@pytest.mark.parametrize(
    "limits",
    [
        {"max_concurrency": 0},
        {"max_requests_per_second": 0},
        {"max_requests_per_second": math.nan},
    ],
)
def test_limits_that_allow_no_request_are_refused(limits: dict[str, float]) -> None:
    fleet = FakeFleet()
    with pytest.raises(ValueError, match="max_concurrency must be at least 1, and max_requests_per_second greater"):
        watch_many(fleet, [1], **limits)
    assert not fleet.polled_at


@pytest.mark.parametrize("limits", [{"answer_timeout": -1}, {"end_timeout": math.nan}])
def test_wrong_limits_are_refused_when_it_is_called(limits: dict[str, Any]) -> None:
    async def run() -> None:
        async with FakeFleet().client() as tenios:
            tenios.watch_many([1], **limits)

    with pytest.raises(ValueError, match=f"{next(iter(limits))} must be a number of seconds"):
        asyncio.run(run())


def test_leaving_the_loop_early_leaves_no_task_and_sends_nothing_more() -> None:
    fleet = FakeFleet()

    async def run() -> None:
        async with fleet.client() as tenios:
            updates = tenios.watch_many(range(1, 100))
            assert isinstance(updates, AsyncGenerator)
            async for _ in updates:
                break
            await updates.aclose()
            assert len(asyncio.all_tasks()) == 1
            polls = len(fleet.polled_at)
            await fleet.clock.async_sleep(60)
            assert len(fleet.polled_at) == polls

    asyncio.run(run())


def test_leaving_the_loop_early_does_not_wait_for_responses() -> None:
    async def respond_once(request: httpx.Request) -> httpx.Response:
        if json.loads(request.content)["id"] != 1:
            await asyncio.Event().wait()
        return httpx.Response(200, json={"status": "DISCONNECTED"})

    async def run() -> None:
        async with AsyncTenios("KEY", CONFIG_ID, transport=httpx.MockTransport(respond_once)) as tenios:
            updates = tenios.watch_many([2, 1, 3])
            assert isinstance(updates, AsyncGenerator)
            assert (await anext(updates)).outcome.handle.id == 1
            async with asyncio.timeout(10):
                await updates.aclose()
            assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())


def test_retry_after_is_honoured() -> None:
    script = Script([httpx.Response(429, headers={"Retry-After": "40"}), "DISCONNECTED"])

    async def run() -> list[StatusUpdate]:
        async with script.async_client() as tenios:
            return [update async for update in tenios.watch_many([10])]

    [update] = asyncio.run(run())
    assert update.outcome.ended
    assert script.polled_at[0] == 0
    assert 40 <= script.polled_at[1] <= 44.1


def test_callbacks_are_not_polled_during_their_delay() -> None:
    script = Script(["DISCONNECTED"])
    handles = [CallbackHandle(number, delay=100 * number, started_at=script.clock.now()) for number in (3, 1, 2)]

    async def run() -> None:
        async with script.async_client() as tenios:
            updates = [(update.outcome.handle.id, script.elapsed) async for update in tenios.watch_many(handles)]
            assert dict(updates) == pytest.approx({1: 100, 2: 200, 3: 300}), "each is yielded at once"

    asyncio.run(run())
    assert script.ids == [1, 2, 3]
    assert script.polled_at == pytest.approx([100, 200, 300])

"""Following many callbacks at once."""

from __future__ import annotations

import asyncio
import gc
import json
import math
import weakref
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import suppress
from itertools import pairwise
from typing import Any

import httpx
import pytest
from support.clients import CONFIG_ID, NUMBER, Script

from tenios_ext import (
    AsyncTenios,
    CallbackHandle,
    CallbackStatus,
    CallbackTimeoutError,
    StatusUnavailableError,
    StatusUpdate,
)
from tenios_simulator import Scenario, Simulator, VirtualClock

IDS = range(1, 401)


class FakeFleet:
    """
    A fake server with many callbacks, each with its own scenario.

    It rejects the status requests of every 7th callback. Every other status request of every 11th
    callback fails with 503.

    Attributes:
        clock: The clock of its clients.
        start: The start of all callbacks.
        polled_at: The time of each status request.
        max_concurrent: The maximum number of concurrent status requests.
        max_tasks: The maximum number of concurrent asyncio tasks.
    """

    def __init__(self) -> None:
        self.clock = VirtualClock()
        self.start = self.clock.now()
        self.polled_at: list[float] = []
        self.max_concurrent = self.max_tasks = 0
        self._concurrent = 0
        self._polls: Counter[int] = Counter()

    async def __call__(self, request: httpx.Request) -> httpx.Response:
        callback_id = json.loads(request.content)["id"]
        self.polled_at.append(self.clock.now())
        self._concurrent += 1
        self.max_concurrent = max(self.max_concurrent, self._concurrent)
        self.max_tasks = max(self.max_tasks, len(asyncio.all_tasks()))
        await asyncio.sleep(0)
        self._concurrent -= 1
        if callback_id % 7 == 0:
            return httpx.Response(
                400, json={"error_code": "INVALID_VALUE", "error_message": "Invalid value"}
            )
        self._polls[callback_id] += 1
        if callback_id % 11 == 0 and self._polls[callback_id] % 2:
            return httpx.Response(503)
        scenario = (
            Scenario.customer_declines()
            if callback_id % 2
            else Scenario.answered(talking=callback_id % 300)
        )
        elapsed = self.clock.now() - self.start
        status = next(
            status for begins, status in reversed(scenario.timeline(delay=0)) if begins <= elapsed
        )
        return httpx.Response(200, json={"status": status})

    def client(self) -> AsyncTenios:
        return AsyncTenios("KEY", CONFIG_ID, transport=httpx.MockTransport(self), clock=self.clock)


def watch_many(fleet: FakeFleet, ids: Iterable[int], **limits: Any) -> list[StatusUpdate]:
    async def run() -> list[StatusUpdate]:
        async with fleet.client() as tenios:
            handles = [CallbackHandle(number, started_at=fleet.start) for number in ids]
            return [update async for update in tenios.watch_many(handles, **limits)]

    return asyncio.run(run())


def test_each_of_many_callbacks_is_watched_to_its_end() -> None:
    """Changes come once and in order, and the error of one callback does not affect others."""
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
        assert [update.status for update in updates] == [
            change.status for change in last.outcome.history
        ]


@pytest.mark.parametrize("limit", [1, 20])
def test_requests_at_the_same_time_are_limited(limit: int) -> None:
    fleet = FakeFleet()
    watch_many(fleet, IDS[:100], max_concurrency=limit, max_requests_per_second=math.inf)
    assert fleet.max_concurrent == limit
    assert fleet.max_tasks <= limit + 3, (
        "there is a task for each running request, not for each callback"
    )


def test_requests_per_second_are_limited() -> None:
    fleet = FakeFleet()
    watch_many(fleet, IDS[:100], max_requests_per_second=5)
    assert len(fleet.polled_at) > 200
    windows = zip(fleet.polled_at, fleet.polled_at[6:], strict=False)
    assert all(later - earlier >= 1 - 1e-6 for earlier, later in windows), (
        "no more than six polls in any second"
    )


def test_no_result_is_lost_while_the_caller_takes_its_time() -> None:
    """The second poll ends while the caller still processes the first update."""

    async def respond(request: httpx.Request) -> httpx.Response:
        for _ in range(20 * json.loads(request.content)["id"]):
            await asyncio.sleep(0)
        return httpx.Response(200, json={"status": "DISCONNECTED"})

    async def run() -> list[int]:
        ended = []
        clock = VirtualClock()
        async with AsyncTenios(
            "KEY", CONFIG_ID, transport=httpx.MockTransport(respond), clock=clock
        ) as tenios:
            async for update in tenios.watch_many([1, 2], answer_timeout=None, end_timeout=None):
                for _ in range(100):
                    await asyncio.sleep(0)
                ended.append(update.outcome.handle.id)
        return ended

    assert asyncio.run(asyncio.wait_for(run(), 60)) == [1, 2]


def test_by_default_no_poll_is_late_by_more_than_it_takes_to_send_some_together() -> None:
    lateness = [update.lateness for update in watch_many(FakeFleet(), IDS) if update.status]
    assert 0 < max(lateness) <= 0.02


def test_polls_that_are_due_within_twenty_milliseconds_are_sent_together() -> None:
    fleet = FakeFleet()
    watch_many(fleet, IDS)
    times = sorted(set(fleet.polled_at))
    assert len(times) < len(fleet.polled_at) / 2
    assert all(later - earlier > 0.02 - 1e-6 for earlier, later in pairwise(times))


def test_limit_that_makes_polls_late_is_logged_once_and_seen(
    caplog: pytest.LogCaptureFixture,
) -> None:
    updates = watch_many(FakeFleet(), IDS[:100], max_requests_per_second=5)
    warnings = [record.getMessage() for record in caplog.records if "late" in record.getMessage()]
    assert warnings == [
        (
            "status polls are late: max_concurrency=100 or max_requests_per_second=5 is too low "
            "for 100 callbacks"
        )
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
    with pytest.raises(
        ValueError, match="max_concurrency must be at least 1, and max_requests_per_second greater"
    ):
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
        async with AsyncTenios(
            "KEY", CONFIG_ID, transport=httpx.MockTransport(respond_once)
        ) as tenios:
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
    handles = [
        CallbackHandle(number, delay=100 * number, started_at=script.clock.now())
        for number in (3, 1, 2)
    ]

    async def run() -> None:
        async with script.async_client() as tenios:
            updates = [
                (update.outcome.handle.id, script.elapsed)
                async for update in tenios.watch_many(handles)
            ]
            assert dict(updates) == pytest.approx({1: 100, 2: 200, 3: 300}), (
                "each is yielded at once"
            )

    asyncio.run(run())
    assert script.ids == [1, 2, 3]
    assert script.polled_at == pytest.approx([100, 200, 300])


# Callbacks that are added later.


def test_callbacks_that_come_while_it_runs_are_watched_to_their_end() -> None:
    """Each callback starts when the previous one has ended, also after a pause."""
    simulator = Simulator(scenario=Scenario.answered(talking=30))

    async def run() -> list[tuple[int, str]]:
        ended = asyncio.Queue[int]()

        async def start_in_turn() -> AsyncIterator[CallbackHandle]:
            for pause in (0, 100, 0):
                await simulator.clock.async_sleep(pause)
                callback = await tenios.start_callback(NUMBER)
                yield callback.handle
                assert await ended.get() == callback.id

        seen = []
        async with simulator.async_client() as tenios:
            async for update in tenios.watch_many(start_in_turn()):
                seen.append((update.outcome.handle.id, str(update.status)))
                if update.outcome.ended:
                    ended.put_nowait(update.outcome.handle.id)
        return seen

    seen = asyncio.run(asyncio.wait_for(run(), 60))
    assert {status for _, status in seen} >= {"CALLING_A", "CALLING_B", "DISCONNECTED"}
    assert [number for number, status in seen if status == "DISCONNECTED"] == [10, 11, 12]


def test_callback_that_comes_is_polled_before_those_that_are_due_later() -> None:
    async def run() -> dict[int, float]:
        async def handles() -> AsyncIterator[CallbackHandle]:
            yield CallbackHandle(1, delay=1000, started_at=script.clock.now())
            await script.clock.async_sleep(10)
            yield CallbackHandle(2, started_at=script.clock.now())

        async with script.async_client() as tenios:
            return {
                update.outcome.handle.id: script.elapsed
                async for update in tenios.watch_many(handles())
            }

    script = Script(["CALLING_A", "DISCONNECTED"])
    ended = asyncio.run(run())
    assert ended[1] == pytest.approx(1000)
    assert 10 < ended[2] < 20


def test_callback_that_comes_while_the_caller_takes_its_time_is_polled() -> None:
    async def run() -> list[int]:
        gate = asyncio.Event()

        async def ids() -> AsyncIterator[int]:
            yield 1
            await gate.wait()
            yield 2

        async with Script(["DISCONNECTED"]).async_client() as tenios:
            ended = []
            async for update in tenios.watch_many(ids()):
                gate.set()
                for _ in range(100):
                    await asyncio.sleep(0)
                ended.append(update.outcome.handle.id)
            return ended

    assert asyncio.run(asyncio.wait_for(run(), 60)) == [1, 2]


def test_no_callbacks_at_all_end_the_loop() -> None:
    async def run() -> list[StatusUpdate]:
        async def ids() -> AsyncIterator[int]:
            await script.clock.async_sleep(10)
            for number in range(0):
                yield number

        async with script.async_client() as tenios:
            return [update async for update in tenios.watch_many(ids())]

    script = Script(["DISCONNECTED"])
    assert asyncio.run(asyncio.wait_for(run(), 60)) == []


class Source:
    """
    Yields ids, then waits until it is closed.

    Attributes:
        closed: Whether it was closed.
        failure: The exception to raise when it is closed.
    """

    def __init__(self, *ids: Any, failure: Exception | None = None) -> None:
        self.closed = False
        self.failure = failure
        self._ids = ids

    async def __aiter__(self) -> AsyncGenerator[Any]:
        try:
            for each in self._ids:
                yield each
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            self.closed = True
            if self.failure is not None:
                raise self.failure


def test_leaving_the_loop_early_closes_the_iterable() -> None:
    source = Source(1, 2)

    async def run() -> None:
        async with Script(["CALLING_A"]).async_client() as tenios:
            updates = tenios.watch_many(source)
            assert isinstance(updates, AsyncGenerator)
            await anext(updates)
            assert not source.closed
            await updates.aclose()
            assert source.closed
            assert len(asyncio.all_tasks()) == 1

    asyncio.run(run())


def test_cancellation_closes_the_iterable() -> None:
    source = Source(1)

    async def watch() -> None:
        async with Script(["DISCONNECTED"]).async_client() as tenios:
            async for _ in tenios.watch_many(source):
                ended.set()

    async def run() -> None:
        task = asyncio.create_task(watch())
        await ended.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert source.closed
        assert len(asyncio.all_tasks()) == 1

    ended = asyncio.Event()
    asyncio.run(run())


def test_error_while_the_iterable_is_closed_is_raised() -> None:
    source = Source(1, failure=RuntimeError("cannot close"))

    async def run() -> None:
        async with Script(["CALLING_A"]).async_client() as tenios:
            updates = tenios.watch_many(source)
            assert isinstance(updates, AsyncGenerator)
            await anext(updates)
            with pytest.raises(RuntimeError, match="cannot close"):
                await updates.aclose()

    asyncio.run(run())


@pytest.mark.parametrize("error", [ValueError("no more rows"), asyncio.CancelledError()])
def test_error_of_the_iterable_is_raised_and_ends_all_polls(error: BaseException) -> None:
    async def run() -> None:
        async def ids() -> AsyncIterator[int]:
            yield 1
            await script.clock.async_sleep(100)
            raise error

        async with asyncio.timeout(60), script.async_client() as tenios:
            updates = tenios.watch_many(ids())
            assert (await anext(updates)).status == "CALLING_A"
            with pytest.raises(type(error)):
                await anext(updates)
            assert len(asyncio.all_tasks()) == 1

    script = Script(["CALLING_A"])
    asyncio.run(run())


@pytest.mark.parametrize("steps", range(8))
def test_changes_that_come_with_an_error_of_the_iterable_are_not_lost(steps: int) -> None:
    """*steps* is the number of steps of the event loop by which the error is later."""

    async def run() -> int:
        gate = asyncio.Event()

        async def respond(_: httpx.Request) -> httpx.Response:
            await gate.wait()
            return httpx.Response(200, json={"status": "CALLING_A"})

        async def ids() -> AsyncIterator[int]:
            for number in range(5):
                yield number
            asyncio.get_running_loop().call_later(0.01, gate.set)
            await gate.wait()
            for _ in range(steps):
                await asyncio.sleep(0)
            raise OSError

        transport = httpx.MockTransport(respond)
        updates = 0
        async with AsyncTenios("KEY", transport=transport) as tenios:
            with suppress(OSError):
                async for _ in tenios.watch_many(ids()):
                    updates += 1
        return updates

    assert asyncio.run(run()) == 5


@pytest.mark.parametrize(("callback", "error"), [(-1, ValueError), (1.5, TypeError)])
def test_callback_that_comes_with_a_wrong_id_is_refused(
    callback: Any, error: type[Exception]
) -> None:
    source = Source(callback)

    async def run() -> None:
        async with Script(["CALLING_A"]).async_client() as tenios:
            with pytest.raises(error, match="callback"):
                await anext(tenios.watch_many(source))
            assert source.closed

    asyncio.run(asyncio.wait_for(run(), 60))


def test_callbacks_that_have_ended_are_not_kept() -> None:
    """A worker may follow callbacks for weeks."""
    handles = [CallbackHandle(number, started_at=0) for number in range(100)]
    references = [weakref.ref(handle) for handle in handles]

    async def run() -> None:
        async def come() -> AsyncIterator[CallbackHandle]:
            while handles:
                yield handles.pop()
                await script.clock.async_sleep(10)
            gc.collect()
            assert sum(reference() is not None for reference in references) <= 2

        async with script.async_client() as tenios:
            async for _ in tenios.watch_many(come()):
                pass

    script = Script(["DISCONNECTED"])
    asyncio.run(run())


def test_exception_in_a_poll_interval_ends_only_its_callback() -> None:
    def poll_interval(status: CallbackStatus | None, _: float) -> float:
        if status == "ON_HOLD":
            raise ZeroDivisionError
        return 1.0

    responses: dict[int, Callable[[], str]] = {1: lambda: "ON_HOLD", 2: lambda: "DISCONNECTED"}

    def respond(request: httpx.Request) -> httpx.Response:
        callback_id = 1 if b'"id":1' in request.content else 2
        return httpx.Response(200, json={"status": responses[callback_id]()})

    async def run() -> dict[int, Exception | None]:
        clock = VirtualClock()
        transport = httpx.MockTransport(respond)
        async with AsyncTenios(
            "KEY", transport=transport, clock=clock, poll_interval=poll_interval
        ) as tenios:
            updates = [update async for update in tenios.watch_many([1, 2])]
        return {update.outcome.handle.id: update.error for update in updates}

    errors = asyncio.run(run())
    assert isinstance(errors[1], ZeroDivisionError)
    assert errors[2] is None

"""Running a campaign that is stopped, cancelled, paused or loses its database."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.campaigns import client, counts, customers, most_in_progress, run

from tenios_campaign import Campaign, CampaignEntry, CampaignSummary, OpeningHours
from tenios_campaign._following import Following
from tenios_ext import (
    AsyncTenios,
    CallbackStatus,
    LedgerUnavailableError,
)
from tenios_simulator import ACCESS_KEY, CALLBACK_CONFIG_ID, Scenario, Simulator

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenios_campaign._rules import Row
    from tenios_ext import CallbackHandle
    from tenios_ext.ledger import Ledger

pytestmark = pytest.mark.usefixtures("exact_time")

TALK = Scenario.answered(talking=20)


def test_stop_follows_callbacks_in_progress_and_starts_no_more(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    campaign = Campaign(sqlite, clock=simulator.clock)
    campaign.add(customers(10))
    campaign.set(max_active=3)

    async def run_it() -> CampaignSummary:
        stop = asyncio.Event()

        def stop_it(entry: CampaignEntry) -> None:
            if entry.status:
                stop.set()

        async with client(simulator, sqlite) as tenios, asyncio.timeout(120):
            return await campaign.run(tenios, stop=stop, on_update=stop_it)

    summary = asyncio.run(run_it())
    assert 1 <= summary.talked <= 3
    assert summary.waiting == 10 - summary.talked
    assert len(simulator.callbacks) == summary.talked
    assert counts(run(simulator, sqlite)) == {"talked": 10}
    assert len(simulator.callbacks) == 10


@pytest.mark.parametrize("change", ["pause", "stop", "close"])
def test_claim_sees_changes_since_the_decision(
    change: str, sqlite: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database may be unreachable between the decision and the claim."""
    simulator = Simulator(scenario=TALK)
    campaign = Campaign(sqlite, clock=simulator.clock)
    campaign.add(customers(1))
    campaign.set(max_active=1)
    start, dials = AsyncTenios.start_callback, itertools.count()

    async def run_it() -> None:
        stop = asyncio.Event()

        async def late(tenios: AsyncTenios, *arguments: Any, **named: Any) -> Any:
            if next(dials) == 0:
                if change == "stop":
                    stop.set()
                elif change == "pause":
                    campaign.pause()
                else:
                    campaign.set(hours=OpeningHours("12:00-12:01", "UTC"))
            return await start(tenios, *arguments, **named)

        monkeypatch.setattr(AsyncTenios, "start_callback", late)
        async with client(simulator, sqlite) as tenios, asyncio.timeout(60):
            await campaign.run(tenios, stop=stop, on_wait=lambda _: stop.set())

    asyncio.run(run_it())
    assert next(dials) == 1
    assert simulator.requests == []
    assert counts(campaign.summary()) == {"waiting": 1}


def test_callback_whose_end_a_job_has_seen_is_no_longer_followed(
    sqlite: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another worker may record its end first."""
    simulator = Simulator(scenario=TALK)
    Campaign(sqlite).add(customers(2))
    watch = Following.watch
    jobs: list[asyncio.Task[None]] = []

    def watched(following: Following, row: Row, handle: CallbackHandle) -> None:
        watch(following, row, handle)
        if not jobs:
            sqlite.record_status(handle.id, CallbackStatus.DISCONNECTED)
            jobs.append(asyncio.create_task(following.job(str(row.attempt_key))))

    monkeypatch.setattr(Following, "watch", watched)
    assert counts(run(simulator, sqlite)) == {"talked": 2}


def test_cancelled_run_waits_for_the_response_and_the_next_one_resumes(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    campaign = Campaign(sqlite)
    campaign.add(customers(2))
    campaign.set(max_active=2)
    requests: list[str] = []
    both, gate = asyncio.Event(), asyncio.Event()

    class Slow(httpx.AsyncBaseTransport):
        async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
            requests.append(request.url.path)
            if len(requests) == 2:
                both.set()
            await gate.wait()
            return await simulator.transport.handle_async_request(request)

    async def run_it() -> None:
        async with (
            AsyncTenios(ACCESS_KEY, CALLBACK_CONFIG_ID, transport=Slow(), ledger=sqlite) as tenios,
            asyncio.timeout(60),
        ):
            task = asyncio.create_task(campaign.run(tenios))
            await both.wait()
            task.cancel()
            assert await asyncio.wait([task], timeout=0.1) == (set(), {task})
            gate.set()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run_it())
    assert [entry.state for entry in sqlite.entries()] == ["placed", "placed"]
    assert counts(run(simulator, sqlite)) == {"talked": 2}
    assert len(simulator.callbacks) == 2


def test_paused_campaign_starts_nothing_until_it_is_resumed(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    campaign = Campaign(sqlite, clock=simulator.clock)
    campaign.add(customers(3))
    campaign.set(max_active=3)
    campaign.pause()

    async def run_it() -> CampaignSummary:
        async with client(simulator, sqlite) as tenios, asyncio.timeout(120):

            def resume(reason: str) -> None:
                if reason == "paused" and campaign.summary().paused:
                    assert simulator.callbacks == []
                    campaign.resume()

            return await campaign.run(tenios, on_wait=resume)

    assert counts(asyncio.run(run_it())) == {"talked": 3}


def test_customers_and_limits_can_be_changed_during_a_run(
    sqlite: Ledger,
) -> None:
    simulator = Simulator(scenario=TALK)
    campaign = Campaign(sqlite, clock=simulator.clock)
    campaign.add(customers(1))

    def add(_: CampaignEntry) -> None:
        campaign.add(customers(5))
        campaign.set(max_active=4)

    assert counts(run(simulator, sqlite, max_active=1, on_update=add)) == {"talked": 5}
    assert most_in_progress(simulator.callbacks) == 4


def away(times: Callable[[int], bool]) -> Callable[..., Any]:
    """Return a Database.run that fails at the calls of these numbers."""
    from tenios_ext.ledger._database import Database

    work, calls = Database.run, itertools.count()

    def sometimes(*arguments: Any, **named: Any) -> Any:
        if times(next(calls)):
            raise LedgerUnavailableError("The ledger cannot be used (away).", reason="away")
        return work(*arguments, **named)

    return sometimes


def test_unreachable_database_loses_nothing_and_is_logged_once(
    sqlite: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tenios_campaign._tasks.DATABASE_PAUSE", 0.0)
    simulator = Simulator(scenario=TALK)
    Campaign(sqlite).add(customers(10))
    gone = away(lambda number: number % 40 > 36)
    campaign = Campaign(sqlite, clock=simulator.clock)
    campaign.set(max_active=5)
    monkeypatch.setattr("tenios_ext.ledger._database.Database.run", gone)

    async def run_it() -> None:
        async with client(simulator, sqlite) as tenios, asyncio.timeout(120):
            await asyncio.create_task(campaign.run(tenios))

    asyncio.run(run_it())
    monkeypatch.undo()
    summary = campaign.summary()
    assert summary.done == 10
    assert len(simulator.callbacks) == 10
    assert Counter(simulator.dialled).most_common(1)[0][1] == 1
    said = [each for each in caplog.messages if each.endswith("(away). Trying again.")]
    assert said
    ids = {entry.callback_id: entry.state for entry in campaign.entries()}
    assert "customer_failed" not in ids.values()


def test_database_error_does_not_end_other_tasks_and_is_reported_once(
    sqlite: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A run is cancelled while the database is unreachable."""
    simulator = Simulator(scenario=TALK)
    campaign = Campaign(sqlite, clock=simulator.clock)
    campaign.add(customers(1))
    campaign.set(max_active=1)
    reported: list[object] = []
    monkeypatch.setattr("tenios_ext.ledger._database.Database.run", away(lambda _: True))

    async def run_it() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reported.append(context))
        async with client(simulator, sqlite) as tenios, asyncio.timeout(60):
            task = asyncio.create_task(campaign.run(tenios))
            while not caplog.messages:  # noqa: ASYNC110 - logging has no event to wait for
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])

    asyncio.run(run_it())
    assert reported == []

"""
Workers: several of them make the attempts of one campaign, and go on with those of one that has
died.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from support.clients import wait_for_recording
from support.postgresql import new_database

from tenios_campaign import Campaign, Customer, OpeningHours
from tenios_campaign._models import Limits
from tenios_ext import AsyncTenios, ConfigurationError, RejectedError
from tenios_ext.ledger import Ledger
from tenios_simulator import Scenario, Simulator, faults
from tenios_simulator._clocks import ScaledClock

from .test_run import client, counts, customers, most_in_progress

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

#: How much faster phones ring and people talk than in reality.
SPEED = 20
TALK = Scenario.answered(talking=20)


@pytest.fixture
def ledger(server: str) -> Iterator[Ledger]:
    """A new ledger in PostgreSQL."""
    with Ledger(new_database(server)) as ledger:
        yield ledger
        wait_for_recording()


@asynccontextmanager
async def worker(
    simulator: Simulator, ledger: Ledger, **arguments: Any
) -> AsyncIterator[asyncio.Task[Any]]:
    """A worker, which is cancelled at the end."""
    async with client(simulator, ledger) as tenios:
        campaign = Campaign(ledger, clock=simulator.clock)
        task = asyncio.create_task(campaign.work(tenios, **{"max_active": 5, **arguments}))
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition is met."""
    async with asyncio.timeout(120):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - other processes do not tell
            await asyncio.sleep(0.05)


def is_done(ledger: Ledger) -> Callable[[], bool]:
    """Return the condition that no customer is to be called any more."""
    return lambda: Campaign(ledger).summary().done == Campaign(ledger).summary().total


def dials_per_attempt(simulator: Simulator, ledger: Ledger) -> dict[str, bool]:
    dialled = Counter(simulator.dialled)
    return {
        entry.key: dialled[entry.number or ""] == entry.attempts
        for entry in Campaign(ledger).entries()
    }


def test_workers_share_a_campaign_within_its_limit(ledger: Ledger) -> None:
    scenarios = iter([TALK, Scenario.customer_busy(), Scenario.agent_busy(), *[TALK] * 30])
    simulator = Simulator(scenario=scenarios, clock=ScaledClock(SPEED))
    Campaign(ledger).add(customers(12), attempts=2, retry_after=20)
    made: list[list[str]] = [[], [], []]

    async def run() -> None:
        workers = [
            worker(
                simulator,
                ledger,
                max_active=4,
                on_update=lambda entry, keys=keys: keys.append(entry.key),
            )
            for keys in made
        ]
        async with workers[0], workers[1], workers[2]:
            await until(is_done(ledger))

    asyncio.run(run())
    assert counts(Campaign(ledger).summary()) == {"talked": 12}
    assert len(simulator.callbacks) == 14
    assert all(dials_per_attempt(simulator, ledger).values())
    assert most_in_progress(simulator.callbacks) == 4
    assert sum(bool(keys) for keys in made) > 1


def test_worker_that_stops_leaves_its_callbacks_to_the_others(ledger: Ledger) -> None:
    simulator = Simulator(scenario=Scenario.answered(talking=100), clock=ScaledClock(SPEED))
    campaign = Campaign(ledger)
    campaign.add(customers(3))

    async def run() -> None:
        async with worker(simulator, ledger):
            await until(lambda: campaign.summary().ringing == 3 and len(simulator.callbacks) == 3)
        assert campaign.summary().ringing == 3
        async with worker(simulator, ledger):
            await until(is_done(ledger))

    asyncio.run(run())
    assert counts(campaign.summary()) == {"talked": 3}
    assert len(simulator.callbacks) == 3


def test_worker_takes_over_what_an_interrupted_run_has_begun(ledger: Ledger) -> None:
    simulator = Simulator(scenario=TALK, clock=ScaledClock(SPEED))
    campaign = Campaign(ledger, clock=simulator.clock)
    campaign.add(customers(3))

    async def run() -> None:
        async with client(simulator, ledger) as tenios:
            task = asyncio.create_task(campaign.run(tenios, max_active=3))
            await until(lambda: len(simulator.callbacks) == 3)
            task.cancel()
            await asyncio.wait([task])
        assert campaign.summary().active == 3
        async with worker(simulator, ledger):
            await until(is_done(ledger))

    asyncio.run(run())
    assert counts(campaign.summary()) == {"talked": 3}
    assert len(simulator.callbacks) == 3


def test_run_refuses_to_run_beside_workers(ledger: Ledger) -> None:
    simulator = Simulator(scenario=TALK, clock=ScaledClock(SPEED))

    async def run() -> None:
        async with worker(simulator, ledger) as task:
            await until(Campaign(ledger)._entries.has_workers)
            async with client(simulator, ledger) as tenios:
                with pytest.raises(ConfigurationError, match="Workers run this campaign"):
                    await Campaign(ledger).run(tenios, max_active=1)
            assert not task.done()

    asyncio.run(run())


def test_jobs_contain_keys_and_no_numbers(ledger: Ledger) -> None:
    simulator = Simulator(scenario=Scenario.manual(), clock=ScaledClock(SPEED))
    Campaign(ledger).add([Customer("order-1", "+49 221 4710001", agent_announcement="For order 1")])

    async def run() -> None:
        async with worker(simulator, ledger):
            await until(lambda: len(simulator.callbacks) == 1)

    asyncio.run(run())
    statement = sa.text(
        "SELECT args::text FROM tenios_jobs.procrastinate_jobs WHERE task_name = 'attempt'"
    )
    jobs = ledger.database.run(lambda connection: list(connection.execute(statement)))
    assert jobs == [('{"key": "order-1"}',)]


def test_attempt_whose_worker_died_before_it_dialled_waits_for_the_opening_hours(
    ledger: Ledger,
) -> None:
    simulator = Simulator(scenario=TALK, clock=ScaledClock(SPEED))
    campaign = Campaign(ledger, clock=simulator.clock)
    campaign.add(customers(1))
    campaign._entries.claim(simulator.clock.now(), Limits(1), is_allowed=True)
    closed = OpeningHours.parse("00:00-00:01", "UTC")

    async def run() -> None:
        async with worker(simulator, ledger, hours=closed):
            await until(lambda: campaign.summary().waiting == 1)

    asyncio.run(run())
    assert not simulator.callbacks
    assert campaign.entries()[0].attempts == 0


def test_refused_credentials_end_a_worker_and_reject_nobody(ledger: Ledger) -> None:
    simulator = Simulator(scenario=TALK, clock=ScaledClock(SPEED))
    simulator.inject(faults.HttpError(403), on="init", times=None)
    Campaign(ledger).add(customers(2))

    async def run() -> None:
        async with worker(simulator, ledger) as task:
            await asyncio.wait([task], timeout=60)
            with pytest.raises(RejectedError):
                task.result()

    asyncio.run(run())
    summary = Campaign(ledger).summary()
    # The other one may have been begun; another worker would go on with it.
    assert (summary.waiting + summary.ringing, summary.total) == (2, 2)
    assert simulator.callbacks == []


def test_workers_need_postgresql(tmp_path: Any) -> None:
    async def run() -> None:
        with Ledger(f"sqlite:///{tmp_path}/campaign.db") as ledger:
            async with AsyncTenios("KEY", "CONFIG", ledger=ledger) as tenios:
                await Campaign(ledger).work(tenios, max_active=1)

    with pytest.raises(ConfigurationError, match="PostgreSQL"):
        asyncio.run(run())

"""Several workers share a campaign and follow the callbacks of one that has died."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from support.campaigns import client, counts, customers, most_in_progress
from support.clients import wait_for_recording
from support.postgresql import new_database

from tenios_campaign import Campaign, Customer
from tenios_ext import ConfigurationError, RejectedError
from tenios_ext.ledger import Ledger
from tenios_simulator import ScaledClock, Scenario, Simulator, faults

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

#: Speed of the simulated calls.
SPEED = 40
TALK = Scenario.answered(talking=20)


@pytest.fixture
def ledger(server: str) -> Iterator[Ledger]:
    """A new ledger in PostgreSQL."""
    with Ledger(new_database(server)) as ledger:
        yield ledger
        wait_for_recording()


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenios_campaign._worker._EVERY_TEN_SECONDS", "* * * * * *")


#: Longer than the name of a channel of PostgreSQL may be.
NAME = "Весенняя кампания обзвона 2026"


def campaign_of(ledger: Ledger, simulator: Simulator, count: int, **values: Any) -> Campaign:
    campaign = Campaign(ledger, NAME, clock=simulator.clock)
    campaign.add(customers(count), **values)
    campaign.set(max_active=4)
    return campaign


@asynccontextmanager
async def worker(
    simulator: Simulator, ledger: Ledger, **arguments: Any
) -> AsyncIterator[asyncio.Task[Any]]:
    """Run a worker, and cancel it at the end."""
    async with client(simulator, ledger) as tenios:
        campaign = Campaign(ledger, NAME, clock=simulator.clock)
        task = asyncio.create_task(campaign.work(tenios, **arguments))
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait([task])


async def until(condition: Callable[[], bool]) -> None:
    """Wait until a condition is met."""
    async with asyncio.timeout(120):
        while not await asyncio.to_thread(condition):  # noqa: ASYNC110 - other processes have no event to wait for
            await asyncio.sleep(0.05)


def is_done(campaign: Campaign) -> bool:
    """Return whether no customer will be called again."""
    summary = campaign.summary()
    return summary.done == summary.total


def test_workers_share_a_campaign_within_its_limit(ledger: Ledger) -> None:
    scenarios = iter([TALK, Scenario.customer_busy(), Scenario.agent_busy(), *[TALK] * 30])
    simulator = Simulator(scenario=scenarios, clock=ScaledClock(SPEED))
    campaign = campaign_of(ledger, simulator, 12, attempts=2, retry_after=20)
    made: list[list[str]] = [[], [], []]

    async def run() -> None:
        workers = [
            worker(simulator, ledger, on_update=lambda entry, keys=keys: keys.append(entry.key))
            for keys in made
        ]
        async with workers[0], workers[1], workers[2]:
            await until(lambda: is_done(campaign))

    asyncio.run(run())
    assert counts(campaign.summary()) == {"talked": 12}
    assert len(simulator.callbacks) == 14
    dialled = Counter(simulator.dialled)
    assert dialled == {entry.number: entry.attempts for entry in campaign.entries()}
    assert most_in_progress(simulator.callbacks) <= 4
    assert sum(bool(keys) for keys in made) > 1


def test_other_workers_follow_the_callbacks_of_a_stopped_worker(ledger: Ledger) -> None:
    simulator = Simulator(scenario=Scenario.answered(talking=100), clock=ScaledClock(SPEED))
    campaign = campaign_of(ledger, simulator, 3)

    async def run() -> None:
        async with worker(simulator, ledger):
            await until(lambda: campaign.summary().active == 3 and len(simulator.callbacks) == 3)
        assert not is_done(campaign)
        async with worker(simulator, ledger):
            await until(lambda: is_done(campaign))

    asyncio.run(run())
    assert counts(campaign.summary()) == {"talked": 3}
    assert len(simulator.callbacks) == 3


def test_worker_follows_the_callbacks_of_an_interrupted_run_beside_it(ledger: Ledger) -> None:
    simulator = Simulator(scenario=TALK, clock=ScaledClock(SPEED))
    campaign = campaign_of(ledger, simulator, 3)

    async def run() -> None:
        async with worker(simulator, ledger), client(simulator, ledger) as tenios:
            campaign.pause()
            task = asyncio.create_task(campaign.run(tenios))
            campaign.resume()
            await until(lambda: len(simulator.callbacks) == 3)
            task.cancel()
            await asyncio.wait([task])
            await until(lambda: is_done(campaign))

    asyncio.run(run())
    assert counts(campaign.summary()) == {"talked": 3}
    assert len(simulator.callbacks) == 3


def test_worker_follows_the_callbacks_of_an_earlier_interrupted_run(ledger: Ledger) -> None:
    simulator = Simulator(scenario=TALK, clock=ScaledClock(SPEED))
    campaign = campaign_of(ledger, simulator, 3)

    async def run() -> None:
        async with client(simulator, ledger) as tenios:
            task = asyncio.create_task(campaign.run(tenios))
            await until(lambda: len(simulator.callbacks) == 3)
            task.cancel()
            await asyncio.wait([task])
        assert not is_done(campaign)
        async with worker(simulator, ledger):
            await until(lambda: is_done(campaign))

    asyncio.run(run())
    assert counts(campaign.summary()) == {"talked": 3}
    assert len(simulator.callbacks) == 3


def test_jobs_contain_keys_and_no_numbers(ledger: Ledger) -> None:
    simulator = Simulator(scenario=Scenario.manual(), clock=ScaledClock(SPEED))
    campaign = campaign_of(ledger, simulator, 0)
    campaign.add([Customer("order-1", "+49 221 4710001", agent_announcement="For order 1")])

    async def run() -> None:
        async with worker(simulator, ledger):
            await until(lambda: len(simulator.callbacks) == 1)

    asyncio.run(run())
    statement = sa.text(
        "SELECT args::text FROM tenios_jobs.procrastinate_jobs WHERE task_name = 'attempt'"
    )
    jobs = ledger.database.run(lambda connection: list(connection.execute(statement)))
    assert jobs == [(f'{{"key": "{NAME}/order-1/1"}}',)]


def test_rejected_credentials_end_a_worker_and_reject_nobody(ledger: Ledger) -> None:
    simulator = Simulator(scenario=TALK, clock=ScaledClock(SPEED))
    simulator.inject(faults.HttpError(403), on="init", times=None)
    campaign = campaign_of(ledger, simulator, 2)

    async def run() -> None:
        async with worker(simulator, ledger) as task:
            await asyncio.wait([task], timeout=60)
            with pytest.raises(RejectedError):
                task.result()

    asyncio.run(run())
    assert counts(campaign.summary()) == {"waiting": 2}
    assert simulator.callbacks == []


def test_workers_need_postgresql(sqlite: Ledger) -> None:
    async def run() -> None:
        async with client(Simulator(), sqlite) as tenios:
            await Campaign(sqlite).work(tenios)

    with pytest.raises(ConfigurationError, match="PostgreSQL"):
        asyncio.run(run())

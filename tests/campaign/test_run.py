"""Running a campaign on the simulator: attempts, limits, hours and settings."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from support.campaigns import client, counts, customers, most_in_progress, run, starts

from tenios_campaign import Campaign, CampaignEntry, Customer, OpeningHours
from tenios_ext import (
    AsyncTenios,
    BadCredentialsError,
    ConfigurationError,
)
from tenios_ext.ledger import Ledger
from tenios_simulator import ACCESS_KEY, CALLBACK_CONFIG_ID, Scenario, Simulator

pytestmark = pytest.mark.usefixtures("exact_time")

TALK = Scenario.answered(talking=20)


def test_each_customer_is_called_until_reached(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    simulator.set_scenario([Scenario.customer_busy(), TALK], number="+492214710001")
    simulator.set_scenario(
        [Scenario.agent_busy(), Scenario.customer_busy(), TALK], number="+492214710002"
    )
    simulator.set_scenario(Scenario.customer_busy(), number="+492214710003")
    simulator.set_scenario(Scenario.agent_busy(), number="+492214710004")
    campaign = Campaign(sqlite)
    campaign.add(customers(5), attempts=3, retry_after=timedelta(minutes=1), agent_retry_after=10)
    assert counts(run(simulator, sqlite)) == {"talked": 3, "customer_failed": 1, "agent_failed": 1}
    assert Counter(simulator.dialled) == {
        "+492214710001": 2, "+492214710002": 3, "+492214710003": 3, "+492214710004": 3,
        "+492214710005": 1,
    }  # fmt: skip
    entries = {entry.key: entry for entry in campaign.entries()}
    assert [entry.attempts for entry in entries.values()] == [2, 3, 3, 3, 1]
    for entry in entries.values():
        for attempt in range(1, entry.attempts + 1):
            record = sqlite.get(f"default/{entry.key}/{attempt}")
            assert record is not None
            assert (record.state, record.attempts, record.number) == ("placed", 1, entry.number)
        assert entry.attempt_key == f"default/{entry.key}/{entry.attempts}"
        assert entry.callback_id is not None
        assert entry.status == simulator.status(entry.callback_id)


def test_retry_waits_longer_for_a_customer_than_for_an_agent(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    simulator.set_scenario([Scenario.customer_busy(), TALK], number="+492214710001")
    simulator.set_scenario([Scenario.agent_busy(), TALK], number="+492214710002")
    Campaign(sqlite).add(customers(2), attempts=2, retry_after=600, agent_retry_after=60)
    run(simulator, sqlite)
    for number, pause in ((1, 600), (2, 60)):
        first, second = (
            each for each in simulator.callbacks if each.number == f"+49221471000{number}"
        )
        assert pause <= second.started_at - first.timeline[-1][0] < pause + 50


def test_two_runs_share_max_active(sqlite: Ledger) -> None:
    """Two machines or terminals do not start the same attempt."""
    simulator = Simulator(scenario=Scenario.random(2))
    campaign = Campaign(sqlite, clock=simulator.clock)
    campaign.add(customers(20), attempts=2, retry_after=10)
    campaign.set(max_active=3)

    async def both() -> None:
        async with client(simulator, sqlite) as tenios, asyncio.timeout(120):
            first, second = await asyncio.gather(campaign.run(tenios), campaign.run(tenios))
            assert first == second
            assert first.done == 20

    asyncio.run(both())
    assert most_in_progress(simulator.callbacks) == 3
    assert Counter(simulator.dialled) == {
        entry.number: entry.attempts for entry in campaign.entries()
    }


def test_rate_applies_across_runs(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=Scenario.agent_busy())
    Campaign(sqlite).add(customers(3))
    run(simulator, sqlite, max_starts_per_minute=2)
    Campaign(sqlite).add(customers(5))
    run(simulator, sqlite)
    times = starts(simulator)
    assert len(times) == 5
    # A start is a moment after its claim, so two may be slightly closer.
    assert all(later - earlier >= 25 for earlier, later in itertools.pairwise(times))


def test_callbacks_are_started_in_the_opening_hours_only(
    sqlite: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenios_campaign._run.LOOK", 10000.0)
    simulator = Simulator(scenario=TALK)  # Its clock begins on a Sunday at 01:46:40 UTC.
    Campaign(sqlite).add(customers(3))
    hours = OpeningHours("Sun-Mon 06:00-06:01", "Europe/Berlin")
    reasons: set[str] = set()
    run(simulator, sqlite, max_active=1, hours=hours, on_wait=reasons.add)
    times = [datetime.fromtimestamp(each.started_at, UTC) for each in simulator.callbacks]
    assert {(each.hour, each.minute) for each in times} == {(4, 0)}
    assert len({each.date() for each in times}) > 1
    assert "closed until Mon 2001-09-10 06:00 (Europe/Berlin)" in reasons


def test_customer_with_not_before_is_called_at_that_time_before_others(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=Scenario.agent_busy(after=30))
    when = datetime.fromtimestamp(simulator.clock.now() + 100, UTC)
    late = Customer("late", "+492214710100", not_before=when)
    Campaign(sqlite).add([late, *customers(6)])
    run(simulator, sqlite, max_active=1)
    index = simulator.dialled.index("+492214710100")
    assert 2 <= index < 6
    assert starts(simulator)[index] >= 90


def test_delay_announcement_and_configuration_reach_tenios(sqlite: Ledger) -> None:
    simulator = Simulator(accounts={ACCESS_KEY: [CALLBACK_CONFIG_ID, "OTHER"]})
    texts = {"agent_announcement": "Order", "callback_config_id": "OTHER"}
    Campaign(sqlite).add([Customer("k", "+492214710001", delay=60, **texts)])  # type: ignore[arg-type] # texts
    run(simulator, sqlite)
    [callback] = simulator.callbacks
    assert callback.delay == 60
    assert {name: getattr(callback, name) for name in texts} == texts


def test_on_update_reports_each_change(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=[Scenario.customer_busy(), TALK])
    updates: list[CampaignEntry] = []
    campaign = Campaign(sqlite)
    campaign.add(customers(1), attempts=2, retry_after=10)
    run(simulator, sqlite, on_update=updates.append)
    states = [(each.state, each.attempts, each.status and str(each.status)) for each in updates]
    assert states[0] == ("ringing", 1, None)
    assert ("waiting", 1, "CALL_B_FAILED") in states
    assert ("ringing", 2, None) in states
    assert ("talking", 2, "CONNECTED") in states
    assert states[-1] == ("talked", 2, "DISCONNECTED")
    [entry] = campaign.entries()
    assert updates[-1] == entry
    assert entry.started_at is not None
    assert entry.answered_at is not None
    assert entry.ended_at is not None
    assert 15 <= entry.ended_at - entry.answered_at <= 30
    assert entry.started_at < entry.answered_at


def test_error_in_on_update_ends_the_run_and_loses_nothing(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    Campaign(sqlite).add(customers(3))

    def fail(entry: CampaignEntry) -> None:
        if entry.status is not None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(simulator, sqlite, on_update=fail)
    assert counts(run(simulator, sqlite)) == {"talked": 3}
    assert len(simulator.callbacks) == 3


def test_number_never_rings_twice_at_the_same_time(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    same = [Customer(key, "+492214710001") for key in ("first", "second")]
    Campaign(sqlite, "spring").add([*same, *customers(3)[1:]])
    Campaign(sqlite, "autumn").add([same[0]])

    async def both() -> None:
        runs = []
        async with client(simulator, sqlite) as tenios, asyncio.timeout(120):
            for name in ("spring", "autumn"):
                campaign = Campaign(sqlite, name, clock=simulator.clock)
                campaign.set(max_active=5)
                runs.append(campaign.run(tenios))
            spring, autumn = await asyncio.gather(*runs)
        assert (counts(spring), counts(autumn)) == ({"talked": 4}, {"talked": 1})

    asyncio.run(both())
    assert most_in_progress(simulator.callbacks) > 1
    assert (
        most_in_progress(each for each in simulator.callbacks if each.number == "+492214710001")
        == 1
    )
    keys = {entry.key for entry in sqlite.entries()}
    assert {"spring/first/1", "autumn/first/1"} < keys


def test_key_of_a_program_is_not_taken_for_an_attempt(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=TALK)

    async def dial() -> None:
        async with client(simulator, sqlite) as tenios:
            await tenios.start_callback("+492214710099", key="default/order-1/1")

    asyncio.run(dial())
    Campaign(sqlite).add(customers(1))
    assert counts(run(simulator, sqlite)) == {"talked": 1}
    assert simulator.dialled == ["+492214710099", "+492214710001"]


@pytest.mark.parametrize("order", [("http://localhost", None), (None, "http://localhost")])
def test_campaign_that_ran_on_a_simulator_does_not_run_on_tenios(
    order: list[str | None], sqlite: Ledger
) -> None:
    simulator = Simulator(scenario=TALK)
    Campaign(sqlite).add(customers(1))
    first, second = ({"base_url": each} if each else {} for each in order)
    with pytest.raises(BadCredentialsError):
        run(simulator, sqlite, settings={**second, "callback_config_id": "WRONG"})
    run(simulator, sqlite, settings=first)
    Campaign(sqlite).add(customers(2))
    with pytest.raises(ConfigurationError, match=r"has run on .* in another ledger"):
        run(simulator, sqlite, settings=second)
    assert len(simulator.callbacks) == 1


def test_waiting_run_ends_if_another_runs_on_a_simulator(
    sqlite: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = Simulator(scenario=TALK)
    campaign = Campaign(sqlite, clock=simulator.clock)
    campaign.add(customers(1))
    campaign.set(max_active=1)
    start, dials = AsyncTenios.start_callback, itertools.count()

    async def run_it() -> None:
        async def late(tenios: AsyncTenios, *arguments: Any, **named: Any) -> Any:
            if next(dials) == 0:
                async with client(simulator, sqlite, base_url="http://localhost") as practising:
                    await Campaign(sqlite, clock=simulator.clock).run(practising)
                campaign.add(customers(2))
            return await start(tenios, *arguments, **named)

        monkeypatch.setattr(AsyncTenios, "start_callback", late)
        async with client(simulator, sqlite) as tenios, asyncio.timeout(60):
            await campaign.run(tenios)

    with pytest.raises(ConfigurationError, match="has run on a simulator"):
        asyncio.run(run_it())
    assert counts(campaign.summary()) == {"talked": 1, "waiting": 1}


def test_invalid_client_limits_and_times_are_refused(sqlite: Ledger, tmp_path: Any) -> None:
    Campaign(sqlite).add(customers(1))
    campaign = Campaign(sqlite)

    async def run_it(ledger: Ledger, **options: Any) -> None:
        async with client(Simulator(), ledger) as tenios:
            await campaign.run(tenios, **options)

    with pytest.raises(ConfigurationError, match="needs a limit for callbacks in progress"):
        asyncio.run(run_it(sqlite))
    campaign.set(max_active=1)
    with pytest.raises(ValueError, match="answer_timeout"):
        asyncio.run(run_it(sqlite, answer_timeout=-1))
    with (
        Ledger(f"sqlite:///{tmp_path}/other.db") as other,
        pytest.raises(ConfigurationError, match="same ledger"),
    ):
        asyncio.run(run_it(other))
    with (
        Simulator().client(ledger=sqlite) as tenios,
        pytest.raises(ConfigurationError, match="tenios must be AsyncTenios, got Tenios"),
    ):
        asyncio.run(campaign.run(tenios))  # type: ignore[arg-type] # wrong on purpose

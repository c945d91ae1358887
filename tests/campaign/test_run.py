"""Running a campaign on the simulator: attempts, limits, interruptions, and what is refused."""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.campaigns import client, counts, customers, most_in_progress, run

from tenios_campaign import Campaign, CampaignEntry, CampaignSummary, Customer, OpeningHours
from tenios_campaign._following import Following
from tenios_ext import (
    AsyncTenios,
    BadCredentialsError,
    CallbackStatus,
    ConfigurationError,
    InvalidArgumentError,
    LedgerUnavailableError,
    RejectedError,
    StatusUnavailableError,
)
from tenios_ext.ledger import Ledger
from tenios_simulator import ACCESS_KEY, CALLBACK_CONFIG_ID, Scenario, Simulator, faults

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenios_campaign._rules import Row
    from tenios_ext import CallbackHandle

pytestmark = pytest.mark.usefixtures("exact_time")

TALK = Scenario.answered(talking=20)


def starts(simulator: Simulator) -> list[float]:
    """Return when the callbacks were started, in seconds since the first."""
    times = [callback.started_at for callback in simulator.callbacks]
    return [each - times[0] for each in times]


def test_each_customer_is_called_until_it_was_reached(sqlite: Ledger) -> None:
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


def test_customer_is_tried_again_later_and_an_agent_sooner(sqlite: Ledger) -> None:
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


def test_no_more_are_in_progress_than_allowed_by_two_runs_together(sqlite: Ledger) -> None:
    """As two machines, or a second window: neither starts what the other has started."""
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


def test_rate_spreads_the_starts_also_over_runs(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=Scenario.agent_busy())
    Campaign(sqlite).add(customers(3))
    run(simulator, sqlite, max_starts_per_minute=2)
    Campaign(sqlite).add(customers(5))
    run(simulator, sqlite)
    times = starts(simulator)
    assert len(times) == 5
    # A start comes a moment after it was counted, so that two may be a little closer.
    assert all(later - earlier >= 25 for earlier, later in itertools.pairwise(times))


def test_callbacks_are_started_in_the_opening_hours_only(
    sqlite: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenios_campaign._run.LOOK", 10000.0)
    simulator = Simulator(scenario=TALK)  # Its time begins on a Sunday at 01:46:40 UTC.
    Campaign(sqlite).add(customers(3))
    hours = OpeningHours("Sun-Mon 06:00-06:01", "Europe/Berlin")
    reasons: set[str] = set()
    run(simulator, sqlite, max_active=1, hours=hours, on_wait=reasons.add)
    times = [datetime.fromtimestamp(each.started_at, UTC) for each in simulator.callbacks]
    assert {(each.hour, each.minute) for each in times} == {(4, 0)}
    assert len({each.date() for each in times}) > 1
    assert "closed until Mon 2001-09-10 06:00 (Europe/Berlin)" in reasons


def test_customer_is_not_called_before_its_time_and_then_before_the_others(sqlite: Ledger) -> None:
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


def test_updates_tell_each_change(sqlite: Ledger) -> None:
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


def test_error_in_the_callers_function_ends_the_run_and_loses_nothing(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    Campaign(sqlite).add(customers(3))

    def fail(entry: CampaignEntry) -> None:
        if entry.status is not None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(simulator, sqlite, on_update=fail)
    assert counts(run(simulator, sqlite)) == {"talked": 3}
    assert len(simulator.callbacks) == 3


# What TENIOS refuses, and what is unknown.


def test_number_that_tenios_refuses_is_rejected_and_no_other(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    simulator.inject(faults.HttpError(400), on="init", number="+492214710002")
    campaign = Campaign(sqlite)
    campaign.add(customers(3), attempts=3)
    assert counts(run(simulator, sqlite)) == {"talked": 2, "rejected": 1}
    rejected = list(campaign.entries())[1]
    assert (rejected.state, rejected.attempts) == ("rejected", 0)
    assert "400" in str(rejected.error)
    assert campaign.retry(state="rejected") == 1
    assert counts(run(simulator, sqlite)) == {"talked": 3}


def test_numbers_that_the_client_does_not_allow_are_rejected_until_they_are_put_back(
    sqlite: Ledger,
) -> None:
    simulator = Simulator(scenario=TALK)
    campaign = Campaign(sqlite)
    campaign.add(customers(2))
    summary = run(simulator, sqlite, settings={"allowed_numbers": ["+492214710001"]})
    assert counts(summary) == {"talked": 1, "rejected": 1}
    assert "allowed numbers" in str(list(campaign.entries())[1].error)
    campaign.retry("order-2")
    assert counts(run(simulator, sqlite)) == {"talked": 2}


@pytest.mark.parametrize("status", [403, 404])
def test_what_is_refused_for_all_ends_the_run_and_rejects_nobody(
    status: int, sqlite: Ledger
) -> None:
    """
    As with a wrong access key, or another server at the base URL. With the right one, the campaign
    continues.
    """
    simulator = Simulator(scenario=TALK)
    simulator.inject(faults.HttpError(status), on="init", times=None)
    Campaign(sqlite).add(customers(3), attempts=1)
    with pytest.raises(RejectedError):
        run(simulator, sqlite, max_active=2)
    assert counts(Campaign(sqlite).summary()) == {"waiting": 3}
    simulator.clear_faults()
    assert counts(run(simulator, sqlite)) == {"talked": 3}
    assert {entry.attempts for entry in Campaign(sqlite).entries()} == {1}


def test_client_with_a_wrong_configuration_ends_the_run_and_the_right_one_continues(
    sqlite: Ledger,
) -> None:
    simulator = Simulator(scenario=TALK)
    Campaign(sqlite).add(customers(2))
    with pytest.raises(BadCredentialsError):
        run(simulator, sqlite, settings={"callback_config_id": "WRONG"}, max_active=1)
    with pytest.raises(InvalidArgumentError, match="no callback config id"):
        run(simulator, sqlite, settings={"callback_config_id": None})
    assert counts(Campaign(sqlite).summary()) == {"waiting": 2}
    assert counts(run(simulator, sqlite)) == {"talked": 2}
    assert sorted(simulator.dialled) == ["+492214710001", "+492214710002"]


def test_blocked_number_is_not_called_and_stops_no_other(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    campaign = Campaign(sqlite)
    campaign.add(customers(5))
    for number in range(1, 5):
        sqlite.block(f"+49221471{number:04d}", reason="asked for it")
    summary = run(simulator, sqlite, max_active=1)
    assert counts(summary) == {"talked": 1, "rejected": 4}
    assert summary.trouble is None
    assert "asked for it" in str(next(campaign.entries()).error)
    assert simulator.dialled == ["+492214710005"]


def test_number_in_a_call_of_a_program_waits(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    Campaign(sqlite).add(customers(2))

    async def dial() -> None:
        async with client(simulator, sqlite) as tenios:
            await tenios.start_callback("+492214710001", key="order-1")

    def end(entry: CampaignEntry) -> None:
        if entry.key == "order-2" and entry.state == "talked":
            sqlite.database.record_status(10, "DISCONNECTED", later=[])

    asyncio.run(dial())
    only_one = {"one_call_per_number": True}
    assert counts(run(simulator, sqlite, settings=only_one, on_update=end)) == {"talked": 2}
    assert simulator.dialled == ["+492214710001", "+492214710002", "+492214710001"]


def test_configuration_of_one_customer_stops_no_other(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    wrong = Customer("wrong", "+492214710009", callback_config_id="WRONG")
    Campaign(sqlite).add([wrong, *customers(2)])
    assert counts(run(simulator, sqlite, max_active=1)) == {"talked": 2, "rejected": 1}


def test_busy_tenios_is_tried_again_after_its_pause(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    simulator.inject(faults.HttpError(429, retry_after=100), on="init", times=2)
    Campaign(sqlite).add(customers(1))
    begin = simulator.clock.now()
    assert counts(run(simulator, sqlite)) == {"talked": 1}
    [callback] = simulator.callbacks
    assert callback.started_at - begin >= 200
    assert [entry.attempts for entry in Campaign(sqlite).entries()] == [1]


@pytest.mark.parametrize(
    ("fault", "state"), [(faults.HttpError(500), "unknown"), (faults.HttpError(400), "rejected")]
)
def test_trouble_for_all_costs_few_customers(
    fault: faults.Fault, state: str, sqlite: Ledger
) -> None:
    """An hour in which TENIOS or a gateway fails in the same way each time."""
    simulator = Simulator(scenario=TALK)
    simulator.inject(fault, on="init", times=None)
    Campaign(sqlite).add(customers(30))
    reasons: set[str] = set()
    end = simulator.clock.now() + 3600

    def wait(reason: str) -> None:
        reasons.add(reason)
        if simulator.clock.now() > end:
            simulator.clear_faults()

    summary = run(simulator, sqlite, max_active=50, on_wait=wait)
    failed = getattr(summary, state)
    assert 3 <= failed <= 15
    assert summary.talked == 30 - failed
    assert any("trying again in" in each for each in reasons)


def test_unknown_outcomes_are_never_tried_again_and_end_the_run_if_asked(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    simulator.inject(faults.Drop(), on="init", number="+492214710002")
    campaign = Campaign(sqlite)
    campaign.add(customers(3), attempts=3)
    assert counts(run(simulator, sqlite, max_active=1, max_unknown=1)) == {
        "talked": 1, "waiting": 1, "unknown": 1,
    }  # fmt: skip
    assert counts(run(simulator, sqlite)) == {"talked": 2, "unknown": 1}
    assert Counter(simulator.dialled)["+492214710002"] == 1
    unknown = list(campaign.entries())[1]
    assert (unknown.state, unknown.attempts) == ("unknown", 1)
    assert "Phones may be ringing" in str(unknown.error)
    assert [entry.key for entry in sqlite.entries(state="unknown")] == [unknown.attempt_key]


def test_unknown_outcome_counts_as_in_progress_until_no_phone_can_ring(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=Scenario.answered(talking=60))
    simulator.inject(faults.Drop(), on="init", times=2)
    Campaign(sqlite).add(customers(4))
    summary = run(simulator, sqlite, max_active=2, answer_timeout=200)
    assert counts(summary) == {"talked": 2, "unknown": 2}
    assert starts(simulator)[2] >= 190
    assert most_in_progress(simulator.callbacks) == 2


def test_callback_that_nobody_answers_in_time_is_unknown_also_in_the_ledger(
    sqlite: Ledger,
) -> None:
    simulator = Simulator(scenario=[Scenario.manual(), TALK])
    Campaign(sqlite).add(customers(2), attempts=3)
    assert counts(run(simulator, sqlite, max_active=1, answer_timeout=100)) == {
        "talked": 1, "unknown": 1,
    }  # fmt: skip
    assert starts(simulator)[1] >= 200, "it may ring a while longer"
    [unknown] = sqlite.entries(state="unknown")
    assert unknown.key == "default/order-1/1"
    sqlite.resolve(unknown.key, placed=True)
    assert counts(run(simulator, sqlite)) == {"talked": 2}


def test_operator_who_finds_that_no_phone_rang_lets_the_customer_be_called(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    simulator.inject(faults.HttpError(500), on="init")
    campaign = Campaign(sqlite)
    campaign.add(customers(1), attempts=1)
    assert counts(run(simulator, sqlite)) == {"unknown": 1}
    sqlite.resolve("default/order-1/1", placed=False)
    assert counts(run(simulator, sqlite)) == {"talked": 1}
    assert simulator.dialled == ["+492214710001"]
    assert [entry.attempts for entry in campaign.entries()] == [1]


def test_callback_is_followed_after_statuses_were_not_available(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    simulator.inject(faults.HttpError(500), on="status", times=20)
    Campaign(sqlite).add(customers(1))
    assert counts(run(simulator, sqlite, answer_timeout=100)) == {"talked": 1}


def test_refused_statuses_end_the_run_and_the_next_one_resumes(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    simulator.inject(faults.HttpError(403), on="status", times=None)
    Campaign(sqlite).add(customers(2))
    with pytest.raises(StatusUnavailableError):
        run(simulator, sqlite)
    simulator.clear_faults()
    assert counts(run(simulator, sqlite)) == {"talked": 2}
    assert len(simulator.callbacks) == 2


def test_callback_that_tenios_does_not_know_is_unknown(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    Campaign(sqlite).add(customers(1), attempts=2)
    simulator.inject(faults.HttpError(400), on="status", times=None)
    assert counts(run(simulator, sqlite)) == {"unknown": 1}


# Several campaigns, and the same number twice.


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
def test_practice_does_not_consume_the_list(order: list[str | None], sqlite: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    Campaign(sqlite).add(customers(1))
    first, second = ({"base_url": each} if each else {} for each in order)
    with pytest.raises(BadCredentialsError):
        run(simulator, sqlite, settings={**second, "callback_config_id": "WRONG"})
    run(simulator, sqlite, settings=first)
    Campaign(sqlite).add(customers(2))
    with pytest.raises(ConfigurationError, match=r"has been run with .* another campaign"):
        run(simulator, sqlite, settings=second)
    assert len(simulator.callbacks) == 1


def test_run_that_waited_while_others_practised_ends(
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

    with pytest.raises(ConfigurationError, match="has been run with a simulator"):
        asyncio.run(run_it())
    assert counts(campaign.summary()) == {"talked": 1, "waiting": 1}


# Stopping, and going on.


def test_stop_starts_no_more_and_follows_those_that_run(sqlite: Ledger) -> None:
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
def test_what_has_changed_before_the_claim_is_seen_in_the_claim(
    change: str, sqlite: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the database was away between the decision and the claim."""
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


def test_callback_that_a_job_finds_over_is_let_go(
    sqlite: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when another worker has recorded its end before this one has seen it."""
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


def test_cancelled_run_waits_for_the_response_and_the_next_one_follows(sqlite: Ledger) -> None:
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


def test_customers_that_are_added_and_limits_that_are_set_while_it_runs_count(
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


def test_database_that_is_away_for_a_while_loses_nothing_and_is_logged_once(
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
    said = [each for each in caplog.messages if each.endswith("(away). It is tried again.")]
    assert said
    ids = {entry.callback_id: entry.state for entry in campaign.entries()}
    assert "customer_failed" not in ids.values()


def test_error_of_the_database_ends_no_other_task_and_is_not_reported_twice(
    sqlite: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A run that is cancelled while the database is away."""
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
            while not caplog.messages:  # noqa: ASYNC110 - logging tells nobody
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])

    asyncio.run(run_it())
    assert reported == []


# What is wrong from the beginning.


def test_wrong_client_limits_and_times_are_refused(sqlite: Ledger, tmp_path: Any) -> None:
    Campaign(sqlite).add(customers(1))
    campaign = Campaign(sqlite)

    async def run_it(ledger: Ledger, **options: Any) -> None:
        async with client(Simulator(), ledger) as tenios:
            await campaign.run(tenios, **options)

    with pytest.raises(ConfigurationError, match="no limit of callbacks in progress"):
        asyncio.run(run_it(sqlite))
    campaign.set(max_active=1)
    with pytest.raises(ValueError, match="answer_timeout"):
        asyncio.run(run_it(sqlite, answer_timeout=-1))
    with (
        Ledger(f"sqlite:///{tmp_path}/other.db") as other,
        pytest.raises(ConfigurationError, match="campaign's ledger"),
    ):
        asyncio.run(run_it(other))

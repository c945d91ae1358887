"""Running a campaign on the simulator: attempts, limits, interruptions, and what is refused."""

from __future__ import annotations

import asyncio
import gc
import itertools
import threading
from collections import Counter
from datetime import UTC, datetime, time, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import sqlalchemy as sa
from attrs import asdict

from tenios_campaign import Campaign, CampaignEntry, CampaignSummary, Customer, OpeningHours
from tenios_campaign._entries import Entries
from tenios_campaign._models import Limits
from tenios_campaign._run import Run
from tenios_ext import (
    AsyncTenios,
    BadCredentialsError,
    ConfigurationError,
    InvalidArgumentError,
    LedgerUnavailableError,
    RejectedError,
    StatusUnavailableError,
)
from tenios_ext.ledger import Ledger
from tenios_simulator import ACCESS_KEY, CALLBACK_CONFIG_ID, Scenario, Simulator, faults

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tenios_simulator import SimulatedCallback

TALK = Scenario.answered(talking=20)


@pytest.fixture
def exact_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    Let the database work in the event loop: virtual time passes while a thread works, and a busy
    machine makes that long.
    """

    async def call(work: Callable[..., Any], *arguments: Any, **named: Any) -> Any:
        return work(*arguments, **named)

    monkeypatch.setattr(asyncio, "to_thread", call)


def customers(count: int) -> list[Customer]:
    return [Customer(f"order-{number}", f"+49221471{number:04d}") for number in range(1, count + 1)]


def client(simulator: Simulator, ledger: Ledger, **settings: Any) -> AsyncTenios:
    arguments = {"access_key": ACCESS_KEY, "callback_config_id": CALLBACK_CONFIG_ID, **settings}
    return AsyncTenios(
        transport=simulator.transport, clock=simulator.clock, ledger=ledger, **arguments
    )


def run(
    simulator: Simulator, ledger: Ledger, *, settings: dict[str, Any] | None = None, **limits: Any
) -> CampaignSummary:
    """Run the ledger's campaign to its end."""

    async def run_it() -> CampaignSummary:
        async with client(simulator, ledger, **settings or {}) as tenios, asyncio.timeout(120):
            return await Campaign(ledger, clock=simulator.clock).run(
                tenios, **{"max_active": 5, **limits}
            )

    return asyncio.run(run_it())


def counts(summary: CampaignSummary) -> dict[str, int]:
    return {name: count for name, count in asdict(summary).items() if count}


def most_in_progress(callbacks: Iterable[SimulatedCallback]) -> int:
    """Return how many callbacks were in progress at the same time, as the simulator saw it."""
    changes = [
        change
        for each in callbacks
        for change in ((each.timeline[0][0], 1), (each.timeline[-1][0], -1))
    ]
    most = current = 0
    for _, change in sorted(changes):
        current += change
        most = max(most, current)
    return most


def starts(simulator: Simulator) -> list[float]:
    """Return when the callbacks were started, in seconds since the first."""
    times = [callback.started_at for callback in simulator.callbacks]
    return [each - times[0] for each in times]


def test_each_customer_is_called_until_it_was_reached(ledger: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    simulator.set_scenario([Scenario.customer_busy(), TALK], number="+492214710001")
    simulator.set_scenario(
        [Scenario.agent_busy(), Scenario.customer_busy(), TALK], number="+492214710002"
    )
    simulator.set_scenario(Scenario.customer_busy(), number="+492214710003")
    simulator.set_scenario(Scenario.agent_busy(), number="+492214710004")
    Campaign(ledger).add(
        customers(5), attempts=3, retry_after=timedelta(minutes=1), agent_retry_after=10
    )
    assert counts(run(simulator, ledger)) == {"talked": 3, "customer_failed": 1, "agent_failed": 1}
    assert Counter(simulator.dialled) == {
        "+492214710001": 2, "+492214710002": 3, "+492214710003": 3, "+492214710004": 3,
        "+492214710005": 1,
    }  # fmt: skip
    entries = {entry.key: entry for entry in Campaign(ledger).entries()}
    assert [entry.attempts for entry in entries.values()] == [2, 3, 3, 3, 1]
    for entry in entries.values():
        for attempt in range(1, entry.attempts + 1):
            record = ledger.get(f"{entry.key}/{attempt}")
            assert record is not None
            assert (record.state, record.attempts, record.number) == ("placed", 1, entry.number)
        assert entry.attempt_key == f"{entry.key}/{entry.attempts}"
        assert entry.callback_id is not None
        assert entry.status == simulator.status(entry.callback_id)


@pytest.mark.usefixtures("exact_time")
def test_customer_is_tried_again_later_and_an_agent_sooner(ledger: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    simulator.set_scenario([Scenario.customer_busy(), TALK], number="+492214710001")
    simulator.set_scenario([Scenario.agent_busy(), TALK], number="+492214710002")
    Campaign(ledger).add(customers(2), attempts=2, retry_after=600, agent_retry_after=60)
    run(simulator, ledger)
    first, second = (
        [each for each in simulator.callbacks if each.number == f"+49221471000{number}"]
        for number in (1, 2)
    )
    after_customer = second_start(first)
    after_agent = second_start(second)
    assert 600 <= after_customer < 700
    assert 60 <= after_agent < 160


def second_start(callbacks: list[SimulatedCallback]) -> float:
    """Return the seconds from the end of the first callback to the start of the second."""
    first, second = callbacks
    return second.started_at - first.timeline[-1][0]


def test_no_more_are_in_progress_than_allowed(ledger: Ledger) -> None:
    simulator = Simulator(scenario=Scenario.random(1))
    Campaign(ledger).add(customers(20))
    run(simulator, ledger, max_active=3)
    assert len(simulator.callbacks) == 20
    assert most_in_progress(simulator.callbacks) == 3


def test_limit_holds_for_two_runs_together(ledger: Ledger) -> None:
    """As two machines, or a second window: neither starts what the other has started."""
    simulator = Simulator(scenario=Scenario.random(2))
    Campaign(ledger).add(customers(20), attempts=2, retry_after=10)

    async def both() -> None:
        async with client(simulator, ledger) as tenios, asyncio.timeout(120):
            runs = [
                Campaign(ledger, clock=simulator.clock).run(tenios, max_active=3) for _ in range(2)
            ]
            first, second = await asyncio.gather(*runs)
            assert first == second
            assert first.done == 20

    asyncio.run(both())
    assert most_in_progress(simulator.callbacks) <= 3
    assert Counter(simulator.dialled) == {
        entry.number: entry.attempts for entry in Campaign(ledger).entries()
    }


@pytest.mark.usefixtures("exact_time")
def test_rate_spreads_the_starts_also_over_runs(ledger: Ledger) -> None:
    simulator = Simulator(scenario=Scenario.agent_busy())
    Campaign(ledger).add(customers(3))
    run(simulator, ledger, max_starts_per_minute=2)
    Campaign(ledger).add(customers(5))
    run(simulator, ledger, max_starts_per_minute=2)
    times = starts(simulator)
    assert len(times) == 5
    # A start comes a moment after it was counted, so that two may be a little closer.
    assert all(later - earlier >= 25 for earlier, later in itertools.pairwise(times))


@pytest.mark.usefixtures("exact_time")
def test_callbacks_are_started_in_the_opening_hours_only(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenios_campaign._run._LOOK", 1000.0)
    simulator = Simulator(scenario=TALK)  # Its time begins at 01:46:40 UTC.
    Campaign(ledger).add(customers(4))
    hours = OpeningHours(time(6), time(6, 1), "Europe/Berlin")
    run(simulator, ledger, max_active=1, hours=hours)
    days = Counter(datetime.fromtimestamp(each.started_at, UTC) for each in simulator.callbacks)
    assert {(when.hour, when.minute) for when in days} == {(4, 0)}
    assert len({when.date() for when in days}) > 1


@pytest.mark.usefixtures("exact_time")
def test_customer_is_not_called_before_its_time_and_then_before_the_others(ledger: Ledger) -> None:
    simulator = Simulator(scenario=Scenario.agent_busy(after=30))
    late = Customer(
        "late", "+492214710100", not_before=datetime.fromtimestamp(simulator.clock.now() + 100, UTC)
    )
    Campaign(ledger).add([late, *customers(6)])
    run(simulator, ledger, max_active=1)
    order = simulator.dialled
    assert 2 <= order.index("+492214710100") < 6
    started = next(
        each for each in simulator.callbacks if each.number == "+492214710100"
    ).started_at
    assert started >= simulator.callbacks[0].started_at + 90


def test_delay_announcement_and_configuration_reach_tenios(ledger: Ledger) -> None:
    simulator = Simulator(accounts={ACCESS_KEY: [CALLBACK_CONFIG_ID, "OTHER"]})
    customer = Customer(
        "k", "+492214710001", delay=60, agent_announcement="Order", callback_config_id="OTHER"
    )
    Campaign(ledger).add([customer])
    run(simulator, ledger)
    [callback] = simulator.callbacks
    assert (callback.delay, callback.agent_announcement, callback.callback_config_id) == (
        60,
        "Order",
        "OTHER",
    )


@pytest.mark.usefixtures("exact_time")
def test_updates_tell_each_change(ledger: Ledger) -> None:
    simulator = Simulator(scenario=[Scenario.customer_busy(), TALK])
    updates: list[CampaignEntry] = []
    Campaign(ledger).add(customers(1), attempts=2, retry_after=10)
    run(simulator, ledger, on_update=updates.append)
    states = [
        (entry.state, entry.attempts, entry.status and str(entry.status)) for entry in updates
    ]
    assert states[:2] == [("active", 1, None)] * 2
    assert ("waiting", 1, "CALL_B_FAILED") in states
    assert ("active", 2, "CONNECTED") in states
    assert states[-1] == ("talked", 2, "DISCONNECTED")
    assert updates[-1] == Campaign(ledger).entries()[0]


def test_error_in_the_callers_function_ends_the_run_and_loses_nothing(ledger: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    Campaign(ledger).add(customers(3))

    def fail(entry: CampaignEntry) -> None:
        if entry.status is not None:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(simulator, ledger, on_update=fail)
    assert counts(run(simulator, ledger)) == {"talked": 3}
    assert len(simulator.callbacks) == 3


# What TENIOS refuses, and what is unknown.


def test_number_that_tenios_refuses_is_rejected_and_no_other(ledger: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    simulator.inject(faults.HttpError(400), on="init", number="+492214710002")
    Campaign(ledger).add(customers(3), attempts=3)
    assert counts(run(simulator, ledger)) == {"talked": 2, "rejected": 1}
    rejected = Campaign(ledger).entries()[1]
    assert (rejected.state, rejected.attempts) == ("rejected", 0)
    assert "400" in str(rejected.error)


def test_number_that_the_client_does_not_allow_is_rejected(ledger: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    Campaign(ledger).add(customers(2))
    summary = run(simulator, ledger, settings={"allowed_numbers": ["+492214710001"]})
    assert counts(summary) == {"talked": 1, "rejected": 1}
    assert "allowed numbers" in str(Campaign(ledger).entries()[1].error)


def test_blocked_number_is_rejected(ledger: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    Campaign(ledger).add(customers(2), attempts=3)
    ledger.block("+492214710002")
    assert counts(run(simulator, ledger)) == {"talked": 1, "rejected": 1}
    assert "is blocked" in str(Campaign(ledger).entries()[1].error)
    assert len(simulator.callbacks) == 1


@pytest.mark.parametrize("status", [403, 404, 405])
def test_what_is_refused_for_all_ends_the_run_and_rejects_nobody(
    status: int, ledger: Ledger
) -> None:
    """
    As with a wrong access key, or another server at the base URL. With the right one, the campaign
    goes on.
    """
    simulator = Simulator(scenario=TALK)
    simulator.inject(faults.HttpError(status), on="init", times=None)
    Campaign(ledger).add(customers(3), attempts=1)
    with pytest.raises(RejectedError):
        run(simulator, ledger, max_active=2)
    assert counts(Campaign(ledger).summary()) == {"waiting": 3}
    simulator.clear_faults()
    assert counts(run(simulator, ledger)) == {"talked": 3}


def test_campaign_goes_on_with_another_configuration_after_the_first_was_refused(
    ledger: Ledger,
) -> None:
    """
    The ledger takes no other arguments for a key, so that the attempt gets another key, and the old
    one is void.
    """
    simulator = Simulator(scenario=TALK)
    Campaign(ledger).add(customers(2))
    with pytest.raises(BadCredentialsError):
        run(simulator, ledger, settings={"callback_config_id": "WRONG"}, max_active=1)
    assert counts(run(simulator, ledger)) == {"talked": 2}
    assert [entry.attempt_key for entry in Campaign(ledger).entries()] == ["order-1/2", "order-2/1"]
    assert sorted(simulator.dialled) == ["+492214710001", "+492214710002"]

    async def dial_again() -> None:
        async with client(simulator, ledger, callback_config_id="WRONG") as tenios:
            await tenios.start_callback("+492214710001", key="order-1/1")

    with pytest.raises(InvalidArgumentError, match="other arguments"):
        asyncio.run(dial_again())


def test_missing_configuration_ends_the_run_and_rejects_nobody(ledger: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    Campaign(ledger).add(customers(2))
    with pytest.raises(InvalidArgumentError, match="no callback config id"):
        run(simulator, ledger, settings={"callback_config_id": None})
    assert counts(Campaign(ledger).summary()) == {"waiting": 2}


def test_busy_tenios_is_tried_again_after_its_pause(ledger: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    simulator.inject(faults.HttpError(429, retry_after=100), on="init", times=2)
    Campaign(ledger).add(customers(2), attempts=1)
    assert counts(run(simulator, ledger, max_active=1)) == {"talked": 2}
    refused = [each for each in simulator.requests if each.response.status == 429]
    assert len(refused) == 2
    assert simulator.callbacks[0].started_at - refused[0].timestamp >= 200
    assert [entry.attempts for entry in Campaign(ledger).entries()] == [1, 1]


def test_callback_that_was_not_sent_is_tried_again(ledger: Ledger) -> None:
    Campaign(ledger).add(customers(1), attempts=1)
    errors: list[str | None] = []

    async def run_without_a_network() -> None:
        stop = asyncio.Event()

        def note(entry: CampaignEntry) -> None:
            if entry.state == "waiting":
                errors.append(entry.error)
                stop.set()

        async with AsyncTenios(
            ACCESS_KEY, CALLBACK_CONFIG_ID, base_url="http://127.0.0.1:1", ledger=ledger
        ) as tenios:
            await Campaign(ledger).run(tenios, max_active=1, stop=stop, on_update=note)

    asyncio.run(run_without_a_network())
    assert "nothing was sent" in str(errors)
    assert counts(run(Simulator(scenario=TALK), ledger)) == {"talked": 1}
    assert [(entry.attempts, entry.error) for entry in Campaign(ledger).entries()] == [(1, None)]


def test_unknown_outcome_is_never_tried_again_by_itself(ledger: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    simulator.inject(faults.Drop(), on="init", number="+492214710002")
    Campaign(ledger).add(customers(3), attempts=3)
    assert counts(run(simulator, ledger)) == {"talked": 2, "unknown": 1}
    assert counts(run(simulator, ledger)) == {"talked": 2, "unknown": 1}
    assert Counter(simulator.dialled)["+492214710002"] == 1
    unknown = Campaign(ledger).entries()[1]
    assert (unknown.state, unknown.attempts) == ("unknown", 1)
    assert "Phones may be ringing" in str(unknown.error)


def test_unknown_outcome_counts_as_in_progress_until_no_phone_can_ring(ledger: Ledger) -> None:
    simulator = Simulator(scenario=Scenario.answered(talking=60))
    simulator.inject(faults.Drop(), on="init", times=2)
    Campaign(ledger).add(customers(4))
    assert counts(run(simulator, ledger, max_active=2, answer_timeout=200)) == {
        "talked": 2,
        "unknown": 2,
    }
    times = starts(simulator)
    assert times[2] >= 200
    assert most_in_progress(simulator.callbacks) == 2


def test_person_who_finds_that_no_phone_rang_lets_the_customer_be_called(ledger: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    simulator.inject(faults.HttpError(500), on="init")
    Campaign(ledger).add(customers(1), attempts=1)
    assert counts(run(simulator, ledger)) == {"unknown": 1}
    ledger.resolve("order-1/1", placed=False)
    assert counts(run(simulator, ledger)) == {"talked": 1}
    assert simulator.dialled == ["+492214710001"]
    assert Campaign(ledger).entries()[0].attempts == 1


def test_callback_that_nobody_answers_in_time_is_unknown(ledger: Ledger) -> None:
    simulator = Simulator(scenario=[Scenario.manual(), TALK])
    Campaign(ledger).add(customers(2), attempts=3)
    assert counts(run(simulator, ledger, max_active=1, answer_timeout=100)) == {
        "talked": 1,
        "unknown": 1,
    }
    assert starts(simulator)[1] >= 200, "it may ring a while longer"


def test_callback_is_followed_on_after_statuses_were_not_to_be_had(ledger: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    simulator.inject(faults.HttpError(500), on="status", times=20)
    Campaign(ledger).add(customers(1))
    assert counts(run(simulator, ledger, answer_timeout=100)) == {"talked": 1}


def test_refused_statuses_end_the_run_and_the_next_one_goes_on(ledger: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    simulator.inject(faults.HttpError(403), on="status", times=None)
    Campaign(ledger).add(customers(2))
    with pytest.raises(StatusUnavailableError):
        run(simulator, ledger)
    simulator.clear_faults()
    assert counts(run(simulator, ledger)) == {"talked": 2}
    assert len(simulator.callbacks) == 2


def test_callback_that_tenios_does_not_know_is_unknown(ledger: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    Campaign(ledger).add(customers(1), attempts=2)
    simulator.inject(faults.HttpError(400), on="status", times=None)
    assert counts(run(simulator, ledger)) == {"unknown": 1}


# Stopping, and going on.


def test_stop_starts_no_more_and_follows_those_that_run(ledger: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    Campaign(ledger).add(customers(10))

    async def run_it() -> CampaignSummary:
        stop = asyncio.Event()
        async with client(simulator, ledger) as tenios, asyncio.timeout(120):
            return await Campaign(ledger, clock=simulator.clock).run(
                tenios,
                max_active=3,
                stop=stop,
                on_update=lambda entry: stop.set() if entry.status else None,
            )

    summary = asyncio.run(run_it())
    assert 1 <= summary.talked <= 3
    assert summary.waiting == 10 - summary.talked
    assert len(simulator.callbacks) == summary.talked
    assert counts(run(simulator, ledger)) == {"talked": 10}
    assert len(simulator.callbacks) == 10


def test_cancelled_run_waits_for_the_response_and_the_next_one_follows(ledger: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    Campaign(ledger).add(customers(2))
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
            AsyncTenios(ACCESS_KEY, CALLBACK_CONFIG_ID, transport=Slow(), ledger=ledger) as tenios,
            asyncio.timeout(60),
        ):
            task = asyncio.create_task(Campaign(ledger).run(tenios, max_active=2))
            await both.wait()
            task.cancel()
            assert await asyncio.wait([task], timeout=0.1) == (set(), {task})
            gate.set()
            with pytest.raises(asyncio.CancelledError):
                await task

    asyncio.run(run_it())
    assert [entry.state for entry in ledger.entries()] == ["placed", "placed"]
    assert counts(run(simulator, ledger)) == {"talked": 2}
    assert len(simulator.callbacks) == 2


def test_cancelled_run_does_not_wait_for_another_process_that_dials(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    simulator = Simulator(scenario=TALK)
    campaign = Campaign(ledger, clock=simulator.clock)
    campaign.add(customers(1))
    campaign._entries.claim(simulator.clock.now(), Limits(1), is_allowed=True)
    other: dict[str, Any] = {"number": "+492214710001", "arguments": "{}", "delay": 0}
    ledger.database.claim("order-1/1", token="of another process", seconds=1000, **other)
    looks = itertools.count()
    get = ledger.get

    async def run_it() -> None:
        loop, looked = asyncio.get_running_loop(), asyncio.Event()

        def look(key: str) -> Any:
            if next(looks) == 2:
                loop.call_soon_threadsafe(looked.set)
            return get(key)

        monkeypatch.setattr(ledger, "get", look)
        async with client(simulator, ledger) as tenios:
            task = asyncio.create_task(campaign.run(tenios, max_active=1))
            await looked.wait()
            task.cancel()
            assert (await asyncio.wait([task], timeout=60))[0] == {task}

    asyncio.run(run_it())
    assert counts(campaign.summary()) == {"ringing": 1}
    assert not simulator.callbacks


def bare_run(simulator: Simulator, ledger: Ledger, tenios: AsyncTenios) -> Run:
    limits: dict[str, Any] = {
        "max_active": 1,
        "max_starts_per_minute": None,
        "hours": None,
        "on_update": None,
    }
    return Run(
        Entries(ledger),
        ledger,
        tenios,
        simulator.clock,
        answer_timeout=300,
        end_timeout=300,
        **limits,
    )


def test_database_that_is_away_is_logged_once(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tenios_campaign._run._DATABASE_PAUSE", 0.0)
    simulator = Simulator()
    failures = iter([True] * 5 + [False] + [True] * 5)

    def work() -> None:
        if next(failures, False):
            raise LedgerUnavailableError("The database is away.", reason="OperationalError")

    async def run_it() -> None:
        async with client(simulator, ledger) as tenios:
            run = bare_run(simulator, ledger, tenios)
            await run._db(work)
            await run._db(work)

    asyncio.run(run_it())
    assert [record.getMessage() for record in caplog.records] == [
        "The database is away. It is tried again."
    ] * 2


def test_error_of_the_database_is_not_reported_if_nobody_waits_for_it_any_more(
    ledger: Ledger,
) -> None:
    """Jobs of a worker are cancelled when the database goes away."""
    simulator = Simulator()
    reported: list[object] = []
    may_fail = threading.Event()

    def fail() -> None:
        may_fail.wait(60)
        raise LedgerUnavailableError("The database is away.", reason="OperationalError")

    async def run_it() -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(lambda _, context: reported.append(context))
        async with client(simulator, ledger) as tenios:
            run = bare_run(simulator, ledger, tenios)
            job = asyncio.create_task(run._db(fail))
            await asyncio.sleep(0)
            [call] = run._calls
            job.cancel()
            await asyncio.wait([job])
            may_fail.set()
            await asyncio.wait([call])
        del call
        gc.collect()

    asyncio.run(run_it())
    assert reported == []


def test_paused_campaign_starts_nothing_until_it_is_resumed(ledger: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    campaign = Campaign(ledger, clock=simulator.clock)
    campaign.add(customers(3))
    campaign.pause()

    async def run_it() -> CampaignSummary:
        async with client(simulator, ledger) as tenios, asyncio.timeout(120):
            task = asyncio.create_task(campaign.run(tenios, max_active=3))
            await simulator.clock.async_sleep(100)
            assert simulator.callbacks == []
            assert (await asyncio.to_thread(campaign.summary)).paused
            await asyncio.to_thread(campaign.resume)
            return await task

    assert counts(asyncio.run(run_it())) == {"talked": 3}


@pytest.mark.usefixtures("exact_time")
def test_customers_that_are_added_while_it_runs_are_called(ledger: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    campaign = Campaign(ledger, clock=simulator.clock)
    campaign.add(customers(1))
    added: list[asyncio.Task[Any]] = []

    def add(_: CampaignEntry) -> None:
        if not added:
            added.append(asyncio.create_task(asyncio.to_thread(campaign.add, customers(3))))

    assert counts(run(simulator, ledger, on_update=add)) == {"talked": 3}


def test_cancelled_customer_is_not_called(ledger: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    campaign = Campaign(ledger)
    campaign.add(customers(2))
    campaign.cancel("order-1")
    assert counts(run(simulator, ledger)) == {"talked": 1, "cancelled": 1}
    assert simulator.dialled == ["+492214710002"]
    with pytest.raises(ValueError, match="'order-2' is not waiting: its state is talked"):
        campaign.cancel("order-2")
    with pytest.raises(LookupError, match="no key 'other'"):
        campaign.cancel("other")


def test_database_that_is_away_for_a_while_loses_nothing(
    ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("tenios_campaign._run._DATABASE_PAUSE", 0.0)
    work = Entries._run
    calls = itertools.count()

    def sometimes(*arguments: Any, **named: Any) -> Any:
        if next(calls) % 3 == 2:
            raise LedgerUnavailableError("The ledger cannot be used (away).", reason="away")
        return work(*arguments, **named)

    simulator = Simulator(scenario=TALK)
    Campaign(ledger).add(customers(10))
    monkeypatch.setattr(Entries, "_run", sometimes)
    assert counts(run(simulator, ledger)) == {"talked": 10}
    assert len(simulator.callbacks) == 10
    assert "The ledger cannot be used (away). It is tried again." in caplog.text


def test_forgetting_erases_what_is_personal_of_those_who_will_not_be_called_again(
    ledger: Ledger,
) -> None:
    simulator = Simulator(scenario=TALK)
    simulator.inject(faults.HttpError(500), on="init", nth=2)
    campaign = Campaign(ledger)
    campaign.add(
        [Customer("order-1", "+492214710001", agent_announcement="For order 1"), *customers(2)[1:]]
    )
    assert counts(run(simulator, ledger, max_active=1)) == {"talked": 1, "unknown": 1}
    campaign.add(customers(3))
    assert ledger.forget(older_than=timedelta(days=1)) == 0
    assert [entry.number for entry in campaign.entries()][:2] == ["+492214710001", "+492214710002"]
    assert ledger.forget(older_than=timedelta(0)) == 2
    assert [entry.number for entry in campaign.entries()] == [None, None, "+492214710003"]
    columns = sa.text(
        "SELECT agent_announcement, error FROM tenios_campaign_entries WHERE number IS NULL"
    )
    assert (
        ledger.database.run(lambda connection: list(map(tuple, connection.execute(columns))))
        == [(None, None)] * 2
    )
    assert campaign.add(customers(3)).known == 3
    ledger.resolve("order-2/1", placed=False)  # but the number is gone, so it stays unknown
    assert counts(run(simulator, ledger)) == {"talked": 2, "unknown": 1}
    assert simulator.dialled == ["+492214710001", "+492214710003"]


# What is wrong from the beginning.


@pytest.mark.parametrize(
    ("limits", "match"),
    [
        ({"max_active": 0}, "max_active"),
        ({"max_starts_per_minute": 0}, "max_starts_per_minute"),
        ({"answer_timeout": -1}, "answer_timeout"),
    ],
)
def test_wrong_limits_are_refused(limits: dict[str, Any], match: str, ledger: Ledger) -> None:
    with pytest.raises(ValueError, match=match):
        run(Simulator(), ledger, **limits)


def test_client_with_another_ledger_is_refused(ledger: Ledger, tmp_path: Any) -> None:
    async def run_it(other: Ledger) -> None:
        async with client(Simulator(), other) as tenios:
            await Campaign(ledger).run(tenios, max_active=1)

    with (
        Ledger(f"sqlite:///{tmp_path}/other.db") as other,
        pytest.raises(ConfigurationError, match="campaign's ledger"),
    ):
        asyncio.run(run_it(other))


def test_campaign_of_a_later_release_is_refused(ledger: Ledger) -> None:
    Campaign(ledger)
    with ledger.database._begin() as connection:
        connection.execute(sa.text("UPDATE tenios_campaign SET version = 2"))
    with pytest.raises(
        ConfigurationError, match=r"later release .*version 2; this release knows version 1"
    ):
        Campaign(ledger)

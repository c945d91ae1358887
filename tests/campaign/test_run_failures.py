"""Running a campaign with rejections, unknown outcomes and failures of TENIOS."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from contextlib import nullcontext
from datetime import timedelta
from itertools import count
from typing import TYPE_CHECKING, Any

import pytest
from attrs import evolve
from support.campaigns import client, counts, customers, most_in_progress, run, starts

from tenios_campaign import Campaign, CampaignEntry, Customer
from tenios_ext import (
    BadCredentialsError,
    InvalidArgumentError,
    RejectedError,
    StatusUnavailableError,
)
from tenios_simulator import Scenario, Simulator, faults

if TYPE_CHECKING:
    from tenios_ext.ledger import Ledger

pytestmark = pytest.mark.usefixtures("exact_time")

TALK = Scenario.answered(talking=20)


class Rejection(faults.HttpError):
    """The response is an HTTP error of TENIOS."""

    def apply(self, response: Any, _: Any) -> Any:
        body = {"error_code": "INVALID_FIELD", "error_message": "No.", "fields": []}
        return evolve(response, status=self.status, body=body)


@pytest.fixture(autouse=True)
def _rejection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(faults.KINDS, "rejection", Rejection)


def test_only_the_number_that_tenios_rejects_is_rejected(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    simulator.inject(Rejection(400), on="init", number="+492214710002")
    campaign = Campaign(sqlite)
    campaign.add(customers(3), attempts=3)
    assert counts(run(simulator, sqlite)) == {"talked": 2, "rejected": 1}
    rejected = list(campaign.entries())[1]
    assert (rejected.state, rejected.attempts) == ("rejected", 0)
    assert "400" in str(rejected.error)
    assert campaign.retry(state="rejected") == 1
    assert counts(run(simulator, sqlite)) == {"talked": 3}


def test_numbers_that_the_client_does_not_allow_are_rejected_until_retry(
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


@pytest.mark.parametrize("status", [400, 403, 404, 405, 413])
def test_rejection_of_all_callbacks_ends_the_run_and_rejects_nobody(
    status: int, sqlite: Ledger
) -> None:
    """With a wrong access key or base URL, or a gateway, for example. The next run resumes."""
    simulator = Simulator(scenario=TALK)
    simulator.inject(faults.HttpError(status), on="init", times=None)
    Campaign(sqlite).add(customers(3), attempts=1)
    with pytest.raises(RejectedError):
        run(simulator, sqlite, max_active=2)
    assert counts(Campaign(sqlite).summary()) == {"waiting": 3}
    simulator.clear_faults()
    assert counts(run(simulator, sqlite)) == {"talked": 3}
    assert {entry.attempts for entry in Campaign(sqlite).entries()} == {1}


def test_customer_whom_a_gateway_rejects_does_not_keep_others_waiting(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    simulator.inject(faults.HttpError(400), on="init", number="+492214710002", times=None)
    Campaign(sqlite).add(customers(30))
    with pytest.raises(RejectedError):
        run(simulator, sqlite, max_active=1)
    campaign = Campaign(sqlite)
    assert counts(campaign.summary()) == {"talked": 29, "waiting": 1}
    assert [entry.key for entry in campaign.entries() if entry.error] == ["order-2"]


def test_invalid_callback_config_id_ends_the_run_and_a_valid_one_resumes(
    sqlite: Ledger,
) -> None:
    simulator = Simulator(scenario=TALK)
    Campaign(sqlite).add(customers(2))
    with pytest.raises(BadCredentialsError):
        run(simulator, sqlite, settings={"callback_config_id": "WRONG"}, max_active=1)
    with pytest.raises(InvalidArgumentError, match="callback config id is missing"):
        run(simulator, sqlite, settings={"callback_config_id": None})
    assert counts(Campaign(sqlite).summary()) == {"waiting": 2}
    assert counts(run(simulator, sqlite)) == {"talked": 2}
    assert sorted(simulator.dialled) == ["+492214710001", "+492214710002"]


def test_blocked_number_is_not_called_and_others_are(sqlite: Ledger) -> None:
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


def test_number_in_another_call_waits(sqlite: Ledger) -> None:
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


def test_invalid_callback_config_id_of_a_customer_rejects_only_that_customer(
    sqlite: Ledger,
) -> None:
    simulator = Simulator(scenario=TALK)
    wrong = Customer("wrong", "+492214710009", callback_config_id="WRONG")
    Campaign(sqlite).add([wrong, *customers(2)])
    assert counts(run(simulator, sqlite, max_active=1)) == {"talked": 2, "rejected": 1}


def test_rate_limit_of_tenios_is_retried_after_its_pause(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    simulator.inject(faults.HttpError(429, retry_after=100), on="init", times=2)
    Campaign(sqlite).add(customers(1))
    begin = simulator.clock.now()
    assert counts(run(simulator, sqlite)) == {"talked": 1}
    [callback] = simulator.callbacks
    assert callback.started_at - begin >= 200
    assert [entry.attempts for entry in Campaign(sqlite).entries()] == [1]


def test_new_run_tries_at_once(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    simulator.inject(faults.HttpError(429, retry_after=3000), on="init")
    Campaign(sqlite).add(customers(1))
    stop = asyncio.Event()

    def wait(reason: str) -> None:
        if reason.startswith("retrying in 3000 s"):
            stop.set()

    assert counts(run(simulator, sqlite, on_wait=wait, stop=stop)) == {"waiting": 1}
    assert next(Campaign(sqlite).entries()).due_at is None
    begin = simulator.clock.now()
    assert counts(run(simulator, sqlite)) == {"talked": 1}
    assert simulator.callbacks[0].started_at < begin + 1


@pytest.mark.parametrize(
    ("fault", "state"), [(faults.HttpError(500), "unknown"), (Rejection(400), "rejected")]
)
def test_repeated_failures_affect_few_customers(
    fault: faults.Fault, state: str, sqlite: Ledger
) -> None:
    """TENIOS or a gateway fails for an hour."""
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
    assert any("retrying in" in each for each in reasons)


def test_unknown_outcomes_are_not_retried_and_max_unknown_ends_the_run(sqlite: Ledger) -> None:
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


def test_unknown_outcome_counts_as_in_progress_while_phones_may_ring(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=Scenario.answered(talking=60))
    simulator.inject(faults.Drop(), on="init", times=2)
    Campaign(sqlite).add(customers(4))
    summary = run(simulator, sqlite, max_active=2, answer_timeout=200)
    assert counts(summary) == {"talked": 2, "unknown": 2}
    assert starts(simulator)[2] >= 190
    assert most_in_progress(simulator.callbacks) == 2


def test_callback_not_answered_in_time_is_unknown_also_in_the_ledger(
    sqlite: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenios_campaign._run.LOOK", 600.0)
    simulator = Simulator(scenario=[Scenario.manual(), TALK])
    Campaign(sqlite).add(customers(2), attempts=3)
    assert counts(run(simulator, sqlite, max_active=1, answer_timeout=100)) == {
        "talked": 1, "unknown": 1,
    }  # fmt: skip
    assert starts(simulator)[1] >= 4 * 3600, "it may still ring"
    [unknown] = sqlite.entries(state="unknown")
    assert unknown.key == "default/order-1/1"
    sqlite.resolve(unknown.key, placed=True)
    assert counts(run(simulator, sqlite)) == {"talked": 2}


@pytest.mark.parametrize(
    ("scenario", "limit", "state"),
    [
        (Scenario.answered(talking=1000), {"end_timeout": 60}, "talked"),
        (Scenario.answered(customer_after=500, talking=500), {"answer_timeout": 60}, "unknown"),
    ],
    ids=["end", "answer"],
)
def test_callback_counts_as_in_progress_until_its_end_is_seen(
    scenario: Scenario, limit: dict[str, Any], state: str, sqlite: Ledger
) -> None:
    simulator = Simulator(scenario=scenario)
    same = Customer("same", "+492214710001")
    campaign = Campaign(sqlite)
    campaign.add([*customers(3), same], allow_same_number=True)
    reasons: list[str] = []
    summary = run(simulator, sqlite, max_active=2, on_wait=reasons.append, **limit)
    assert summary.total == 4
    assert getattr(summary, state) >= 1
    assert most_in_progress(simulator.callbacks) == 2
    calls = [each for each in simulator.callbacks if each.number == same.number]
    assert (len(calls), most_in_progress(calls)) == (2, 1)
    assert "waiting for callbacks whose end was not seen" in reasons
    ends = [entry.ended_at for entry in campaign.entries()]
    assert None not in ends[:2], "they were seen while others waited"
    assert ends[3] is None


@pytest.mark.parametrize("status", [403, 404, 429, 503])
def test_search_for_the_end_of_a_callback_is_slow_and_ends_with_a_run_that_cannot_work(
    status: int, sqlite: Ledger
) -> None:
    simulator = Simulator(scenario=Scenario.answered(talking=600))
    Campaign(sqlite).add(customers(2))
    waits = count()

    def break_status(reason: str) -> None:
        if reason == "waiting for callbacks whose end was not seen":
            simulator.clear_faults()
            if next(waits) < 100:
                simulator.inject(faults.HttpError(status), on="status", times=None)

    with pytest.raises(StatusUnavailableError) if status in {403, 404} else nullcontext():
        run(simulator, sqlite, max_active=1, end_timeout=60, on_wait=break_status)
    times = [each.timestamp for each in simulator.requests if each.response.status == status]
    # Each search repeats a failed request twice.
    assert 1 <= len(times) <= 3 + 3 * (times[-1] - times[0]) / 30


def test_callback_without_a_status_does_not_hide_the_ends_of_others(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=Scenario.answered(talking=600))
    Campaign(sqlite).add(customers(3))

    def break_status(reason: str) -> None:
        if reason == "waiting for callbacks whose end was not seen":
            simulator.clear_faults()
            first = simulator.callbacks[0].number
            simulator.inject(faults.HttpError(503), on="status", number=first, times=None)

    run(simulator, sqlite, max_active=2, end_timeout=60, on_wait=break_status)
    assert starts(simulator)[2] < 3600


def test_data_of_a_callback_in_use_are_not_erased(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=Scenario.answered(talking=600))
    campaign = Campaign(sqlite, clock=simulator.clock)
    campaign.add(customers(1))
    run(simulator, sqlite, end_timeout=60)
    assert campaign.forget(older_than=timedelta(0)) == 0
    assert next(campaign.entries()).number is not None
    assert sqlite.entries()[0].number is not None


def test_number_of_a_campaign_that_was_killed_is_free_after_the_longest_call(
    sqlite: Ledger,
) -> None:
    simulator = Simulator(scenario=TALK)
    killed = Campaign(sqlite, "killed", clock=simulator.clock)
    killed.add(customers(1))
    with pytest.raises(SystemExit):
        run(simulator, sqlite, name="killed", on_update=lambda _: sys.exit())
    Campaign(sqlite).add(customers(1))
    assert counts(run(simulator, sqlite)) == {"talked": 1}
    assert 4 * 3600 <= starts(simulator)[1] < 5 * 3600


def test_customer_resolved_as_not_placed_is_called_again(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    simulator.inject(faults.HttpError(500), on="init")
    campaign = Campaign(sqlite)
    campaign.add(customers(1), attempts=1)
    assert counts(run(simulator, sqlite)) == {"unknown": 1}
    sqlite.resolve("default/order-1/1", placed=False)
    assert counts(run(simulator, sqlite)) == {"talked": 1}
    assert simulator.dialled == ["+492214710001"]
    assert [entry.attempts for entry in campaign.entries()] == [1]


def test_callback_is_followed_again_after_unavailable_statuses(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    simulator.inject(faults.HttpError(500), on="status", times=20)
    Campaign(sqlite).add(customers(1))
    assert counts(run(simulator, sqlite, answer_timeout=100)) == {"talked": 1}


def test_rejected_status_requests_end_the_run_and_the_next_one_resumes(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    simulator.inject(faults.HttpError(403), on="status", times=None)
    Campaign(sqlite).add(customers(2))
    with pytest.raises(StatusUnavailableError):
        run(simulator, sqlite)
    simulator.clear_faults()
    assert counts(run(simulator, sqlite)) == {"talked": 2}
    assert len(simulator.callbacks) == 2


def test_outcome_of_a_callback_unknown_to_tenios_is_unknown(sqlite: Ledger) -> None:
    simulator = Simulator(scenario=TALK)
    Campaign(sqlite).add(customers(1), attempts=2)
    simulator.inject(faults.HttpError(400), on="status", times=None)
    assert counts(run(simulator, sqlite)) == {"unknown": 1}

"""A campaign's statements in each database."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from attrs import evolve
from support.campaigns import counts, customers, run
from support.ledgers import expire
from support.postgresql import new_database

from tenios_campaign import Campaign, CampaignSummary, Customer, OpeningHours
from tenios_campaign._attempts import Attempts as Statements
from tenios_campaign._rules import decide
from tenios_campaign._tables import lock
from tenios_ext import CallbackStatus, ConfigurationError
from tenios_ext.ledger import Ledger
from tenios_simulator import Scenario, Simulator, VirtualClock, faults

if TYPE_CHECKING:
    from tenios_campaign._rules import Facts, Row

HOURS = OpeningHours("Mon-Fri 09:00-18:00", "Europe/Berlin", "DE-NW")


class Attempts:
    """
    A campaign with its own clock, whose attempts the test makes.

    Attributes:
        campaign: The campaign.
        clock: Its clock.
    """

    def __init__(self, ledger: Ledger, count: int, name: str = "default", **arguments: Any) -> None:
        self.ledger = ledger
        self.clock = VirtualClock()
        self.campaign = Campaign(ledger, name, clock=self.clock)
        self.campaign.add(customers(count), **arguments)
        self.campaign.set(max_active=2)
        self._store = self.campaign._store
        self.statements = Statements(self._store)

    def facts(self) -> Facts:
        """Return the facts for the next decision."""
        facts: Facts = self._store.run(self.statements.facts)
        return facts

    def claim(self, *, seconds: float = 100) -> Row | None:
        """Claim the attempt that is due. Return its customer."""
        facts = self.facts()
        row = facts.row
        if decide(facts).action != "start" or row is None:
            return None
        entry: dict[str, Any] = {
            "number": row.number,
            "arguments": "{}",
            "delay": row.delay,
        }

        def on_claim(connection: sa.Connection) -> None:
            assert self.statements.claim(connection, row, facts.now, seconds=seconds)

        self.ledger.database.claim(
            row.next_key, token=row.next_key, seconds=1000, on_claim=on_claim, **entry
        )
        return row

    def result(self, row: Row, state: str, **values: Any) -> None:
        """Record a result in the ledger."""
        assert self.ledger.database.record(row.next_key, row.next_key, state=state, **values)

    def place(self, row: Row, callback_id: int = 10) -> None:
        """Record that a callback was placed."""
        placed = {"callback_id": str(callback_id), "started_at": 1e9}
        self.result(row, "placed", **placed)

    def record(self, row: Row, **seen: Any) -> Row | None:
        """Record what was seen of an attempt."""
        found: Row | None = self._store.change(self.statements.record, row.next_key, **seen)
        return found

    def states(self) -> list[str]:
        """Return the customers' states."""
        return [entry.state for entry in self.campaign.entries()]


def test_states_of_an_attempt(ledger: Ledger) -> None:
    attempts = Attempts(ledger, 2)
    row = attempts.claim()
    assert row is not None
    assert row.next_key == "default/order-1/1"
    assert attempts.states() == ["ringing", "waiting"]
    attempts.place(row)
    attempts.ledger.record_status(10, CallbackStatus.CALLING_B)
    assert attempts.states() == ["ringing", "waiting"]
    attempts.ledger.record_status(10, CallbackStatus.CONNECTED)
    assert attempts.states() == ["talking", "waiting"], "before the times are known"
    attempts.record(row, status="CONNECTED", answered=5.0)
    assert attempts.states() == ["talking", "waiting"]
    assert attempts.campaign.summary() == CampaignSummary(talking=1, waiting=1, max_active=2)
    ended = attempts.record(row, status="DISCONNECTED", ended=9.0)
    assert ended is not None
    assert (ended.state, ended.answered_at, ended.ended_at) == ("talked", 5.0, 9.0)
    assert attempts.record(row, status="DISCONNECTED") is None
    record = ledger.get("default/order-1/1")
    assert record is not None
    assert record.status == "DISCONNECTED", "also if it could not be recorded when it was seen"


def test_customer_called_since_the_row_was_read_is_not_called_again(ledger: Ledger) -> None:
    attempts = Attempts(ledger, 1, attempts=2, retry_after=0)
    facts = attempts.facts()
    row = attempts.claim()
    assert row is not None
    assert facts.row is not None
    attempts.place(row)
    attempts.record(row, status="CALL_B_FAILED")
    assert attempts.states() == ["waiting"]
    # As if this process had already seen the key of the other process.
    late = evolve(facts.row, serial=1)
    claim = partial(attempts.statements.claim, row=late, now=facts.now, seconds=100)
    assert not attempts.campaign._store.change(claim)
    assert [entry.attempts for entry in attempts.campaign.entries()] == [1]


@pytest.mark.parametrize("change", ["reject", "postpone"])
def test_result_for_an_outdated_row_is_not_recorded(change: str, ledger: Ledger) -> None:
    attempts = Attempts(ledger, 1, attempts=2, retry_after=600)
    late = attempts.facts().row
    row = attempts.claim()
    assert row is not None
    attempts.place(row)
    attempts.record(row, status="CALL_B_FAILED")
    before = list(attempts.campaign.entries())
    attempts.campaign._store.change(getattr(attempts.statements, change), late, 5)
    assert list(attempts.campaign.entries()) == before


def test_end_seen_by_one_process_wins_over_others(
    ledger: Ledger,
) -> None:
    attempts = Attempts(ledger, 2)
    for is_late in (False, True):
        row = attempts.claim()
        assert row is not None
        attempts.place(row, callback_id=10 + is_late)
        seen: list[dict[str, Any]] = [
            {"status": "DISCONNECTED", "answered": 5.0},
            {"lost": "Not seen."},
        ]
        for each in reversed(seen) if is_late else seen:
            attempts.record(row, **each)
    assert attempts.states() == ["talked", "talked"]
    assert [entry.state for entry in ledger.entries()] == ["placed", "placed"]


def test_limits_pause_and_hours_are_those_of_the_campaign(ledger: Ledger) -> None:
    attempts = Attempts(ledger, 9)
    other = Attempts(ledger, 1, "other")
    assert [attempts.claim() is not None for _ in range(3)] == [True, True, False]
    assert attempts.facts().in_progress == 2
    attempts.campaign.set(max_active=3)
    attempts.campaign.pause()
    assert attempts.claim() is None
    attempts.campaign.resume()
    assert attempts.claim() is not None
    attempts.campaign.set(max_active=9, max_starts_per_minute=2, hours=HOURS)
    facts = attempts.facts()
    assert (facts.gap, facts.hours, facts.last_start) == (30.0, HOURS, attempts.clock.now())
    summary = attempts.campaign.summary()
    assert (summary.max_active, summary.max_starts_per_minute, summary.hours) == (9, 2.0, HOURS)
    assert other.facts().max_active == 2
    assert other.facts().hours is None


def test_other_limits_are_refused_unless_they_replace_the_first(ledger: Ledger) -> None:
    campaign = Campaign(ledger)
    campaign.set(max_active=2, hours=HOURS, replace=False)
    campaign.set(max_active=2, hours=HOURS, max_starts_per_minute=6, replace=False)
    with pytest.raises(ValueError, match=r"another limit: max_active is 2\. .*tenios campaign set"):
        campaign.set(max_active=3, replace=False)
    campaign.set(max_active=3)
    assert campaign.summary().max_active == 3


def test_customer_is_claimed_once(ledger: Ledger) -> None:
    attempts = Attempts(ledger, 1)
    store, row = attempts.campaign._store, attempts.facts().row
    assert row is not None
    assert store.change(attempts.statements.claim, row, 1.0, seconds=1)
    assert not store.change(attempts.statements.claim, row, 1.0, seconds=1)


def test_number_in_a_call_of_another_campaign_waits(ledger: Ledger) -> None:
    first, second = Attempts(ledger, 1, "first"), Attempts(ledger, 2, "second")
    late = first.facts().row
    row = second.claim()
    assert row is not None
    assert late is not None
    assert first.claim() is None
    assert not first._store.change(first.statements.claim, late, 1.0, seconds=1)
    next_row = second.claim()
    assert next_row is not None
    assert next_row.key == "order-2"
    second.place(row)
    second.record(row, status="DISCONNECTED")
    assert first.claim() is not None


def test_unknown_outcome_counts_while_phones_may_ring(ledger: Ledger) -> None:
    attempts = Attempts(ledger, 2)
    row = attempts.claim(seconds=100)
    assert row is not None
    attempts.result(row, "unknown", last_error="Lost.")
    assert (attempts.facts().in_progress, attempts.facts().unknown) == (1, 1)
    attempts.clock.advance(101)
    assert (attempts.facts().in_progress, attempts.facts().unknown) == (0, 1)
    [entry, _] = attempts.campaign.entries()
    assert (entry.state, entry.error) == ("unknown", "Lost.")


def test_late_response_corrects_an_unknown_outcome(ledger: Ledger) -> None:
    attempts = Attempts(ledger, 1)
    row = attempts.claim()
    assert row is not None
    attempts.result(row, "unknown")
    attempts.place(row)
    assert attempts.states() == ["ringing"]


@pytest.mark.parametrize(("placed", "state"), [(True, "talked"), (False, "waiting")])
@pytest.mark.parametrize("is_given_up", [False, True])
def test_resolving_in_the_ledger_closes_the_attempt(
    *, placed: bool, state: str, is_given_up: bool, ledger: Ledger
) -> None:
    attempts = Attempts(ledger, 1)
    row = attempts.claim()
    assert row is not None
    if is_given_up:
        attempts.place(row)
        attempts.record(row, lost="Nobody answered.")
    else:
        attempts.result(row, "unknown")
    assert counts(attempts.campaign.summary()) == {"unknown": 1}
    with pytest.raises(
        ValueError, match=r"is unknown .* Use `tenios ledger resolve default/order-1/1`"
    ):
        attempts.campaign.retry("order-1")
    ledger.resolve("default/order-1/1", placed=placed)
    assert attempts.states() == [state]
    attempts.record(row)
    [entry] = attempts.campaign.entries()
    assert (entry.state, entry.attempts) == (state, int(placed))


def test_clock_set_back_does_not_delay_customers(ledger: Ledger) -> None:
    attempts = Attempts(ledger, 3, attempts=2, retry_after=60, agent_retry_after=10)
    store = attempts.campaign._store
    first, second = attempts.claim(seconds=100), attempts.claim(seconds=100)
    assert first is not None
    assert second is not None
    attempts.result(first, "unknown")
    attempts.place(second)
    attempts.record(second, status="CALL_B_FAILED")
    columns = ("claimed_at", "busy_until", "due_at")
    moved = ", ".join(f"{each} = {each} + 3600" for each in columns)
    later = sa.text(f"UPDATE tenios_campaign_customers SET {moved} WHERE serial > 0")
    ledger.database.run(lambda connection: connection.execute(later))
    store.change(attempts.statements.open_rows)
    now = attempts.clock.now()
    rows = store.run(store.rows)
    assert [rows[0].busy_until, rows[1].due_at, rows[2].due_at] == [now + 100, now + 60, 0]


def test_failures_are_recorded_and_cleared(ledger: Ledger) -> None:
    attempts = Attempts(ledger, 1)
    store = attempts.campaign._store
    for _ in range(3):
        store.change(attempts.statements.note, "TENIOS is ill", 0.0)
    facts = attempts.facts()
    assert (facts.trouble, facts.failures) == ("TENIOS is ill", 3)
    assert facts.blocked_until == attempts.clock.now() + 5
    assert attempts.campaign.summary().trouble == "TENIOS is ill"
    store.change(attempts.statements.note, None)
    assert attempts.facts().failures == 0
    assert attempts.claim() is not None


def test_cancelled_customer_is_not_called_until_retry(ledger: Ledger) -> None:
    simulator = Simulator(scenario=Scenario.customer_busy())
    campaign = Campaign(ledger)
    campaign.add(customers(2))
    campaign.cancel("order-1")
    assert counts(run(simulator, ledger)) == {"customer_failed": 1, "cancelled": 1}
    assert simulator.dialled == ["+492214710002"]
    with pytest.raises(ValueError, match="the state of 'order-2' is customer_failed"):
        campaign.cancel("order-2")
    with pytest.raises(LookupError, match="'default' has no key 'other'"):
        campaign.cancel("other")
    assert campaign.retry("order-1", state="customer_failed") == 2
    assert counts(run(simulator, ledger)) == {"customer_failed": 2}
    assert [entry.attempts for entry in campaign.entries()] == [1, 2]
    with pytest.raises(ValueError, match="state must be one of"):
        campaign.retry(state="talked")


def rows_of(selected: sa.TextClause, connection: sa.Connection) -> list[str]:
    return list(map(str, connection.execute(selected)))


def test_forget_erases_personal_data_also_in_the_ledger(ledger: Ledger) -> None:
    simulator = Simulator(scenario=Scenario.answered(talking=20))
    simulator.inject(faults.HttpError(500), on="init", nth=2)
    campaign, other = Campaign(ledger), Campaign(ledger, "other")
    cells = {"name": "Ada"}
    first = Customer("order-1", "+492214710001", agent_announcement="For Ada", cells=cells)
    campaign.add([first, *customers(2)[1:]])
    assert counts(run(simulator, ledger, max_active=1)) == {"talked": 1, "unknown": 1}
    campaign.add(customers(3))
    other.add(customers(1))
    expire(ledger)
    assert campaign.forget(older_than=timedelta(days=1)) == 0
    assert campaign.forget(older_than=timedelta(0)) == 3
    assert [(entry.number, entry.cells) for entry in campaign.entries()] == [(None, None)] * 3
    assert [entry.number for entry in ledger.entries()] == [None, None]
    with pytest.raises(ValueError, match="the number of 'order-3' was erased"):
        campaign.retry("order-3")
    assert [entry.number for entry in other.entries()] == ["+492214710001"]
    for table in ("tenios_campaign_customers WHERE campaign = 'default'", "tenios_ledger"):
        selected = sa.text(f"SELECT * FROM {table}")
        rows = ledger.database.run(partial(rows_of, selected))
        assert not any("Ada" in each or "47100" in each for each in rows)
    assert campaign.add(customers(3)).known == 3
    assert counts(campaign.summary()) == {"talked": 1, "unknown": 1, "cancelled": 1}


@pytest.mark.parametrize("name", ["campaign", "ledger"])
def test_campaign_of_another_release_is_refused_also_during_a_run(
    name: str, ledger: Ledger
) -> None:
    attempts = Attempts(ledger, 1)
    ledger.database.run(
        lambda connection: connection.execute(
            sa.text(f"UPDATE tenios_{name}_schema SET version = 2, release = '2.3.4'")
        )
    )
    message = rf"tables of the {name} have version 2, from .* Install tenios-callback 2\.3\.4"
    with pytest.raises(ConfigurationError, match=message):
        attempts.claim()
    with pytest.raises(ConfigurationError, match=message):
        Campaign(ledger)


def test_summary_does_not_wait_for_a_suspended_process_with_the_lock(
    server: str,
) -> None:
    with Ledger(new_database(server)) as ledger:
        attempts = Attempts(ledger, 1)
        with ledger.database._begin() as connection:
            lock(connection)
            with Ledger(ledger.database.url.render_as_string(hide_password=False)) as other:
                assert counts(Campaign(other).summary()) == {"waiting": 1}
            idle = sa.text("SHOW idle_in_transaction_session_timeout")
            assert connection.scalar(idle) == "5s"
        assert attempts.claim() is not None


@pytest.mark.parametrize("name", ["", "a/b", " a", "x" * 31, 1])
def test_invalid_names_are_refused(name: Any, ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="name must"):
        Campaign(ledger, name)

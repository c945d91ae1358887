"""Adding customers to a campaign."""

from __future__ import annotations

import itertools
import tracemalloc
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from support.campaigns import customers

from tenios_campaign import (
    Added,
    Campaign,
    CampaignSummary,
    Customer,
    InvalidRowsError,
    RowProblem,
    SameNumberError,
)
from tenios_campaign._tables import schema
from tenios_ext import ConfigurationError

if TYPE_CHECKING:
    from tenios_ext.ledger import Ledger

ONE = Customer("one", "+49 221 4710001")
TWO = Customer("two", "+49 221 4710002")


def added(
    new: int, known: int = 0, repeated: int = 0, *same_number: tuple[str, str], changed: int = 0
) -> Added:
    return Added(new=new, known=known, changed=changed, repeated=repeated, same_number=same_number)


def test_customers_wait_in_the_order_in_which_they_were_added(ledger: Ledger) -> None:
    campaign = Campaign(ledger)
    assert not campaign.exists()
    assert campaign.add([TWO, ONE], attempts=3) == added(2)
    assert campaign.add([Customer("three", "+492214710003")]).new == 1
    assert campaign.exists()
    entries = list(campaign.entries())
    assert [entry.key for entry in entries] == ["two", "one", "three"]
    assert {
        (entry.state, entry.attempts, entry.due_at, entry.callback_id) for entry in entries
    } == {("waiting", 0, None, None)}
    assert campaign.summary() == CampaignSummary(waiting=3)


def test_known_key_is_skipped_and_other_campaigns_are_separate(ledger: Ledger) -> None:
    campaign = Campaign(ledger)
    campaign.add([ONE])
    before = list(campaign.entries())
    changed = Customer("one", ONE.number, delay=60)
    assert campaign.add([changed, TWO, TWO]) == added(1, 1, 1, changed=1)
    assert list(campaign.entries())[:1] == before
    assert Campaign(ledger, "other").add([ONE]) == added(1)


def test_known_key_with_another_number_is_refused(ledger: Ledger) -> None:
    campaign = Campaign(ledger)
    campaign.add([ONE])
    with pytest.raises(InvalidRowsError, match="'one' is already in the campaign with another"):
        campaign.add([TWO, Customer("one", "+492214710009")])
    assert [entry.key for entry in campaign.entries()] == ["one"]


def test_known_number_with_a_new_key_is_refused_unless_allowed(ledger: Ledger) -> None:
    """A spreadsheet may have changed the keys, such as 00471 to 471."""
    campaign = Campaign(ledger)
    campaign.add([ONE])
    again = [Customer("a", TWO.number), Customer("b", ONE.number), TWO]
    with pytest.raises(SameNumberError, match="'b' with the number of 'one'") as refused:
        campaign.add(again)
    assert (refused.value.pairs, refused.value.count) == ([("one", "b")], 1)
    assert campaign.summary().total == 1
    assert campaign.add(again, allow_same_number=True) == added(3, 0, 0, ("a", "two"))


def test_invalid_rows_are_counted_and_the_first_are_shown(ledger: Ledger) -> None:
    campaign = Campaign(ledger)
    problems = [RowProblem(line, "Wrong.") for line in range(2, 62)]
    with pytest.raises(InvalidRowsError) as refused:
        campaign.add([ONE, *problems])
    assert (len(refused.value.problems), refused.value.count) == (50, 60)
    assert campaign.summary().total == 0


def test_repeated_key_must_have_the_same_values(ledger: Ledger) -> None:
    rows = [Customer("k", f"+49221471000{number}", line=number) for number in (1, 1, 2)]
    with pytest.raises(
        InvalidRowsError, match="'k' is already in line 1 with other values"
    ) as refused:
        Campaign(ledger).add(rows)
    assert refused.value.problems[0].line == 2


def test_repeated_row_must_have_the_same_cells(ledger: Ledger) -> None:
    rows = [Customer("k", ONE.number, cells={"name": name}) for name in ("Anna", "Anna", "Bert")]
    assert Campaign(ledger).add(rows[:2], dry_run=True) == added(1, 0, 1)
    with pytest.raises(InvalidRowsError, match="'k' is already given with other values"):
        Campaign(ledger).add(rows)


def test_customers_are_added_in_batches(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenios_campaign._stage.BATCH", 2)
    monkeypatch.setattr("tenios_campaign._store.BATCH", 2)
    campaign = Campaign(ledger)
    assert campaign.add(customers(5)).new == 5
    assert campaign.add(customers(7)) == added(2, 5)
    assert [entry.key for entry in campaign.entries()] == [each.key for each in customers(7)]


def test_dry_run_changes_nothing(ledger: Ledger) -> None:
    campaign = Campaign(ledger)
    campaign.add([ONE])
    assert campaign.add([ONE, TWO], dry_run=True) == added(1, 1)
    assert campaign.summary().total == 1


def test_only_a_successful_add_creates_tables(ledger: Ledger) -> None:
    campaign = Campaign(ledger)
    assert campaign.add([ONE], dry_run=True).new == 1
    with pytest.raises(InvalidRowsError):
        campaign.add([ONE, RowProblem(2, "Wrong.")])
    assert not campaign.exists()
    assert not ledger.database.run(schema.exists, read_only=True)
    campaign.add([ONE])
    assert ledger.database.run(schema.exists, read_only=True)


def test_time_of_the_first_attempt_is_kept(ledger: Ledger) -> None:
    when = datetime(2026, 11, 25, 13, tzinfo=UTC)
    campaign = Campaign(ledger)
    campaign.add([Customer("k", ONE.number, not_before=when)])
    assert next(campaign.entries()).due_at == when.timestamp()
    for time, changed in ((when, 0), (None, 1)):
        again = Customer("k", ONE.number, not_before=time)
        assert campaign.add([again]) == added(0, 1, changed=changed)
    campaign.cancel("k")
    assert next(campaign.entries()).due_at is None
    campaign.retry("k")
    assert next(campaign.entries()).due_at == when.timestamp()


@pytest.mark.parametrize(
    "values",
    [
        {"key": ""},
        {"key": " k"},
        {"key": "a\nb"},
        {"key": 1},
        {"key": "k" * 161},
        {"number": "soon"},
        {"number": "0221 4710001"},
        {"delay": -1},
        {"delay": 2**31},
        {"delay": 1.5},
        {"delay": True},
        {"not_before": "2026-11-25"},
        {"not_before": datetime(1899, 12, 30, tzinfo=UTC)},
        {"not_before": datetime(9999, 12, 31, tzinfo=UTC)},
        {"not_before": datetime(1, 1, 1, tzinfo=timezone(timedelta(hours=2)))},
        {"agent_announcement": " "},
        {"agent_announcement": "a\0b"},
        {"agent_announcement": "a" * 5001},
        {"callback_config_id": ""},
        {"callback_config_id": "a\nb"},
    ],
    ids=repr,
)
def test_invalid_customer_is_refused(values: dict[str, Any]) -> None:
    with pytest.raises((TypeError, ValueError)):
        Customer(**{"key": "k", "number": "+492214710001", **values})


@pytest.mark.parametrize(
    "values",
    [
        {"attempts": 0},
        {"attempts": True},
        {"attempts": 1.0},
        {"retry_after": -1},
        {"retry_after": float("nan")},
        {"retry_after": float("inf")},
        {"retry_after": "1m"},
        {"agent_retry_after": timedelta(seconds=-1)},
    ],
    ids=repr,
)
def test_invalid_arguments_are_refused(values: dict[str, Any], sqlite: Ledger) -> None:
    campaign = Campaign(sqlite)
    with pytest.raises(ValueError, match=next(iter(values))):
        campaign.add([ONE], **values)
    assert campaign.summary().total == 0


def test_campaign_needs_a_ledger() -> None:
    with pytest.raises(ConfigurationError, match="ledger must be a Ledger, got str"):
        Campaign("sqlite:///campaign.db")  # type: ignore[arg-type] # the subject of the test


@pytest.mark.parametrize(
    "limits", [{"max_active": 0}, {"max_active": True}, {"max_starts_per_minute": 0}], ids=repr
)
def test_invalid_limits_are_refused(limits: dict[str, Any], sqlite: Ledger) -> None:
    with pytest.raises(ValueError, match=next(iter(limits))):
        Campaign(sqlite).set(**limits)


def test_memory_does_not_grow_with_the_number_of_customers(sqlite: Ledger) -> None:
    many = (Customer(f"order-{number}", f"+49221{4710000 + number}") for number in range(3000))
    tracemalloc.start()
    try:
        Campaign(sqlite).add(itertools.islice(many, 1000))
        first = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        Campaign(sqlite).add(many)
        assert tracemalloc.get_traced_memory()[1] < 1.3 * first
        tracemalloc.reset_peak()
        assert sum(1 for _ in Campaign(sqlite).entries()) == 3000
        assert tracemalloc.get_traced_memory()[1] < 1.3 * first
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("mine", "error"),
    [
        (Customer("00one", ONE.number), SameNumberError),
        (Customer("one", TWO.number), InvalidRowsError),
        (ONE, None),
    ],
)
def test_customers_that_another_process_adds_meanwhile_are_compared(
    mine: Customer, error: type[Exception] | None, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    campaign = Campaign(ledger)
    campaign.add([TWO] if error is None else [Customer("zero", "+492214710000")])
    change = campaign._store.change

    def late(*arguments: Any, **named: Any) -> Any:
        monkeypatch.undo()
        Campaign(ledger).add([ONE])
        return change(*arguments, **named)

    monkeypatch.setattr(campaign._store, "change", late)
    new = Customer("new", "+492214710009")
    if error is None:
        assert campaign.add([new, mine]) == added(1, 1)
    else:
        with pytest.raises(error):
            campaign.add([new, mine])
    expected = ["one"] if error else ["one", "new"]
    assert [entry.key for entry in campaign.entries()][1:] == expected

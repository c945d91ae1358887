"""Adding customers to a campaign."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from tenios_campaign import Added, Campaign, CampaignSummary, Customer
from tenios_ext import ConfigurationError

if TYPE_CHECKING:
    from tenios_ext.ledger import Ledger

ONE = Customer("one", "+49 221 4710001")
TWO = Customer("two", "+49 221 4710002")


def test_customers_wait_in_the_order_in_which_they_were_added(ledger: Ledger) -> None:
    campaign = Campaign(ledger)
    assert campaign.add([TWO, ONE], attempts=3) == Added(new=2, known=0, same_number=())
    assert campaign.add([Customer("three", "+492214710003")]).new == 1
    entries = campaign.entries()
    assert [entry.key for entry in entries] == ["two", "one", "three"]
    assert {
        (entry.state, entry.attempts, entry.due_at, entry.callback_id) for entry in entries
    } == {("waiting", 0, None, None)}
    assert campaign.summary() == CampaignSummary(waiting=3)


def test_key_that_is_there_stays_as_it_is(ledger: Ledger) -> None:
    campaign = Campaign(ledger)
    campaign.add([ONE])
    before = campaign.entries()
    assert campaign.add([Customer("one", ONE.number, delay=60), TWO, TWO]) == Added(
        new=1, known=2, same_number=()
    )
    assert campaign.entries()[:1] == before


def test_key_with_another_number_is_refused_and_nothing_added(ledger: Ledger) -> None:
    campaign = Campaign(ledger)
    campaign.add([ONE])
    with pytest.raises(ValueError, match="'one' is in the campaign already, with another number"):
        campaign.add([TWO, Customer("one", "+492214710009")])
    assert [entry.key for entry in campaign.entries()] == ["one"]


def test_keys_with_the_same_number_are_told(ledger: Ledger) -> None:
    campaign = Campaign(ledger)
    campaign.add([ONE])
    added = campaign.add([Customer("a", TWO.number), Customer("b", ONE.number), TWO])
    assert added == Added(new=3, known=0, same_number=(("one", "b"), ("a", "two")))


def test_dry_run_changes_nothing(ledger: Ledger) -> None:
    campaign = Campaign(ledger)
    campaign.add([ONE])
    assert campaign.add([ONE, TWO], dry_run=True) == Added(new=1, known=1, same_number=())
    assert campaign.summary().total == 1


def test_time_of_the_first_attempt_is_kept(ledger: Ledger) -> None:
    when = datetime(2026, 11, 25, 13, tzinfo=UTC)
    campaign = Campaign(ledger)
    campaign.add([Customer("k", ONE.number, not_before=when)])
    assert campaign.entries()[0].due_at == when.timestamp()


@pytest.mark.parametrize(
    "values",
    [
        {"key": ""},
        {"key": " k"},
        {"key": "a\nb"},
        {"key": 1},
        {"key": "k" * 191},
        {"number": "soon"},
        {"number": "0221 4710001"},
        {"delay": -1},
        {"delay": 2**31},
        {"delay": 1.5},
        {"delay": True},
        {"not_before": "2026-11-25"},
        {"agent_announcement": " "},
        {"callback_config_id": ""},
    ],
    ids=repr,
)
def test_wrong_customer_is_refused(values: dict[str, Any]) -> None:
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
def test_wrong_arguments_are_refused(values: dict[str, Any], ledger: Ledger) -> None:
    campaign = Campaign(ledger)
    with pytest.raises(ValueError, match=next(iter(values))):
        campaign.add([ONE], **values)
    assert campaign.summary().total == 0


def test_what_is_not_a_ledger_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="ledger must be a Ledger, got str"):
        Campaign("sqlite:///campaign.db")  # type: ignore[arg-type] # wrong on purpose

"""Blocked numbers and numbers in use."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from support.clients import NUMBER
from support.faults import INIT, FaultServer, drop, in_turn
from support.ledgers import (
    KEY,
    PLACED,
    REFUSED,
    claim,
    contents,
    database_of,
    execute,
    expire,
    start,
)

from tenios_ext import (
    BlockedNumberError,
    CallbackStatus,
    NumberInUseError,
    OutcomeUnknownError,
    RejectedError,
)
from tenios_ext._models import FINAL
from tenios_ext._polling import ANSWER_TIMEOUT, END_TIMEOUT
from tenios_ext.ledger import BlockedNumber

if TYPE_CHECKING:
    import sqlalchemy as sa

    from tenios_ext.ledger import Ledger

OTHER = "order-4712"


def start_other(ledger: Ledger, tenios: FaultServer, **arguments: Any) -> Any:
    """Call the number with another key and ``one_call_per_number``."""
    return start("sync", ledger, tenios.url, key=OTHER, one_call_per_number=True, **arguments)


# Blocked numbers.


def test_blocked_number_is_not_called_until_it_is_unblocked(
    mode: str, ledger: Ledger, tenios: FaultServer
) -> None:
    ledger.block("0049 (221) 4710-123", reason="asked for it")
    claimed: list[sa.Connection] = []
    with pytest.raises(
        BlockedNumberError, match=r"\+492214710123 is blocked .*\(asked for it\), so nothing was"
    ):
        start(mode, ledger, tenios.url, on_claim=claimed.append)
    assert (claimed, ledger.entries(), dict(tenios.received)) == ([], [], {})
    start(mode, ledger, tenios.url, "+492214710124", key=OTHER)
    assert ledger.unblock(NUMBER)
    start(mode, ledger, tenios.url)
    assert tenios.received == {INIT: 2}


def test_key_that_was_refused_keeps_its_entry_when_its_number_is_blocked(ledger: Ledger) -> None:
    with FaultServer(REFUSED) as server:
        with pytest.raises(RejectedError):
            start("sync", ledger, server.url)
        before = ledger.get(KEY)
        ledger.block(NUMBER)
        with pytest.raises(BlockedNumberError, match="is blocked in the ledger, so"):
            start("sync", ledger, server.url)
        assert server.received == {INIT: 1}
    assert ledger.get(KEY) == before


def test_key_that_was_dialled_before_the_block_does_what_its_state_says(ledger: Ledger) -> None:
    with FaultServer(in_turn(PLACED, others=drop)) as server:
        placed = start("sync", ledger, server.url)
        with pytest.raises(OutcomeUnknownError):
            start("sync", ledger, server.url, key=OTHER)
        ledger.block(NUMBER)
        assert start("sync", ledger, server.url).handle == placed.handle
        with pytest.raises(OutcomeUnknownError):
            start("sync", ledger, server.url, key=OTHER)
        assert server.received == {INIT: 2}


def test_blocked_numbers_are_listed_once_with_the_newest_reason(ledger: Ledger) -> None:
    first = ledger.block(NUMBER, reason="wrong number")
    assert time.time() - 60 < first.blocked_at < time.time() + 60
    premium = ledger.block("0900 1234567", region="DE")
    assert premium == BlockedNumber(
        number="+499001234567", reason=None, blocked_at=premium.blocked_at
    )
    assert ledger.block(NUMBER) == first
    again = ledger.block(NUMBER, reason="asked for it")
    assert (again.reason, again.blocked_at) == ("asked for it", first.blocked_at)
    assert ledger.blocked() == [again, premium]
    assert ledger.unblock("0900 1234567", region="DE")
    assert not ledger.unblock("+499001234567")
    assert ledger.blocked() == [again]


@pytest.mark.parametrize("reason", ["", " ", "two\nlines", "r" * 201, 1])
def test_invalid_reason_is_refused(reason: Any, sqlite_ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="reason must be one line of 1 to 200 characters"):
        sqlite_ledger.block(NUMBER, reason=reason)
    assert sqlite_ledger.blocked() == []


def test_number_that_cannot_be_read_is_not_blocked(sqlite_ledger: Ledger) -> None:
    for change in (sqlite_ledger.block, sqlite_ledger.unblock):
        with pytest.raises(ValueError, match="has no country code"):
            change("0221 4710123")
    assert sqlite_ledger.blocked() == []


def test_forgotten_number_stays_on_the_list_and_nowhere_else(
    ledger: Ledger, tenios: FaultServer
) -> None:
    ledger.record_status(start("sync", ledger, tenios.url).id, CallbackStatus.DISCONNECTED)
    ledger.block(NUMBER)
    assert ledger.forget(older_than=timedelta()) == 1
    assert NUMBER not in contents(ledger)
    assert [each.number for each in ledger.blocked()] == [NUMBER]
    with pytest.raises(BlockedNumberError):
        start("sync", ledger, tenios.url, key=OTHER)


# One call per number.


IN_PROGRESS = r"callback to \+492214710123 with the key 'order-4711' may be in progress"
PLACED_10 = {"state": "placed", "callback_id": "10", "started_at": 1e9}
#: Changes to an entry whose request must end within 1,000 seconds, and the seconds for which its
#: number is in use, if it is.
IN_USE: list[tuple[dict[str, Any], float | None]] = [
    ({"state": "dialling"}, 1000 + ANSWER_TIMEOUT),
    ({"state": "dialling", "delay": 500}, 1500 + ANSWER_TIMEOUT),
    ({"state": "unknown"}, 1000 + ANSWER_TIMEOUT),
    ({"state": "unknown", "deadline": -100}, ANSWER_TIMEOUT - 100),
    ({"state": "unknown", "deadline": -ANSWER_TIMEOUT - 1}, None),
    ({"state": "dialling", "deadline": -ANSWER_TIMEOUT - 1}, None),  # The process has died.
    ({"state": "not_placed"}, None),
    ({"state": "placed"}, 1000 + ANSWER_TIMEOUT),  # resolved without an id
    (PLACED_10, 1000 + END_TIMEOUT),
    (PLACED_10 | {"delay": 500}, 1500 + END_TIMEOUT),
    (PLACED_10 | {"status": "CONNECTED"}, 1000 + END_TIMEOUT),
    (PLACED_10 | {"status": "ON_HOLD"}, 1000 + END_TIMEOUT),
    (PLACED_10 | {"deadline": -END_TIMEOUT - 1}, None),
    (PLACED_10 | {"number": "+492214710124"}, None),
    *((PLACED_10 | {"status": str(status)}, None) for status in FINAL),
]


def test_number_is_in_use_while_a_callback_of_another_key_may_be_in_progress(
    ledger: Ledger,
) -> None:
    database = database_of(ledger)
    for changes, seconds in IN_USE:
        execute(ledger, "DELETE FROM tenios_ledger")
        claim(ledger)
        values = changes | {"deadline": database.now + changes.get("deadline", 1000)}
        changed = database.entries.update().values(values)
        database.run(lambda connection, changed=changed: connection.execute(changed))
        if seconds is not None:
            with pytest.raises(NumberInUseError, match=IN_PROGRESS) as raised:
                claim(ledger, OTHER, one_call_per_number=True)
            assert raised.value.retry_after == pytest.approx(seconds, abs=60), changes
            assert ledger.get(OTHER) is None
        # It is off by default.
        claim(ledger, OTHER, one_call_per_number=seconds is None)


def test_number_is_free_once_its_callback_was_seen_to_end(
    mode: str, ledger: Ledger, tenios: FaultServer
) -> None:
    settings: dict[str, Any] = {"one_call_per_number": True, "key": OTHER}
    callback = start(mode, ledger, tenios.url)
    with pytest.raises(NumberInUseError):
        start(mode, ledger, tenios.url, **settings)
    ledger.record_status(callback.id, min(FINAL))
    start(mode, ledger, tenios.url, **settings)
    assert tenios.received == {INIT: 2}


def test_latest_of_several_callbacks_counts(ledger: Ledger, tenios: FaultServer) -> None:
    for delay in (100, 300, 200):
        start("sync", ledger, tenios.url, key=f"key-{delay}", delay=delay)
    with pytest.raises(NumberInUseError, match="'key-300'"):
        start_other(ledger, tenios)
    expire(ledger)
    start_other(ledger, tenios)


def test_blocked_number_that_is_in_use_is_blocked(ledger: Ledger, tenios: FaultServer) -> None:
    """NumberInUseError would suggest calling again later."""
    start("sync", ledger, tenios.url)
    ledger.block(NUMBER)
    with pytest.raises(BlockedNumberError):
        start_other(ledger, tenios)
    assert execute(ledger, "SELECT count(*) FROM tenios_ledger")[0][0] == 1

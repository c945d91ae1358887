"""start_callback with a key, by the state of the key."""

from __future__ import annotations

import re
import threading
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest
from support.clients import MODES, NUMBER, shorten_limits
from support.faults import (
    FAILURES_AFTER_SENDING,
    INIT,
    Case,
    Fault,
    FaultServer,
    drop,
    in_turn,
    respond_error,
)
from support.ledgers import (
    KEY,
    PLACED,
    REFUSED,
    claim,
    contents,
    execute,
    expire,
    start,
    wait_for_state,
)

from tenios_ext import (
    InvalidArgumentError,
    NotPlacedError,
    NotSentError,
    OutcomeUnknownError,
    TeniosError,
)
from tenios_ext._attempt import longest_exchange
from tenios_ext._clock import running_time
from tenios_ext.ledger._claim import CLAIM_SECONDS, Claim

if TYPE_CHECKING:
    from support.faults import Connection

    from tenios_ext.ledger import Ledger


def test_new_key_is_claimed_before_the_request_and_placed_after_it(
    mode: str, ledger: Ledger
) -> None:
    seen: list[Any] = []

    def look(connection: Connection) -> None:
        seen.append(ledger.get(KEY))
        PLACED(connection)

    with FaultServer(look) as server:
        callback = start(mode, ledger, server.url, delay=30)
    [during] = seen
    assert (during.state, during.attempts, during.handle, during.number) == (
        "dialling",
        1,
        None,
        NUMBER,
    )
    after = ledger.get(KEY)
    assert after is not None
    assert (after.state, after.attempts, after.handle, after.last_error) == (
        "placed",
        1,
        callback.handle,
        None,
    )
    assert after.handle is not None
    assert (after.handle.id, after.handle.delay) == (10, 30)
    assert (
        time.time() - 60
        < after.created_at
        == after.dialled_at
        <= after.updated_at
        < time.time() + 60
    )


def test_key_that_was_placed_returns_the_same_callback(
    mode: str, ledger: Ledger, tenios: FaultServer
) -> None:
    first = start(mode, ledger, tenios.url)
    second = start(mode, ledger, tenios.url, "+49 (221) 4710-123")
    assert second.handle == first.handle
    assert tenios.received == {INIT: 1}


@pytest.mark.parametrize(
    "other",
    [
        {"number": "+492214710124"},
        {"delay": 30},
        {"agent_announcement": "Order"},
        {"dtmf_key": "1"},
        {"callback_config_id": "OTHER"},
    ],
    ids=lambda other: next(iter(other)),
)
@pytest.mark.parametrize("fault", [PLACED, REFUSED, drop], ids=["placed", "not_placed", "unknown"])
def test_key_that_was_used_with_other_arguments_is_refused(
    fault: Fault, other: dict[str, Any], sqlite_ledger: Ledger
) -> None:
    with FaultServer(fault) as server:
        with suppress(TeniosError):
            start("sync", sqlite_ledger, server.url)
        before = sqlite_ledger.get(KEY)
        with pytest.raises(
            InvalidArgumentError, match="'order-4711' was used with other arguments"
        ):
            start("sync", sqlite_ledger, server.url, **other)
        assert server.received == {INIT: 1}
    assert sqlite_ledger.get(KEY) == before


def test_concurrent_call_with_the_same_key_waits_for_the_callback(
    mode: str, ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The wait has a limit."""
    entry_of = Claim._entry
    arrived, go_on = threading.Event(), threading.Event()

    def wait(connection: Connection) -> None:
        arrived.set()
        go_on.wait()
        PLACED(connection)

    def read_entry(*arguments: Any) -> Any:
        go_on.set()
        return entry_of(*arguments)

    with FaultServer(wait) as server:
        first = threading.Thread(target=start, args=("sync", ledger, server.url))
        first.start()
        arrived.wait()
        with pytest.raises(
            OutcomeUnknownError, match="the request for the key 'order-4711' since 20"
        ):
            start(mode, ledger, server.url)
        monkeypatch.setattr("tenios_ext.ledger._claim.WAIT_SECONDS", 60.0)
        monkeypatch.setattr(Claim, "_entry", read_entry)
        assert start(mode, ledger, server.url).id == 10
        first.join()
        assert server.received == {INIT: 1}


@pytest.mark.parametrize("case", FAILURES_AFTER_SENDING, ids=lambda case: case.name)
def test_failure_is_recorded_as_what_its_error_says(
    case: Case, sqlite_ledger: Ledger, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For each kind of failure: the state, and the next call."""
    if case.timeout < 1:
        shorten_limits(monkeypatch)
    check_recorded_failure("sync", case, sqlite_ledger)


@pytest.mark.parametrize("name", ["422", "connection reset without a response"])
def test_failure_is_recorded_by_each_client_in_each_database(
    mode: str, name: str, ledger: Ledger
) -> None:
    [case] = [case for case in FAILURES_AFTER_SENDING if case.name == name]
    check_recorded_failure(mode, case, ledger)


def check_recorded_failure(mode: str, case: Case, ledger: Ledger) -> None:
    with FaultServer(in_turn(case.fault, others=PLACED)) as server:
        with pytest.raises(case.expected) as raised:
            start(mode, ledger, server.url, timeout=case.timeout)
        assert type(raised.value) is case.expected
        entry = ledger.get(KEY)
        assert entry is not None
        assert (entry.attempts, entry.handle, entry.last_error) == (1, None, str(raised.value))
        if issubclass(case.expected, NotPlacedError):
            assert entry.state == "not_placed"
            assert start(mode, ledger, server.url).id == 10
            assert server.received == {INIT: 2}
            entry = ledger.get(KEY)
            assert entry is not None
            assert (entry.state, entry.attempts, entry.last_error) == ("placed", 2, None)
        else:
            assert entry.state == "unknown"
            with pytest.raises(
                OutcomeUnknownError, match=r"outcome of the call .* is unknown"
            ) as again:
                start(mode, ledger, server.url)
            assert KEY in str(again.value)
            assert str(raised.value) in str(again.value)
            assert re.search(r" at 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", str(again.value))
            assert server.received == {INIT: 1}


def test_key_that_was_not_sent_is_dialled_again(
    mode: str, ledger: Ledger, tenios: FaultServer
) -> None:
    with pytest.raises(NotSentError):
        start(mode, ledger, "http://127.0.0.1:1")
    entry = ledger.get(KEY)
    assert entry is not None
    assert (entry.state, entry.attempts) == ("not_placed", 1)
    assert start(mode, ledger, tenios.url).id == 10


def test_claim_of_a_process_that_has_died_is_unknown_and_never_dialled(
    ledger: Ledger, tenios: FaultServer
) -> None:
    claim(ledger)
    dialling = ledger.get(KEY)
    expire(ledger)
    unknown = ledger.get(KEY)
    assert dialling is not None
    assert unknown is not None
    assert (dialling.state, unknown.state) == ("dialling", "unknown")
    assert [entry.key for entry in ledger.entries(state="unknown")] == [KEY]
    assert ledger.entries(state="dialling") == []
    with pytest.raises(OutcomeUnknownError, match=r"The process has not recorded a response\."):
        start("sync", ledger, tenios.url)
    assert not tenios.received


def test_late_response_turns_unknown_into_placed(ledger: Ledger) -> None:
    def expire_and_place(connection: Connection) -> None:
        expire(ledger)
        assert [entry.key for entry in ledger.entries(state="unknown")] == [KEY]
        PLACED(connection)

    with FaultServer(expire_and_place) as server:
        callback = start("sync", ledger, server.url)
    entry = ledger.get(KEY)
    assert entry is not None
    assert (entry.state, entry.handle) == ("placed", callback.handle)


def test_claim_lasts_longer_than_the_longest_exchange(ledger: Ledger) -> None:
    """Counted by the database's clock, with the timeout of the client."""
    deadlines: list[float] = []

    def look(connection: Connection) -> None:
        [row] = execute(ledger, "SELECT deadline - dialled_at FROM tenios_ledger")
        deadlines.append(row[0])
        PLACED(connection)

    with FaultServer(look) as server:
        start("sync", ledger, server.url, timeout=100.0)
    assert deadlines == [pytest.approx(15 + 2 * 100 + CLAIM_SECONDS, abs=0.1)]


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_sent_once_the_claim_has_run_out(
    mode: str, ledger: Ledger, tenios: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process or its machine was suspended, and the key may have been resolved."""
    earlier = running_time() - CLAIM_SECONDS - longest_exchange(0)
    monkeypatch.setattr("tenios_ext.ledger._claim.running_time", lambda: earlier)
    with pytest.raises(NotSentError, match="the request could not be sent in time"):
        start(mode, ledger, tenios.url)
    assert not tenios.received
    wait_for_state(ledger, "not_placed")


# Errors before the ledger is used.


@pytest.mark.parametrize(
    "key", ["", " ", " a", "a\n", "a\0b", "\ud800", "k" * 201, 1, b"key", True], ids=repr
)
def test_invalid_key_is_refused(key: object, sqlite_ledger: Ledger, tenios: FaultServer) -> None:
    with pytest.raises(InvalidArgumentError, match="key must"):
        start("sync", sqlite_ledger, tenios.url, key=key)
    assert not tenios.received
    assert sqlite_ledger.entries() == []


@pytest.mark.parametrize(
    "key", ["k" * 200, "order 4711", "Bestellung \u00fc\U0001f4de", "%s:x?'\"\\"]
)
def test_valid_key_is_kept_as_it_is(key: str, ledger: Ledger, tenios: FaultServer) -> None:
    start("sync", ledger, tenios.url, key=key)
    assert [entry.key for entry in ledger.entries()] == [key]


def test_wrong_argument_leaves_the_key_unused(sqlite_ledger: Ledger, tenios: FaultServer) -> None:
    with pytest.raises(InvalidArgumentError):
        start("sync", sqlite_ledger, tenios.url, "0221")
    assert sqlite_ledger.entries() == []


def test_key_without_a_ledger_says_how_to_give_one(tenios: FaultServer) -> None:
    with pytest.raises(InvalidArgumentError, match=r"Tenios\(ledger=Ledger\(.*TENIOS_LEDGER"):
        start("sync", None, tenios.url)
    assert not tenios.received


def test_access_key_does_not_enter_the_ledger(sqlite_ledger: Ledger, tenios: FaultServer) -> None:
    """Even if it is passed as the wrong argument."""
    with pytest.raises(InvalidArgumentError, match="key contains the access key"):
        start("sync", sqlite_ledger, tenios.url, key="for ACCESS-KEY")
    start(
        "sync",
        sqlite_ledger,
        tenios.url,
        callback_config_id="ACCESS-KEY",
        agent_announcement="ACCESS-KEY",
    )
    tenios.fault = respond_error("400 Bad Request", "ACCESS-KEY")
    with pytest.raises(TeniosError):
        start("sync", sqlite_ledger, tenios.url, key="other")
    assert "ACCESS-KEY" not in contents(sqlite_ledger)


def test_call_without_a_key_is_not_recorded(
    mode: str, sqlite_ledger: Ledger, tenios: FaultServer
) -> None:
    start(mode, sqlite_ledger, tenios.url, key=None)
    start(mode, sqlite_ledger, tenios.url, key=None)
    assert tenios.received == {INIT: 2}
    assert sqlite_ledger.entries() == []

"""Resolving and erasing keys."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest
from support.faults import INIT, Connection, FaultServer, drop, in_turn, respond
from support.ledgers import KEY, PLACED, REFUSED, claim, contents, expire, start

from tenios_ext import CallbackStatus, OutcomeUnknownError, RejectedError

if TYPE_CHECKING:
    from tenios_ext.ledger import Ledger


def test_unknown_key_that_was_resolved_as_not_placed_is_dialled_again(ledger: Ledger) -> None:
    with FaultServer(in_turn(drop, others=PLACED)) as server:
        with pytest.raises(OutcomeUnknownError):
            start("sync", ledger, server.url)
        entry = ledger.resolve(KEY, placed=False)
        assert (entry.state, entry.attempts) == ("not_placed", 1)
        assert start("sync", ledger, server.url).id == 10
        assert server.received == {INIT: 2}


def test_unknown_key_that_was_resolved_as_placed_is_never_dialled_again(
    ledger: Ledger, tenios: FaultServer
) -> None:
    claim(ledger)
    expire(ledger)
    assert ledger.resolve(KEY, placed=True).state == "placed"
    with pytest.raises(OutcomeUnknownError, match="recorded as placed without a callback id"):
        start("sync", ledger, tenios.url)
    entry = ledger.resolve(KEY, placed=True, callback_id=2**63)
    callback = start("sync", ledger, tenios.url)
    assert callback.handle == entry.handle
    assert (callback.id, callback.handle.started_at) == (2**63, entry.dialled_at)
    assert not tenios.received


def test_only_an_unknown_key_can_be_resolved(ledger: Ledger, tenios: FaultServer) -> None:
    claim(ledger)
    for placed in (True, False):
        with pytest.raises(ValueError, match="its state is dialling"):
            ledger.resolve(KEY, placed=placed)
    start("sync", ledger, tenios.url, key="other")
    for arguments in ({"placed": False}, {"placed": True}, {"placed": True, "callback_id": 11}):
        with pytest.raises(ValueError, match="its state is placed"):
            ledger.resolve("other", **arguments)
    with pytest.raises(LookupError, match="no key 'missing'"):
        ledger.resolve("missing", placed=True)
    for callback_id in (-1, 10**19, True, "10"):
        with pytest.raises(ValueError, match="callback_id must be"):
            ledger.resolve("other", placed=True, callback_id=callback_id)  # type: ignore[arg-type] # wrong on purpose
    with pytest.raises(ValueError, match="callback_id requires placed=True"):
        ledger.resolve("other", placed=False, callback_id=10)


@pytest.mark.parametrize("result", ["placed", "refused"])
def test_response_after_the_key_was_resolved(
    result: str, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    """A callback id is always recorded. A rejection is only logged."""

    def resolve(connection: Connection) -> None:
        expire(ledger)
        ledger.resolve(KEY, placed=result == "refused")
        (PLACED if result == "placed" else REFUSED)(connection)

    with FaultServer(resolve) as server, suppress(RejectedError):
        start("sync", ledger, server.url)
    entry = ledger.get(KEY)
    assert entry is not None
    assert (entry.state, entry.handle is not None) == ("placed", result == "placed")
    assert ("the late result for key" in caplog.text) == (result == "refused")


def test_late_response_does_not_touch_a_newer_attempt(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    def dial_again(connection: Connection) -> None:
        if server.received[INIT] == 1:
            expire(ledger)
            ledger.resolve(KEY, placed=False)
            start("sync", ledger, server.url)
            respond("200 OK", {"id": 11})(connection)
        else:
            PLACED(connection)

    with FaultServer(dial_again) as server:
        assert start("sync", ledger, server.url).id == 11
    entry = ledger.get(KEY)
    assert entry is not None
    assert entry.handle is not None
    assert (entry.handle.id, entry.attempts) == (10, 2)
    assert "the late result for key" in caplog.text


def test_forgotten_entry_has_no_personal_data_and_keeps_its_key(
    ledger: Ledger, tenios: FaultServer
) -> None:
    first = start("sync", ledger, tenios.url, agent_announcement="Max Mustermann")
    assert ledger.forget(older_than=timedelta()) == 0, "it is in progress"
    ledger.record_status(first.id, CallbackStatus.DISCONNECTED)
    assert ledger.forget(older_than=timedelta(days=1)) == 0
    assert ledger.forget(older_than=timedelta()) == 1
    assert ledger.forget(older_than=timedelta()) == 0
    entry = ledger.get(KEY)
    assert entry is not None
    assert (entry.number, entry.last_error, entry.state, entry.handle) == (
        None,
        None,
        "placed",
        first.handle,
    )
    assert not [text for text in ("4710123", "Mustermann") if text in contents(ledger)]
    assert start("sync", ledger, tenios.url, "+492214710999").handle == first.handle
    assert tenios.received == {INIT: 1}


@pytest.mark.parametrize("key", ["a\0b", "\ud800", "", "two\nlines"])
def test_key_that_cannot_be_used_was_never_used(key: str, ledger: Ledger) -> None:
    assert ledger.get(key) is None
    with pytest.raises(LookupError):
        ledger.resolve(key, placed=False)


def test_entry_of_no_key_is_not_that_of_another(sqlite_ledger: Ledger, tenios: FaultServer) -> None:
    start("sync", sqlite_ledger, tenios.url)
    with pytest.raises(TypeError, match="key must be a str, got NoneType"):
        sqlite_ledger.get(None)  # type: ignore[arg-type] # what a caller may do by mistake


def test_forgotten_key_may_dial_again_only_if_it_could_before(
    ledger: Ledger, tenios: FaultServer
) -> None:
    claim(ledger)
    assert ledger.forget(older_than=timedelta()) == 0, "it is being dialled"
    expire(ledger)
    assert ledger.forget(older_than=timedelta()) == 1
    with pytest.raises(OutcomeUnknownError):
        start("sync", ledger, tenios.url)
    ledger.resolve(KEY, placed=False)
    assert start("sync", ledger, tenios.url, "+492214710999").id == 10
    entry = ledger.get(KEY)
    assert entry is not None
    assert (entry.number, entry.attempts) == ("+492214710999", 2)


def test_negative_age_is_refused(sqlite_ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        sqlite_ledger.forget(older_than=timedelta(seconds=-1))

"""What start_callback does with a key, by the key's state."""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from contextlib import suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from support.clients import CONFIG_ID, MODES, NUMBER, wait_for_recording
from support.faults import (
    FAILURES_AFTER_SENDING,
    INIT,
    Case,
    Fault,
    FaultServer,
    drop,
    in_turn,
    respond,
    respond_error,
)

from tenios_ext import (
    AsyncTenios,
    InvalidArgumentError,
    NotPlacedError,
    NotSentError,
    OutcomeUnknownError,
    RejectedError,
    Tenios,
    TeniosError,
)
from tenios_ext._attempt import Attempt
from tenios_ext.ledger._claim import CLAIM_SECONDS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.faults import Connection

    from tenios_ext.ledger import Ledger

KEY = "order-4711"
PLACED = respond("200 OK", {"id": 10})
REFUSED = respond_error("400 Bad Request", "INVALID_VALUE")


def start(
    mode: str, ledger: Ledger | None, base_url: str, number: str = NUMBER, **arguments: Any
) -> Any:
    """Start one callback with a key."""
    arguments.setdefault("key", KEY)
    timeout = arguments.pop("timeout", 30.0)
    settings: dict[str, Any] = {"base_url": base_url, "ledger": ledger, "timeout": timeout}
    if mode == "sync":
        with Tenios("ACCESS-KEY", CONFIG_ID, **settings) as tenios:
            return tenios.start_callback(number, **arguments)

    async def run() -> Any:
        async with AsyncTenios(
            "ACCESS-KEY", CONFIG_ID, aiohttp=mode == "aiohttp", **settings
        ) as tenios:
            return await tenios.start_callback(number, **arguments)

    return asyncio.run(run())


def expire(ledger: Ledger) -> None:
    """Let the time of each attempt be over."""
    database = ledger._database
    with database._begin() as connection:
        connection.execute(sa.text("UPDATE tenios_ledger SET deadline = 0"))


def damage(ledger: Ledger) -> None:
    """Let each statement fail from now on."""
    with ledger._database._begin() as connection:
        connection.execute(sa.text("ALTER TABLE tenios_ledger RENAME TO elsewhere"))


def repair(ledger: Ledger) -> None:
    with ledger._database._begin() as connection:
        connection.execute(sa.text("ALTER TABLE elsewhere RENAME TO tenios_ledger"))


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def tenios() -> Iterator[FaultServer]:
    """A server that places the first callback, and would place more with other ids."""
    ids = iter(range(10, 1000))

    def place(connection: Connection) -> None:
        respond("200 OK", {"id": next(ids)})(connection)

    with FaultServer(place) as server:
        yield server


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
    fault: Fault, other: dict[str, Any], ledger: Ledger
) -> None:
    with FaultServer(fault) as server:
        with suppress(TeniosError):
            start("sync", ledger, server.url)
        before = ledger.get(KEY)
        with pytest.raises(
            InvalidArgumentError, match="'order-4711' was used with other arguments"
        ):
            start("sync", ledger, server.url, **other)
        assert server.received == {INIT: 1}
    assert ledger.get(KEY) == before


def test_key_that_is_being_dialled_is_not_dialled_by_another_call(
    mode: str, ledger: Ledger
) -> None:
    arrived, go_on = threading.Event(), threading.Event()

    def wait(connection: Connection) -> None:
        arrived.set()
        go_on.wait()
        PLACED(connection)

    with FaultServer(wait) as server:
        first = threading.Thread(target=start, args=("sync", ledger, server.url))
        first.start()
        arrived.wait()
        with pytest.raises(
            OutcomeUnknownError, match="'order-4711' is being dialled by another call since 20"
        ):
            start(mode, ledger, server.url)
        go_on.set()
        first.join()
        assert start(mode, ledger, server.url).id == 10
        assert server.received == {INIT: 1}


@pytest.mark.parametrize("case", FAILURES_AFTER_SENDING, ids=lambda case: case.name)
def test_failure_is_recorded_as_what_its_error_says(
    mode: str, case: Case, ledger: Ledger, monkeypatch: Any
) -> None:
    """Each kind of failure: the state, and what the next call does."""
    if case.timeout < 1:  # The limit on the whole exchange has time for connecting in it.
        monkeypatch.setattr("tenios_ext._attempt.CONNECT_TIMEOUT", 0.1)
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
            with pytest.raises(OutcomeUnknownError, match="the outcome is unknown") as again:
                start(mode, ledger, server.url)
            assert KEY in str(again.value)
            assert str(raised.value) in str(again.value)
            assert re.search(r"dialled at 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC", str(again.value))
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
    mode: str, ledger: Ledger, tenios: FaultServer
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
    with pytest.raises(
        OutcomeUnknownError, match=r"The process that dialled recorded no response\."
    ):
        start(mode, ledger, tenios.url)
    assert not tenios.received


def claim(ledger: Ledger, timeout: float = 30.0) -> float:
    """Claim the key as a process that then dies; return when the claim is over."""
    arguments = (
        f'{{"callback_config_id": "{CONFIG_ID}", "callback_number": "{NUMBER}", "delay": 0}}'
    )
    row = ledger._database.claim(
        KEY,
        token="OTHER",
        seconds=Attempt().seconds(timeout) + CLAIM_SECONDS,
        number=NUMBER,
        arguments=arguments,
        delay=0,
    )
    return float(row.deadline)


def test_late_response_turns_unknown_into_placed(mode: str, ledger: Ledger) -> None:
    def expire_and_place(connection: Connection) -> None:
        expire(ledger)
        assert [entry.key for entry in ledger.entries(state="unknown")] == [KEY]
        PLACED(connection)

    with FaultServer(expire_and_place) as server:
        callback = start(mode, ledger, server.url)
    entry = ledger.get(KEY)
    assert entry is not None
    assert (entry.state, entry.handle) == ("placed", callback.handle)


def test_claim_lasts_longer_than_the_longest_exchange(ledger: Ledger) -> None:
    """By the database's clock: from the time-out of the client that dials."""
    deadlines: list[float] = []

    def look(connection: Connection) -> None:
        with ledger._database._begin() as database:
            row = database.execute(sa.text("SELECT deadline - dialled_at FROM tenios_ledger")).one()
        deadlines.append(row[0])
        PLACED(connection)

    with FaultServer(look) as server:
        start("sync", ledger, server.url, timeout=100.0)
    assert deadlines == [pytest.approx(15 + 2 * 100 + CLAIM_SECONDS, abs=0.1)]


def test_nothing_is_sent_if_the_claim_took_too_long(
    mode: str, ledger: Ledger, tenios: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A person may have resolved the key meanwhile."""
    monkeypatch.setattr("tenios_ext.ledger._claim.CLAIM_SECONDS", 0.0)
    with pytest.raises(NotSentError, match="took more than"):
        start(mode, ledger, tenios.url)
    assert not tenios.received
    wait_for_state(ledger, "not_placed")


def wait_for_state(ledger: Ledger, state: str) -> None:
    """Wait for what a thread records."""
    wait_for_recording()
    entry = ledger.get(KEY)
    assert entry is not None
    assert entry.state == state


# The database fails.


def test_nothing_is_sent_if_the_database_fails_before(
    mode: str, ledger: Ledger, tenios: FaultServer
) -> None:
    damage(ledger)
    with pytest.raises(
        NotSentError, match=r"The ledger cannot be used \(.*tenios_ledger.*\), so nothing was sent"
    ) as raised:
        start(mode, ledger, tenios.url)
    assert not tenios.received
    assert NUMBER not in str(raised.value)
    assert raised.value.__context__ is None
    repair(ledger)
    assert start(mode, ledger, tenios.url).id == 10


def test_caller_gets_the_callback_if_the_database_fails_after(
    mode: str, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    def damage_and_place(connection: Connection) -> None:
        damage(ledger)
        PLACED(connection)

    with FaultServer(damage_and_place) as server:
        assert start(mode, ledger, server.url).id == 10
        [warning] = [
            record.getMessage() for record in caplog.records if record.levelno == logging.WARNING
        ]
        assert warning.startswith("the result for key 'order-4711' could not be recorded")
        repair(ledger)
        expire(ledger)
        with pytest.raises(OutcomeUnknownError, match="recorded no response"):
            start(mode, ledger, server.url)
        assert server.received == {INIT: 1}


# Interruptions.


@pytest.mark.parametrize("aiohttp", [False, True])
def test_cancelled_request_is_unknown(*, aiohttp: bool, ledger: Ledger) -> None:
    async def run(url: str, arrived: threading.Event) -> None:
        async with AsyncTenios(
            "ACCESS-KEY", CONFIG_ID, base_url=url, aiohttp=aiohttp, ledger=ledger
        ) as tenios:
            task = asyncio.create_task(tenios.start_callback(NUMBER, key=KEY))
            await asyncio.to_thread(arrived.wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task

    arrived = threading.Event()

    def arrive(connection: Connection) -> None:
        arrived.set()
        connection.hold()

    with FaultServer(arrive) as server:
        asyncio.run(run(server.url, arrived))
        wait_for_state(ledger, "unknown")
        assert server.received == {INIT: 1}


async def cancel_start(
    ledger: Ledger, url: str, reached: threading.Event, go_on: threading.Event
) -> None:
    """Start a callback, cancel that once a thread has reached a point, and let the thread go on."""
    async with AsyncTenios("ACCESS-KEY", CONFIG_ID, base_url=url, ledger=ledger) as client:
        task = asyncio.create_task(client.start_callback(NUMBER, key=KEY))
        await asyncio.to_thread(reached.wait)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        go_on.set()


def test_cancelled_claim_is_released(
    ledger: Ledger, tenios: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    The task is cancelled while a thread commits the claim: nothing was sent, and the key may dial
    again.
    """
    claiming, go_on = threading.Event(), threading.Event()
    original = ledger._database.claim

    def slow_claim(*args: Any, **kwargs: Any) -> Any:
        row = original(*args, **kwargs)
        claiming.set()
        go_on.wait()
        return row

    monkeypatch.setattr(ledger._database, "claim", slow_claim)
    asyncio.run(cancel_start(ledger, tenios.url, claiming, go_on))
    wait_for_state(ledger, "not_placed")
    assert not tenios.received
    assert start("sync", ledger, tenios.url).id == 10


def test_result_whose_recording_is_cancelled_is_recorded(
    ledger: Ledger, tenios: FaultServer, monkeypatch: Any
) -> None:
    recording, go_on = threading.Event(), threading.Event()
    original = ledger._database.record

    def slow_record(*args: Any, **kwargs: Any) -> bool:
        recording.set()
        go_on.wait()
        return original(*args, **kwargs)

    monkeypatch.setattr(ledger._database, "record", slow_record)
    asyncio.run(cancel_start(ledger, tenios.url, recording, go_on))
    wait_for_state(ledger, "placed")


@pytest.mark.parametrize("left", [False, True])
def test_interrupted_sync_call_is_recorded(
    *, left: bool, ledger: Ledger, tenios: FaultServer, monkeypatch: Any
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    target = (
        "tenios_ext._mapping.callback_id"
        if left
        else "tenios_ext._sync_client.init_callback.sync_detailed"
    )
    monkeypatch.setattr(target, interrupt)
    with pytest.raises(KeyboardInterrupt):
        start("sync", ledger, tenios.url)
    wait_for_state(ledger, "unknown" if left else "not_placed")
    assert tenios.received == ({INIT: 1} if left else {})


# People.


def test_unknown_key_that_was_resolved_as_not_placed_is_dialled_again(
    mode: str, ledger: Ledger
) -> None:
    with FaultServer(in_turn(drop, others=PLACED)) as server:
        with pytest.raises(OutcomeUnknownError):
            start(mode, ledger, server.url)
        entry = ledger.resolve(KEY, placed=False)
        assert (entry.state, entry.attempts) == ("not_placed", 1)
        assert start(mode, ledger, server.url).id == 10
        assert server.received == {INIT: 2}


def test_unknown_key_that_was_resolved_as_placed_is_never_dialled_again(
    mode: str, ledger: Ledger, tenios: FaultServer
) -> None:
    claim(ledger)
    expire(ledger)
    assert ledger.resolve(KEY, placed=True).state == "placed"
    with pytest.raises(OutcomeUnknownError, match="marked as placed without a callback id"):
        start(mode, ledger, tenios.url)
    entry = ledger.resolve(KEY, placed=True, callback_id=2**63)
    callback = start(mode, ledger, tenios.url)
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
    with pytest.raises(ValueError, match="has no callback_id"):
        ledger.resolve("other", placed=False, callback_id=10)


@pytest.mark.parametrize("result", ["placed", "refused"])
def test_response_after_the_key_was_resolved(
    result: str, ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    """
    A callback that exists is recorded, whatever a person has said; that there is none is only
    logged.
    """

    def resolve(connection: Connection) -> None:
        expire(ledger)
        ledger.resolve(KEY, placed=result == "refused")
        (PLACED if result == "placed" else REFUSED)(connection)

    with FaultServer(resolve) as server, suppress(RejectedError):
        start("sync", ledger, server.url)
    entry = ledger.get(KEY)
    assert entry is not None
    assert (entry.state, entry.handle is not None) == ("placed", result == "placed")
    assert ("a late result is not recorded" in caplog.text) == (result == "refused")


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
    assert "a late result is not recorded" in caplog.text


# Forgetting.


def test_forgotten_entry_has_no_personal_data_and_keeps_its_key(
    mode: str, ledger: Ledger, tenios: FaultServer
) -> None:
    first = start(mode, ledger, tenios.url, agent_announcement="Max Mustermann")
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
    assert start(mode, ledger, tenios.url, "+492214710999").handle == first.handle
    assert tenios.received == {INIT: 1}


def contents(ledger: Ledger) -> str:
    with ledger._database._begin() as connection:
        return repr(connection.execute(sa.text("SELECT * FROM tenios_ledger")).all())


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


def test_negative_age_is_refused(ledger: Ledger) -> None:
    with pytest.raises(ValueError, match="must not be negative"):
        ledger.forget(older_than=timedelta(seconds=-1))


# What does not get as far as the ledger.


@pytest.mark.parametrize(
    "key", ["", " ", " a", "a\n", "a\0b", "\ud800", "k" * 201, 1, b"key", True], ids=repr
)
def test_invalid_key_is_refused(
    mode: str, key: object, ledger: Ledger, tenios: FaultServer
) -> None:
    with pytest.raises(InvalidArgumentError, match="key must"):
        start(mode, ledger, tenios.url, key=key)
    assert not tenios.received
    assert ledger.entries() == []


@pytest.mark.parametrize(
    "key", ["k" * 200, "order 4711", "Bestellung \u00fc\U0001f4de", "%s:x?'\"\\"]
)
def test_valid_key_is_kept_as_it_is(
    mode: str, key: str, ledger: Ledger, tenios: FaultServer
) -> None:
    start(mode, ledger, tenios.url, key=key)
    assert [entry.key for entry in ledger.entries()] == [key]


def test_wrong_argument_leaves_the_key_unused(
    mode: str, ledger: Ledger, tenios: FaultServer
) -> None:
    with pytest.raises(InvalidArgumentError):
        start(mode, ledger, tenios.url, "0221")
    assert ledger.entries() == []


@pytest.mark.parametrize("mode", MODES)
def test_key_without_a_ledger_says_how_to_give_one(mode: str, tenios: FaultServer) -> None:
    with pytest.raises(InvalidArgumentError, match=r"Tenios\(ledger=Ledger\(.*TENIOS_LEDGER"):
        start(mode, None, tenios.url)
    assert not tenios.received


def test_access_key_does_not_enter_the_ledger(
    mode: str, ledger: Ledger, tenios: FaultServer
) -> None:
    """Not even if it is given in the wrong place."""
    with pytest.raises(InvalidArgumentError, match="key contains the access key"):
        start(mode, ledger, tenios.url, key="for ACCESS-KEY")
    start(
        mode, ledger, tenios.url, callback_config_id="ACCESS-KEY", agent_announcement="ACCESS-KEY"
    )
    tenios.fault = respond_error("400 Bad Request", "ACCESS-KEY")
    with pytest.raises(TeniosError):
        start(mode, ledger, tenios.url, key="other")
    assert "ACCESS-KEY" not in contents(ledger)


def test_call_without_a_key_is_not_recorded(mode: str, ledger: Ledger, tenios: FaultServer) -> None:
    start(mode, ledger, tenios.url, key=None)
    start(mode, ledger, tenios.url, key=None)
    assert tenios.received == {INIT: 2}
    assert ledger.entries() == []

"""Database failures and interrupted calls."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa
from support.clients import CONFIG_ID, NUMBER, wait_for_recording
from support.faults import INIT, Connection, FaultServer
from support.ledgers import (
    KEY,
    PLACED,
    REFUSED,
    damage,
    database_of,
    execute,
    expire,
    repair,
    start,
    wait_for_state,
)

from tenios_ext import (
    AsyncTenios,
    CallbackStatus,
    InvalidArgumentError,
    LedgerUnavailableError,
    NotSentError,
    OutcomeUnknownError,
    RejectedError,
)
from tenios_ext._threads import NAME, async_in_thread, in_thread
from tenios_ext.ledger._claim import Claim

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenios_ext.ledger import Ledger


@pytest.fixture
def _no_retries(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not try again to record a result in the background."""
    monkeypatch.setattr("tenios_ext.ledger._claim._RETRIES", ())


@pytest.mark.usefixtures("_no_retries")
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


@pytest.mark.usefixtures("_no_retries")
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
        with pytest.raises(OutcomeUnknownError, match="has not recorded a response"):
            start(mode, ledger, server.url)
        assert server.received == {INIT: 1}


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("threads", [0, 1, 2])
def test_result_is_right_even_if_no_thread_can_be_started(
    monkeypatch: pytest.MonkeyPatch, mode: str, threads: int, ledger: Ledger
) -> None:
    """The first claims the key, the second resolves the name of the host, the third records."""
    left = iter(range(threads))
    begin = threading.Thread.start

    def start_if_any_is_left(thread: threading.Thread) -> None:
        if thread.name == NAME and next(left, None) is None:
            raise RuntimeError("can't start new thread")
        begin(thread)

    with FaultServer(PLACED) as server:
        monkeypatch.setattr(threading.Thread, "start", start_if_any_is_left)
        url = f"http://localhost:{server.port}"
        if threads == 2:
            assert start(mode, ledger, url).id == 10
        else:
            with pytest.raises(NotSentError, match="can't start new thread"):
                start(mode, ledger, url)
        assert server.received.total() == (threads == 2)
    entry = ledger.get(KEY)
    assert (entry and entry.state) == [None, "not_placed", "placed"][threads]


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
    """Cancel a call once a thread has reached a point, then let the thread continue."""
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
    """The task is cancelled during the commit: nothing was sent, and the key can be used again."""
    claiming, go_on = threading.Event(), threading.Event()
    original = database_of(ledger).claim

    def slow_claim(*args: Any, **kwargs: Any) -> Any:
        row = original(*args, **kwargs)
        claiming.set()
        go_on.wait()
        return row

    monkeypatch.setattr(database_of(ledger), "claim", slow_claim)
    asyncio.run(cancel_start(ledger, tenios.url, claiming, go_on))
    wait_for_state(ledger, "not_placed")
    assert not tenios.received
    assert start("sync", ledger, tenios.url).id == 10


def test_call_that_ends_before_its_claim_claims_nothing(
    sqlite_ledger: Ledger,
    tenios: FaultServer,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, go_on = threading.Event(), threading.Event()
    make = Claim.make

    def make_late(claim: Claim) -> Any:
        begun.set()
        go_on.wait()
        return make(claim)

    monkeypatch.setattr(Claim, "make", make_late)
    asyncio.run(cancel_start(sqlite_ledger, tenios.url, begun, go_on))
    wait_for_recording()
    assert sqlite_ledger.get(KEY) is None
    assert not caplog.records


def test_result_whose_recording_is_cancelled_is_recorded(
    ledger: Ledger, tenios: FaultServer, monkeypatch: Any
) -> None:
    recording, go_on = threading.Event(), threading.Event()
    original = database_of(ledger).record

    def slow_record(*args: Any, **kwargs: Any) -> bool:
        recording.set()
        go_on.wait()
        return bool(original(*args, **kwargs))

    monkeypatch.setattr(database_of(ledger), "record", slow_record)
    asyncio.run(cancel_start(ledger, tenios.url, recording, go_on))
    wait_for_state(ledger, "placed")


@pytest.mark.parametrize("left", [False, True])
def test_interrupted_sync_call_is_recorded(
    *, left: bool, ledger: Ledger, tenios: FaultServer, monkeypatch: Any
) -> None:
    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    target = (
        "tenios_ext._responses.callback_id"
        if left
        else "tenios_ext._connections.Connections.prepare"
    )
    monkeypatch.setattr(target, interrupt)
    with pytest.raises(KeyboardInterrupt):
        start("sync", ledger, tenios.url)
    wait_for_state(ledger, "unknown" if left else "not_placed")
    assert tenios.received == ({INIT: 1} if left else {})


def test_result_is_recorded_when_the_database_comes_back(
    sqlite_ledger: Ledger, tenios: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = database_of(sqlite_ledger)
    original = database.record
    failures = iter([True, True])

    def record(*args: Any, **values: Any) -> bool:
        if next(failures, False):
            raise LedgerUnavailableError("The database is away.", reason="away")
        return bool(original(*args, **values))

    monkeypatch.setattr(database, "record", record)
    monkeypatch.setattr("tenios_ext.ledger._claim._RETRIES", (0, 0))
    assert start("sync", sqlite_ledger, tenios.url).id == 10
    wait_for_recording()
    entry = sqlite_ledger.get(KEY)
    assert entry is not None
    assert entry.state == "placed"


def test_ledger_that_does_not_respond_is_waited_for_only_so_long(
    mode: str, sqlite_ledger: Ledger, tenios: FaultServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later claim is undone, with what on_claim has written."""
    database = database_of(sqlite_ledger)
    original = database.claim
    go_on = threading.Event()

    def claim(*args: Any, **values: Any) -> Any:
        go_on.wait()
        return original(*args, **values)

    monkeypatch.setattr(database, "claim", claim)
    functions: list[Any] = [in_thread, async_in_thread]
    for function in functions:
        monkeypatch.setitem(function.__kwdefaults__, "seconds", 0.05)
    with pytest.raises(NotSentError, match=r"did not respond within 0\.05 seconds"):
        start(mode, sqlite_ledger, tenios.url, on_claim=insert)
    go_on.set()
    wait_for_recording()
    assert sqlite_ledger.get(KEY) is None
    assert orders(sqlite_ledger) == 0
    assert not tenios.received


def test_claim_that_failed_is_not_logged_as_resolved(
    sqlite_ledger: Ledger, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def claim(*_: Any, **__: Any) -> None:
        raise LedgerUnavailableError("The database is away.", reason="away")

    monkeypatch.setattr(database_of(sqlite_ledger), "claim", claim)
    with pytest.raises(NotSentError, match="away"):
        start("sync", sqlite_ledger, "http://127.0.0.1:1")
    wait_for_recording()
    assert "late result" not in caplog.text


def insert(connection: sa.Connection) -> None:
    """Write an order, as a caller's on_claim does."""
    connection.execute(sa.text("CREATE TABLE IF NOT EXISTS orders (name TEXT)"))
    connection.execute(sa.text("INSERT INTO orders VALUES ('order-4711')"))


def orders(ledger: Ledger) -> int:
    """Return the number of orders that were committed."""
    execute(ledger, "CREATE TABLE IF NOT EXISTS orders (name TEXT)")
    return len(execute(ledger, "SELECT * FROM orders"))


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_work_in_the_transaction_of_a_claim_is_committed_with_it_or_not_at_all(
    mode: str, sqlite_ledger: Ledger, tenios: FaultServer
) -> None:
    def insert_and_fail(connection: sa.Connection) -> None:
        insert(connection)
        raise TimeoutError("of the work")

    with pytest.raises(TimeoutError, match="of the work"):
        start(mode, sqlite_ledger, tenios.url, on_claim=insert_and_fail)
    assert sqlite_ledger.get(KEY) is None
    assert orders(sqlite_ledger) == 0
    start(mode, sqlite_ledger, tenios.url, on_claim=insert)
    assert start(mode, sqlite_ledger, tenios.url, on_claim=insert).id == 10, "as before"
    with pytest.raises(InvalidArgumentError):
        start(mode, sqlite_ledger, tenios.url, dtmf_key="1", on_claim=insert)
    assert orders(sqlite_ledger) == 1


async def insert_async(connection: sa.Connection) -> None:
    insert(connection)


def insert_as_generator(connection: sa.Connection) -> Iterator[None]:
    insert(connection)
    yield


@pytest.mark.filterwarnings("ignore:coroutine 'insert_async' was never awaited")
@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"on_claim": insert_async}, "on_claim must not be async or a generator"),
        ({"on_claim": insert_as_generator}, "on_claim must not be async or a generator"),
        ({"on_claim": "insert"}, "on_claim must be a function, got str"),
        ({"on_claim": insert, "key": None}, "key must be a str, got NoneType"),
    ],
)
def test_on_claim_that_would_not_run_is_refused(
    arguments: dict[str, Any], problem: str, sqlite_ledger: Ledger, tenios: FaultServer
) -> None:
    with pytest.raises(InvalidArgumentError, match=problem):
        start("sync", sqlite_ledger, tenios.url, **arguments)
    assert not sqlite_ledger.entries()
    assert not tenios.received


def test_key_that_dials_again_has_nothing_of_the_earlier_callback(
    sqlite_ledger: Ledger, tenios: FaultServer
) -> None:
    start("sync", sqlite_ledger, tenios.url)
    sqlite_ledger.record_status(10, CallbackStatus.CALL_B_FAILED)
    execute(sqlite_ledger, "UPDATE tenios_ledger SET state = 'not_placed'")
    tenios.fault = REFUSED
    with pytest.raises(RejectedError):
        start("sync", sqlite_ledger, tenios.url)
    entry = sqlite_ledger.get(KEY)
    assert entry is not None
    assert (entry.handle, entry.status, entry.attempts) == (None, None, 2)

"""A database that fails, and a call that is interrupted."""

from __future__ import annotations

import asyncio
import logging
import threading
from typing import TYPE_CHECKING, Any

import pytest
from support.clients import CONFIG_ID, NUMBER
from support.faults import INIT, Connection, FaultServer
from support.ledgers import KEY, PLACED, damage, database_of, expire, repair, start, wait_for_state

from tenios_ext import AsyncTenios, NotSentError, OutcomeUnknownError

if TYPE_CHECKING:
    from tenios_ext.ledger import Ledger


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

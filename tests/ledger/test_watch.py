"""Following a callback with a key records its status changes in the ledger."""

from __future__ import annotations

import asyncio
import itertools
import logging
from typing import TYPE_CHECKING, Any

import httpx
from support.clients import CONFIG_ID, NUMBER, Script
from support.faults import FaultServer
from support.ledgers import Placing, damage

from tenios_ext import AsyncTenios, CallbackStatus, Tenios
from tenios_simulator import ACCESS_KEY, CALLBACK_CONFIG_ID, Simulator

if TYPE_CHECKING:
    import pytest

    from tenios_ext.ledger import Ledger

STATUSES = ["REQUESTED", "CALLING_A", "CALLING_B", "CONNECTED", "DISCONNECTED"]


def recorded(ledger: Ledger, key: str = "key") -> str | None:
    entry = ledger.get(key)
    assert entry is not None
    return entry.status and str(entry.status)


def test_watch_records_each_change(ledger: Ledger) -> None:
    script = Script(STATUSES)
    with script.client(ledger=ledger) as tenios:
        callback = tenios.start_callback(NUMBER, key="key")
        assert recorded(ledger) is None
        assert [(str(status), recorded(ledger)) for status in callback.watch()] == [
            (each, each) for each in STATUSES
        ]


def test_async_watch_records_each_change(ledger: Ledger) -> None:
    async def run() -> list[Any]:
        async with Script(STATUSES).async_client(ledger=ledger) as tenios:
            callback = await tenios.start_callback(NUMBER, key="key")
            return [(str(status), recorded(ledger)) async for status in callback.watch()]

    assert asyncio.run(run()) == [(each, each) for each in STATUSES]


def test_watch_many_records_each_change(ledger: Ledger) -> None:
    async def run() -> None:
        async with AsyncTenios(
            ACCESS_KEY,
            CALLBACK_CONFIG_ID,
            transport=simulator.transport,
            clock=simulator.clock,
            ledger=ledger,
        ) as tenios:
            callbacks = [
                await tenios.start_callback(NUMBER, key=f"key-{number}") for number in range(3)
            ]
            async for update in tenios.watch_many([callback.handle for callback in callbacks]):
                key = next(e.key for e in ledger.entries() if e.handle == update.outcome.handle)
                assert recorded(ledger, key) == update.status

    simulator = Simulator()
    asyncio.run(run())
    assert {recorded(ledger, f"key-{number}") for number in range(3)} == {"DISCONNECTED"}


def test_another_process_goes_on_by_key_after_a_crash(ledger: Ledger) -> None:
    script = Script(STATUSES)
    with script.client(ledger=ledger) as tenios:
        next(iter(tenios.start_callback(NUMBER, key="key").watch()))
    with script.client(ledger=ledger) as tenios:
        entry = ledger.get("key")
        assert entry is not None
        assert entry.handle is not None
        assert tenios.callback(entry.handle).wait().connected
    assert recorded(ledger) == "DISCONNECTED"


def test_slow_watcher_does_not_take_a_status_back(sqlite_ledger: Ledger) -> None:
    """Two processes may follow the same callback."""
    orders = list(itertools.permutations(STATUSES, 3))
    with FaultServer(Placing()) as server:
        settings: dict[str, Any] = {"base_url": server.url, "ledger": sqlite_ledger}
        with Tenios("KEY", CONFIG_ID, **settings) as tenios:
            ids = {order: tenios.start_callback(NUMBER, key="-".join(order)).id for order in orders}
    for order in orders:
        for status in order:
            sqlite_ledger.record_status(ids[order], CallbackStatus(status))
    newest = {order: recorded(sqlite_ledger, "-".join(order)) for order in orders}
    assert newest == {order: max(order, key=STATUSES.index) for order in orders}


def test_unknown_status_is_recorded_and_a_final_one_is_kept(ledger: Ledger) -> None:
    with Script(["CALLING_A", "ON_HOLD", "CONNECTED", "DISCONNECTED"]).client(
        ledger=ledger
    ) as tenios:
        callback = tenios.start_callback(NUMBER, key="key")
        assert [recorded(ledger) for _ in callback.watch()] == [
            "CALLING_A",
            "ON_HOLD",
            "CONNECTED",
            "DISCONNECTED",
        ]
    ledger.record_status(10, CallbackStatus("ON_HOLD"))
    assert recorded(ledger) == "DISCONNECTED"


def test_watching_goes_on_if_the_database_fails(
    ledger: Ledger, caplog: pytest.LogCaptureFixture
) -> None:
    with Script(["CALLING_A", "CALL_A_FAILED"]).client(ledger=ledger) as tenios:
        callback = tenios.start_callback(NUMBER, key="key")
        damage(ledger)
        assert callback.wait().failed_party == "agent"
    warnings = [
        record.getMessage() for record in caplog.records if record.levelno == logging.WARNING
    ]
    assert len(warnings) == 2
    assert all(
        each.startswith("the status of callback 10 could not be recorded") for each in warnings
    )


def test_callback_without_a_key_is_watched_as_before(ledger: Ledger) -> None:
    with Script(STATUSES).client(ledger=ledger) as tenios:
        assert tenios.start_callback(NUMBER).wait().connected
    assert ledger.entries() == []


def test_client_is_given_its_ledger_back_open(ledger: Ledger) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"id": 10}))
    for _ in range(2):
        with Tenios("KEY", CONFIG_ID, transport=transport, ledger=ledger) as tenios:
            assert tenios.start_callback(NUMBER, key="key").id == 10

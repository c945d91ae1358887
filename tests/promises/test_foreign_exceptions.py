"""
The program's exceptions, such as time limits of Celery or rq, are raised unchanged wherever they
occur, after the state of the call has been recorded.
"""

from __future__ import annotations

import asyncio
import ctypes
import signal
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from support.clients import CONFIG_ID, NUMBER, wait_for_recording
from support.faults import Connection, FaultServer, drop, respond

from tenios_ext import AsyncTenios, OutcomeUnknownError, RejectedError, Tenios
from tenios_ext.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class SoftTimeLimitExceeded(Exception):  # noqa: N818 - Celery's name
    """Celery and rq raise it in a signal handler."""


class OwnTimeoutError(TimeoutError):
    """The same, of a type that HTTP libraries catch."""


LIMITS = [SoftTimeLimitExceeded, OwnTimeoutError, TimeoutError, ValueError]


@pytest.fixture
def alarm() -> Iterator[Any]:
    """A function that raises an exception in the main thread now, from a signal handler."""
    raised: list[type[Exception]] = []

    def handler(*_: object) -> None:
        raise raised.pop()("of another call")

    def raise_in_main_thread(kind: type[Exception]) -> None:
        raised.append(kind)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handler)
    yield raise_in_main_thread
    signal.signal(signal.SIGUSR1, before)


def striking(strike: Any, kind: type[Exception]) -> Any:
    """Return a fault that raises the exception while the client waits for a response."""

    def fault(connection: Connection) -> None:
        strike(kind)
        connection.hold()

    return fault


@pytest.mark.parametrize("kind", LIMITS)
def test_limit_during_a_status_request_ends_the_wait(alarm: Any, kind: type[Exception]) -> None:
    with (
        FaultServer(striking(alarm, kind)) as server,
        Tenios("KEY", CONFIG_ID, base_url=server.url) as tenios,
        pytest.raises(kind) as raised,
    ):
        tenios.callback(10).wait()
    assert raised.type is kind


@pytest.mark.parametrize("kind", LIMITS)
def test_limit_during_an_init_request_is_raised_with_a_note_and_recorded(
    alarm: Any, kind: type[Exception], tmp_path: Path
) -> None:
    with (
        FaultServer(striking(alarm, kind)) as server,
        Ledger(f"sqlite:///{tmp_path}/callbacks.db") as ledger,
        Tenios("KEY", CONFIG_ID, base_url=server.url, ledger=ledger) as tenios,
    ):
        with pytest.raises(kind) as raised:
            tenios.start_callback(NUMBER, key="key")
        entry = ledger.get("key")
    assert raised.type is kind
    assert any("Phones may be ringing" in note for note in raised.value.__notes__)
    assert entry is not None
    assert entry.state == "unknown"


def test_not_placed_error_of_another_call_does_not_end_a_call_that_was_sent(alarm: Any) -> None:
    """As of a signal handler that makes a call of its own."""
    with (
        FaultServer(striking(alarm, RejectedError)) as server,
        Tenios("KEY", CONFIG_ID, base_url=server.url) as tenios,
        pytest.raises(OutcomeUnknownError, match="of another call"),
    ):
        tenios.start_callback(NUMBER)


def test_limit_that_is_raised_in_another_thread_ends_the_wait() -> None:
    """As by rq's timer on systems without SIGALRM."""
    found: list[BaseException] = []

    def strike(kind: type[Exception]) -> None:
        ident = ctypes.c_ulong(thread.ident or 0)
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ident, ctypes.py_object(kind))

    def fault(connection: Connection) -> None:
        strike(SoftTimeLimitExceeded)  # raised when the thread runs Python code again
        respond("200 OK", {"status": "CALLING_A"})(connection)

    def wait() -> None:
        with Tenios("KEY", CONFIG_ID, base_url=server.url) as tenios:
            try:
                tenios.callback(10).wait()
            except SoftTimeLimitExceeded as error:
                found.append(error)

    with FaultServer(fault) as server:
        thread = threading.Thread(target=wait)
        thread.start()
        thread.join()
    assert len(found) == 1


def test_exception_of_the_program_ends_watch_many() -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise SoftTimeLimitExceeded

    async def watch() -> None:
        transport = httpx.MockTransport(fail)
        async with AsyncTenios("KEY", CONFIG_ID, transport=transport) as tenios:
            async for _ in tenios.watch_many([10, 11]):
                pass

    with pytest.raises(SoftTimeLimitExceeded):
        asyncio.run(watch())


def test_exception_of_a_hook_is_raised_with_a_note_and_recorded(tmp_path: Path) -> None:
    def hook(_: object) -> None:
        raise SoftTimeLimitExceeded

    with (
        FaultServer(respond("200 OK", {"id": 10})) as server,
        Ledger(f"sqlite:///{tmp_path}/callbacks.db") as ledger,
        Tenios(
            "KEY",
            CONFIG_ID,
            base_url=server.url,
            ledger=ledger,
            event_hooks={"response": [hook]},
        ) as tenios,
    ):
        with pytest.raises(SoftTimeLimitExceeded) as raised:
            tenios.start_callback(NUMBER, key="key")
        wait_for_recording()
        entry = ledger.get("key")
    assert any("Phones may be ringing" in note for note in raised.value.__notes__)
    assert entry is not None
    assert entry.state == "unknown"


def test_exception_that_the_caller_is_handling_is_not_taken_for_one_of_the_request() -> None:
    with FaultServer(drop) as server, Tenios("KEY", CONFIG_ID, base_url=server.url) as tenios:
        try:
            raise SoftTimeLimitExceeded  # noqa: TRY301 - what a program does in its handler
        except SoftTimeLimitExceeded:
            with pytest.raises(OutcomeUnknownError):
                tenios.start_callback(NUMBER)

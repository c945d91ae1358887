"""
Whatever interrupts start_callback, at any line: after a byte has been sent, the ledger never
records "not placed", and the interruption has a note.
"""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import threading
from concurrent.futures import ThreadPoolExecutor, _base
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from traceback import walk_stack
from typing import TYPE_CHECKING, Any

import httpcore
import pytest
from support.clients import CONFIG_ID, NUMBER, wait_for_recording
from support.faults import FaultServer, drop, respond, respond_error
from support.ledgers import ledger_in_memory

import tenios_ext
from tenios_ext import AsyncTenios, OutcomeUnknownError, RejectedError, Tenios

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from types import FrameType

    from tenios_ext.ledger import Ledger

INIT = "/callback/init"
NOTE = "Phones may be ringing"
OURS = str(Path(tenios_ext.__file__).parent)
RESPONSES = {
    "started": respond("200 OK", {"id": 10}),
    "refused": respond_error("400 Bad Request", "BAD_CREDENTIALS"),
    "lost": drop,
}


@pytest.fixture(params=RESPONSES)
def server(request: pytest.FixtureRequest) -> Iterator[FaultServer]:
    with FaultServer(RESPONSES[request.param]) as server:
        yield server


@pytest.fixture
def ledger() -> Iterator[Ledger]:
    with ledger_in_memory() as ledger:
        yield ledger


class Interrupter:
    """
    Raises KeyboardInterrupt in the main thread, once in each run: when a function in a file whose
    path begins with one of *files* is called from a place where no run was interrupted before.
    """

    def __init__(self, *files: str) -> None:
        self.where = ""
        self._files = files
        self._seen: set[tuple[object, ...]] = set()

    @contextmanager
    def running(self) -> Iterator[None]:
        self.where = ""
        sys.setprofile(self._profile)
        try:
            yield
        finally:
            sys.setprofile(None)

    def _profile(self, frame: FrameType, event: str, _: object) -> None:
        if self.where or event != "call" or not frame.f_code.co_filename.startswith(self._files):
            return
        stack = tuple((each.f_code, line) for each, line in walk_stack(frame))
        if stack not in self._seen:
            self._seen.add(stack)
            self.where = f"{Path(frame.f_code.co_filename).name}: {frame.f_code.co_qualname}"
            raise KeyboardInterrupt


def check(server: FaultServer, ledger: Ledger, key: str, error: BaseException | None) -> None:
    """
    Check the ledger and the error after an interruption, and that a call with the same key sends no
    second request.
    """
    wait_for_recording()
    entry = ledger.get(key)
    may_ring = server.received[INIT] == 1 and server.fault is not RESPONSES["refused"]
    if may_ring:
        assert entry is not None
        assert entry.state != "not_placed"
        if error is not None:
            assert any(NOTE in note for note in getattr(error, "__notes__", ()))
    with (
        Tenios("KEY", CONFIG_ID, base_url=server.url, ledger=ledger) as tenios,
        suppress(OutcomeUnknownError, RejectedError),
    ):
        tenios.start_callback(NUMBER, key=key)
    wait_for_recording()
    assert not may_ring or server.received[INIT] == 1
    server.received.clear()


@pytest.fixture
def _collected() -> Iterator[None]:
    """Collect sockets here: an interruption between creating and storing one leaves it open."""
    yield
    gc.collect()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("_collected")
def test_interruption_at_each_function_never_leads_to_a_second_call(
    server: FaultServer, ledger: Ledger
) -> None:
    with Tenios("KEY", CONFIG_ID, base_url=server.url, ledger=ledger) as tenios:
        interrupter = Interrupter(OURS)
        for number in count(1):
            key = f"order-{number}"
            interruption = None
            try:
                with interrupter.running():
                    tenios.start_callback(NUMBER, key=key)
            except KeyboardInterrupt as error:
                interruption = error
            except (OutcomeUnknownError, RejectedError):
                pass
            if not interrupter.where:
                break
            assert interruption is not None, interrupter.where
            check(server, ledger, key, interruption)
    assert number > 50


LOCKS = [str(module.__file__) for module in (httpcore._synchronization, threading, _base)]


@pytest.fixture
def _alarm() -> Iterator[None]:
    """Fail a test that waits forever, because a thread can wait for a lock without limit."""

    def fail(*_: object) -> None:
        pytest.fail("a lock was not released")

    before = signal.signal(signal.SIGALRM, fail)
    signal.alarm(30)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.skipif(not hasattr(signal, "alarm"), reason="this system has no alarm")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.usefixtures("_alarm", "_collected")
@pytest.mark.parametrize("path", ["init", "status"])
def test_interruption_at_a_lock_leaves_no_lock_held(path: str, ledger: Ledger) -> None:
    """A signal handler can raise in the ``__exit__`` of a lock that is written in Python."""
    response = respond("200 OK", {"id": 10, "status": "A"}, "Connection: keep-alive")
    with (
        FaultServer(response, keep_open=True) as server,
        Tenios("KEY", CONFIG_ID, base_url=server.url, ledger=ledger) as tenios,
    ):
        started = tenios.start_callback(NUMBER, key="started")
        interrupter = Interrupter(*LOCKS)
        for number in count(1):
            with suppress(KeyboardInterrupt), interrupter.running():
                if path == "init":
                    tenios.start_callback(NUMBER, key=f"locks-{number}")
                else:
                    started.status()
            started.status()
            if not interrupter.where:
                break
        wait_for_recording()
    assert number > 10


class Steps:
    """
    Awaits a coroutine and cancels the task at its n-th step: ``before`` the loop waits, ``after``
    an event, or from ``then`` on at each step.
    """

    def __init__(self, coroutine: Any, number: int, when: str) -> None:
        self._coroutine = coroutine
        self._number = number
        self._when = when
        self.count = 0

    def __await__(self) -> Generator[Any, Any, Any]:
        task = asyncio.current_task()
        assert task is not None
        while True:
            try:
                waited_for = self._coroutine.send(None)
                while True:
                    self.count += 1
                    is_now = self.count == self._number
                    if self._when == "before" and is_now:
                        task.cancel()
                    if self._when == "from then on" and self.count >= self._number:
                        task.cancel()
                    try:
                        yield waited_for
                    except BaseException as error:  # noqa: BLE001 - what was waited for has failed
                        waited_for = self._coroutine.throw(error)
                        continue
                    if self._when == "after" and is_now:
                        task.cancel()
                        waited_for = self._coroutine.throw(asyncio.CancelledError())
                        continue
                    break
            except StopIteration as end:
                return end.value


async def keep_error(steps: Steps, errors: list[BaseException]) -> None:
    """Keep the error: asyncio would raise another CancelledError without the notes."""
    try:
        await steps
    except BaseException as error:  # noqa: BLE001 - also a cancellation
        errors.append(error)


@pytest.mark.parametrize("when", ["before", "after", "from then on"])
@pytest.mark.parametrize("aiohttp", [False, True])
def test_cancellation_at_each_step_never_leads_to_a_second_call(
    server: FaultServer, ledger: Ledger, *, aiohttp: bool, when: str
) -> None:
    """Even while all threads of the application are busy."""
    free = threading.Event()

    async def call(key: str, number: int) -> tuple[int, BaseException | None]:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(ThreadPoolExecutor(1))
        busy = loop.run_in_executor(None, free.wait)
        tenios = AsyncTenios("KEY", CONFIG_ID, base_url=server.url, ledger=ledger, aiohttp=aiohttp)
        steps = Steps(tenios.start_callback(NUMBER, key=key), number, when)
        errors: list[BaseException] = []
        await asyncio.wait([asyncio.create_task(keep_error(steps, errors))])
        free.set()
        await busy
        await tenios.aclose()
        return steps.count, errors[0] if errors else None

    for number in count(1):
        free.clear()
        key = f"order-{number}"
        steps, error = asyncio.run(call(key, number))
        if steps < number:
            break
        # None if the step failed instead, for example because the connection was lost.
        check(server, ledger, key, error if isinstance(error, asyncio.CancelledError) else None)
    assert number > 4

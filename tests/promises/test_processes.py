"""A client in several processes and event loops."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import os
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import TYPE_CHECKING

import httpx
import pytest
from support.clients import CONFIG_ID, NUMBER, new_key
from support.faults import INIT, STATUS, FaultServer, respond

from tenios_ext import AsyncTenios, NotSentError, Tenios
from tenios_ext.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

STARTED = respond("200 OK", {"id": 10, "status": "REQUESTED"}, "Connection: keep-alive")
POLLS = 30


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENIOS_ACCESS_KEY", "KEY")
    monkeypatch.setenv("TENIOS_CALLBACK_CONFIG_ID", CONFIG_ID)


class Echo(BaseHTTPRequestHandler):
    """Returns a status that contains the callback id, over kept-alive connections."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # It would delay each response by 40 ms.

    def do_POST(self) -> None:
        document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        content = json.dumps({"status": f"OF_{document['id']}"}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def echo() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    thread = Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def wrong_statuses(tenios: Tenios, callback_id: int) -> int:
    return sum(
        str(tenios.callback(callback_id).status()) != f"OF_{callback_id}" for _ in range(POLLS)
    )


async def wrong_statuses_async(tenios: AsyncTenios, callback_id: int) -> int:
    return sum(
        [
            str(await tenios.callback(callback_id).status()) != f"OF_{callback_id}"
            for _ in range(POLLS)
        ]
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
@pytest.mark.parametrize("mode", ["sync", "async", "aiohttp"])
def test_forked_process_gets_its_own_statuses(mode: str, echo: str) -> None:
    """As with gunicorn --preload: both processes use a client that polled before the fork."""
    if mode == "sync":
        with Tenios("KEY", CONFIG_ID, base_url=echo) as tenios:
            tenios.callback(1).status()
            child = fork(lambda: wrong_statuses(tenios, 2))
            assert wrong_statuses(tenios, 3) == 0
            assert wait_for(child) == 0
        return

    async def run() -> None:
        async with AsyncTenios(
            "KEY", CONFIG_ID, base_url=echo, aiohttp=mode == "aiohttp"
        ) as tenios:
            await tenios.callback(1).status()
            child = fork(lambda: asyncio.run(wrong_statuses_async(tenios, 2)))
            assert await wrong_statuses_async(tenios, 3) == 0
            assert await asyncio.to_thread(wait_for, child) == 0

    asyncio.run(run())


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_ledger_works_in_a_process_forked_during_a_transaction(tmp_path: Path) -> None:
    """Also in one that has forked another."""
    is_open, is_forking = Event(), Event()

    def hold(_: object) -> None:
        is_open.set()
        is_forking.wait()

    with (
        FaultServer(STARTED) as server,
        Ledger(f"sqlite:///{tmp_path}/callbacks.db") as ledger,
        Tenios(base_url=server.url, ledger=ledger) as tenios,
        ThreadPoolExecutor() as pool,
    ):

        def call(*, forks: bool) -> int:
            result = wait_for(fork(lambda: call(forks=False))) if forks else 0
            return result or tenios.start_callback(NUMBER, key=f"{forks}").id - 10

        os.register_at_fork(before=is_forking.set)  # called before the ledger's hook
        held = pool.submit(tenios.start_callback, NUMBER, key="held", on_claim=hold)
        is_open.wait()
        assert wait_for(fork(lambda: call(forks=True))) == 0
        assert held.result().id == 10
        assert server.received == {INIT: 3}


def wait_for(child: int) -> int:
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def fork(work: object) -> int:
    """Start a process whose exit code is the result of *work*."""
    assert callable(work)
    with warnings.catch_warnings():
        warnings.simplefilter(
            "ignore", DeprecationWarning
        )  # Python 3.12 warns of threads, which this test uses.
        child = os.fork()
    if child:
        return child
    try:
        asyncio.events._set_running_loop(None)  # as os.fork's hook does since Python 3.12
        os._exit(min(int(work()), 100))
    finally:
        os._exit(255)


@pytest.mark.parametrize("aiohttp", [False, True])
def test_client_in_several_event_loops_leaves_nothing_open(
    *, aiohttp: bool, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """
    A loop's connections are closed with it, without "Unclosed client session", a ResourceWarning or
    a memory leak.
    """
    unraisable: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", unraisable.append)
    caplog.set_level(logging.DEBUG, logger="asyncio")

    async def run(tenios: AsyncTenios) -> None:
        await tenios.start_callback(NUMBER)
        await tenios.callback(10).status()

    with (
        FaultServer(STARTED, keep_open=True) as server,
        warnings.catch_warnings(record=True) as warned,
    ):
        warnings.simplefilter("always")
        before = sum(issubclass(type(each), asyncio.AbstractEventLoop) for each in gc.get_objects())
        tenios = AsyncTenios("KEY", CONFIG_ID, base_url=server.url, aiohttp=aiohttp)
        for _ in range(5):
            asyncio.run(run(tenios))
        gc.collect()
        loops = [
            each for each in gc.get_objects() if issubclass(type(each), asyncio.AbstractEventLoop)
        ]
        assert len(loops) <= before + 1, "at most the last one is kept"
        asyncio.run(tenios.aclose())
        del tenios
        gc.collect()
    assert server.received == {INIT: 5, STATUS: 5}
    assert not [str(each.message) for each in warned if each.category is ResourceWarning]
    assert not [record for record in caplog.records if "nclosed" in record.getMessage()]
    assert not unraisable


@pytest.mark.usefixtures("with_and_without_key")
@pytest.mark.parametrize("mode", ["async", "aiohttp"])
def test_client_can_be_used_in_a_second_event_loop(mode: str) -> None:
    """A connection of the first loop would send the request and then fail."""
    with FaultServer(STARTED, keep_open=True) as server:
        tenios = AsyncTenios(base_url=server.url, aiohttp=mode == "aiohttp")

        async def run() -> None:
            await tenios.start_callback(NUMBER, key=new_key())
            await tenios.callback(10).status()

        with warnings.catch_warnings():
            # aiohttp and asyncio warn about the open connection of the first loop.
            warnings.simplefilter("ignore", ResourceWarning)
            asyncio.run(run())
            asyncio.run(run())
            asyncio.run(tenios.aclose())
            gc.collect()
        assert server.received == {INIT: 2, STATUS: 2}


@pytest.mark.usefixtures("with_and_without_key")
def test_transport_of_the_caller_is_refused_in_a_second_event_loop() -> None:
    sent: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={"id": 10})

    tenios = AsyncTenios(transport=httpx.MockTransport(handle))

    async def run() -> None:
        await tenios.start_callback(NUMBER, key=new_key())

    asyncio.run(run())
    with pytest.raises(NotSentError, match="belongs to another event loop"):
        asyncio.run(run())
    assert len(sent) == 1
    asyncio.run(tenios.aclose())


def test_threads_share_a_client() -> None:
    """The server closes each connection despite keep-alive, so reusing one would fail."""
    with (
        FaultServer(STARTED) as server,
        Tenios(base_url=server.url) as tenios,
        ThreadPoolExecutor(16) as pool,
    ):
        started = list(
            pool.map(lambda _: tenios.start_callback(NUMBER, key=new_key()).id, range(64))
        )
        assert started == [10] * 64
        assert server.received == {INIT: 64}


@pytest.mark.parametrize("mode", ["async", "aiohttp"])
def test_tasks_share_a_client(mode: str) -> None:
    async def run(url: str) -> list[int]:
        async with AsyncTenios(base_url=url, aiohttp=mode == "aiohttp") as tenios:
            callbacks = await asyncio.gather(
                *(tenios.start_callback(NUMBER, key=new_key()) for _ in range(64))
            )
            return [callback.id for callback in callbacks]

    with FaultServer(STARTED) as server:
        assert asyncio.run(run(server.url)) == [10] * 64
        assert server.received == {INIT: 64}

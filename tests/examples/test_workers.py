"""Two worker processes of each example with one ledger."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import httpx
import pytest
from support.examples import EXAMPLES, hidden_fields
from support.faults import Fault, FaultServer, drop, respond

if TYPE_CHECKING:
    from collections.abc import Iterator

    from support.faults import Connection


@contextmanager
def worker(example: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
    """Run an example as a program."""
    command = [sys.executable, str(EXAMPLES / example / "app.py")]
    environment = {**os.environ, "PORT": "0", **variables}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.terminate()


def address_of(process: subprocess.Popen[str]) -> str:
    """Return the address of an example once it listens."""
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(r"running on (http://127\.0\.0\.1:\d+)", line, re.IGNORECASE):
            return found[1]
    pytest.fail("The example exited.")


def held(fault: Fault) -> tuple[Fault, threading.Event, threading.Event]:
    """Return a fault that waits, an event that it sets, and an event that ends the wait."""
    arrived, go_on = threading.Event(), threading.Event()

    def hold(connection: Connection) -> None:
        arrived.set()
        assert go_on.wait(60)
        fault(connection)

    return hold, arrived, go_on


@pytest.mark.parametrize("example", ["fastapi", "flask", "django"])
def test_two_workers_start_one_callback_for_a_form(example: str, url: str) -> None:
    """Both receive the form at the same time, and again later."""

    def send(address: str, page: httpx.Response) -> httpx.Response:
        data = {**hidden_fields(page.text), "number": "030 23125 100"}
        if example == "fastapi":
            return httpx.post(f"{address}/callbacks", json=data, timeout=60)
        cookies = page.cookies  # such as Django's for its own token
        return httpx.post(f"{address}/callback", data=data, cookies=cookies, timeout=60)

    with ExitStack() as stack:
        server = stack.enter_context(FaultServer(drop))
        settings = {
            "TENIOS_ACCESS_KEY": "KEY",
            "TENIOS_CALLBACK_CONFIG_ID": "CONFIG",
            "TENIOS_BASE_URL": server.url,
            "TENIOS_LEDGER": url,
        }
        processes = [stack.enter_context(worker(example, **settings)) for _ in range(2)]
        workers = [address_of(process) for process in processes]
        pool = stack.enter_context(ThreadPoolExecutor())
        for fault, status in ((respond("200 OK", {"id": 10}), 201), (drop, 502)):
            server.fault, arrived, go_on = held(fault)
            server.received.clear()
            page = httpx.get(workers[0])
            first = pool.submit(send, workers[0], page)
            assert arrived.wait(60)
            second = pool.submit(send, workers[1], page)
            go_on.set()
            responses = [first.result(), second.result(), *(send(each, page) for each in workers)]
            assert [response.status_code for response in responses] == [status] * 4
            assert server.received == {"/callback/init": 1}

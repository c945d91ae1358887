"""Requests and connections when the server stops."""

from __future__ import annotations

import json
import signal
import socket
import threading
from typing import TYPE_CHECKING, cast

import httpx
import pytest
from support.clients import NUMBER
from support.raw_http import INIT, raw_request, socket_address, wait_until
from support.serving import serving

from tenios_ext import Tenios
from tenios_simulator import ACCESS_KEY, CALLBACK_CONFIG_ID, Simulator, faults
from tenios_simulator.server._http import PREFIX

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable

    from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_event_streams_and_lets_pending_responses_finish(
    simulate: Callable[..., tuple[subprocess.Popen[str], str]], number: signal.Signals
) -> None:
    process, url = simulate()
    with Tenios(ACCESS_KEY, CALLBACK_CONFIG_ID, base_url=url) as tenios:
        httpx.post(f"{url}{PREFIX}/faults", json={"kind": "delay", "seconds": 0.5, "on": "init"})
        started: list[int] = []
        thread = threading.Thread(target=lambda: started.append(tenios.start_callback(NUMBER).id))
        with httpx.stream("GET", f"{url}{PREFIX}/events") as stream:
            lines = stream.iter_lines()
            while '"operation": "init"' not in next(lines):
                if not thread.ident:
                    thread.start()
            process.send_signal(number)
            thread.join()
            assert list(lines)[-1:] in ([], [""])
    assert len(started) == 1
    _, errors = process.communicate()
    assert process.returncode in {0, -number}
    assert "Traceback" not in errors


def test_shutdown_closes_connection_of_slow_response(caplog: pytest.LogCaptureFixture) -> None:
    simulator = Simulator(real_time=True)
    with socket.socket() as sock:
        with serving(simulator) as server:
            server.config.timeout_graceful_shutdown = 0
            simulator.inject(faults.Delay(3600), on="init")
            sock.connect(socket_address(server))
            sock.sendall(raw_request("/callback/init", INIT))
            wait_until(lambda: simulator.requests)
        assert sock.recv(1000) == b""
    assert_one_task_was_cancelled(caplog)


@pytest.mark.parametrize("path", ["/callback/init", f"{PREFIX}/faults"])
def test_shutdown_closes_connection_of_incomplete_request(
    caplog: pytest.LogCaptureFixture, path: str
) -> None:
    with socket.socket() as sock:
        with serving(Simulator()) as server:
            server.config.timeout_graceful_shutdown = 0
            sock.connect(socket_address(server))
            sock.sendall(raw_request(path, INIT, "Content-Length: 5000"))
            wait_until(lambda: server.server_state.tasks)
        assert sock.recv(1000) == b""
    assert_one_task_was_cancelled(caplog)


def test_shutdown_closes_event_stream_that_is_not_read(caplog: pytest.LogCaptureFixture) -> None:
    simulator = Simulator()
    body = json.dumps({**INIT, "agent_announcement": "x" * 5_000}).encode()
    with socket.socket() as sock:
        with serving(simulator) as server:
            server.config.timeout_graceful_shutdown = 0
            sock.settimeout(60)  # so that the test fails if the connection stays open
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            sock.connect(socket_address(server))
            sock.sendall(f"GET {PREFIX}/events HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
            (connection,) = wait_until(lambda: list(server.server_state.connections))
            protocol = cast("HttpToolsProtocol", connection)
            protocol.transport.get_extra_info("socket").setsockopt(
                socket.SOL_SOCKET, socket.SO_SNDBUF, 4096
            )

            def is_blocked() -> bool:
                simulator.handle_request("POST", "/callback/init", body)
                return protocol.flow.write_paused

            wait_until(is_blocked)
        while sock.recv(1 << 20):
            pass
    assert_one_task_was_cancelled(caplog)


def assert_one_task_was_cancelled(caplog: pytest.LogCaptureFixture) -> None:
    (record,) = caplog.records
    assert record.message == "Cancel 1 running task(s), timeout graceful shutdown exceeded"

"""Clients that send or read slowly, endlessly or not at all cannot hold memory or a connection."""

from __future__ import annotations

import asyncio
import json
import socket
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, cast

import pytest
from support.clients import NUMBER
from support.raw_http import INIT, raw_request, socket_address, wait_until
from support.serving import serving

from tenios_simulator import Simulator, faults
from tenios_simulator.server._http import PREFIX
from tenios_simulator.server._protocol import MAX_HEADER_BYTES, TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tenios_simulator import Server
    from tenios_simulator.server._protocol import Protocol

_HEAD = b"POST /callback/init HTTP/1.1\r\nHost: localhost\r\n"
_CHUNKED = _HEAD + b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
_INIT = raw_request("/callback/init", INIT)


@contextmanager
def connected(server: Server) -> Iterator[tuple[socket.socket, Protocol]]:
    """Yield a connection and the server's side of it."""
    before = set(server.server_state.connections)
    with socket.create_connection(socket_address(server), timeout=60) as sock:
        (protocol,) = wait_until(lambda: server.server_state.connections - before)
        yield sock, cast("Protocol", protocol)


def let_time_pass(protocol: Protocol, seconds: float) -> None:
    """Advance the clock of the server's event loop and run the timers that are due."""
    loop = cast("asyncio.BaseEventLoop", protocol.loop)
    time = loop.time

    async def run_timers() -> None:
        loop.time = lambda: time() + seconds  # type: ignore[method-assign] # the loop has no other way to set its clock
        for _ in range(3):
            await asyncio.sleep(0)

    asyncio.run_coroutine_threadsafe(run_timers(), loop).result(timeout=60)


def received(sock: socket.socket) -> bytes:
    """Return everything that the server sends until it closes the connection."""
    response = b""
    with suppress(ConnectionResetError):
        while part := sock.recv(1 << 20):
            response += part
    return response


def receive_response(sock: socket.socket) -> None:
    response = b""
    while b"}" not in response:
        part = sock.recv(1000)
        assert part, "The server has closed the connection."
        response += part


def send_until_closed(sock: socket.socket, filler: bytes) -> None:
    with suppress(OSError):
        for _ in range(100):  # more than the buffers of a connection hold
            sock.sendall(filler * (MAX_HEADER_BYTES // len(filler)))


@pytest.mark.parametrize(
    ("start", "filler"),
    [
        (_HEAD, b"X-Header: value\r\n"),
        (_HEAD + b"X-Header: ", b"x"),
        (_HEAD, b"x"),
        (b"POST /callback/", b"x"),
    ],
    ids=["lines", "one value", "one name", "path"],
)
@pytest.mark.parametrize("is_second_request", [False, True])
def test_headers_without_end_are_refused(
    server: Server, start: bytes, filler: bytes, *, is_second_request: bool
) -> None:
    with connected(server) as (sock, _):
        if is_second_request:
            sock.sendall(_INIT)
            receive_response(sock)
        sock.sendall((start + filler * MAX_HEADER_BYTES)[: MAX_HEADER_BYTES + 1])
        assert received(sock).startswith(b"HTTP/1.1 431 ")


@pytest.mark.parametrize(
    ("start", "filler"),
    [
        (b"", b"\r\n"),
        (_CHUNKED + b"0\r\n", b"X-Trailer: value\r\n"),
        (_CHUNKED + b"1;", b"x"),
    ],
    ids=["blank lines", "trailers", "chunk extension"],
)
def test_other_bytes_without_end_close_connection(
    simulator: Simulator, server: Server, start: bytes, filler: bytes
) -> None:
    with connected(server) as (sock, _):
        sock.sendall(start)
        send_until_closed(sock, filler)
        assert received(sock) == b""
    assert simulator.callbacks == []


def test_headers_without_end_during_response_close_connection() -> None:
    simulator = Simulator(real_time=True)
    simulator.inject(faults.Delay(3600), on="init")
    with serving(simulator) as server, connected(server) as (sock, _):
        server.config.timeout_graceful_shutdown = 0
        sock.sendall(_INIT + _HEAD)
        send_until_closed(sock, b"X-Header: value\r\n")
        assert received(sock) == b""


def test_headers_up_to_the_limit_are_accepted(simulator: Simulator, server: Server) -> None:
    """Neither the body nor earlier requests count."""
    head, end, body = raw_request(
        "/callback/init", {**INIT, "agent_announcement": "x" * 5_000}
    ).partition(b"\r\n\r\n")
    padding = b"\r\nX-Header: " + b"x" * (MAX_HEADER_BYTES - len(head) - len(end) - 12)
    with connected(server) as (sock, _):
        for _ in range(3):
            sock.sendall(head + padding + end + body)
            receive_response(sock)
    assert simulator.dialled == [NUMBER] * 3


@pytest.mark.parametrize(
    "part",
    [b"", b"\r\n", _HEAD, _INIT[:-1], _CHUNKED + b"1\r\n{\r\n"],
    ids=["nothing", "blank line", "headers", "body", "chunk"],
)
@pytest.mark.parametrize("is_second_request", [False, True])
def test_connection_without_whole_request_is_closed(
    server: Server,
    simulator: Simulator,
    part: bytes,
    caplog: pytest.LogCaptureFixture,
    *,
    is_second_request: bool,
) -> None:
    with connected(server) as (sock, protocol):
        if is_second_request:
            sock.sendall(_INIT)
            receive_response(sock)
        sock.sendall(part)
        wait_until(lambda: not part or _received_bytes(protocol))
        let_time_pass(protocol, TIMEOUT + 1)
        assert received(sock) == b""
        wait_until(lambda: not server.server_state.tasks)
    assert simulator.dialled == [NUMBER] * is_second_request
    assert not caplog.records


def _received_bytes(protocol: Protocol) -> bool:
    """Return whether a request, or a blank line before one, has arrived."""
    return protocol._is_receiving or protocol._header_bytes > 0


def test_pending_response_is_sent_after_any_time() -> None:
    """The client has sent its request in time, and a blank line after it."""
    simulator = Simulator(real_time=True)
    simulator.inject(faults.Delay(0.2), on="init")
    with serving(simulator) as server, connected(server) as (sock, protocol):
        sock.sendall(_INIT)
        wait_until(lambda: simulator.requests)
        sock.sendall(b"\r\n")
        wait_until(lambda: _received_bytes(protocol))
        let_time_pass(protocol, TIMEOUT + 1)
        receive_response(sock)


def test_response_that_is_not_read_is_dropped() -> None:
    simulator = Simulator()
    body = json.dumps({**INIT, "agent_announcement": "x" * 5_000}).encode()
    for _ in range(2_400):  # 12 MB, more than the buffers of a connection hold
        simulator.handle_request("POST", "/callback/init", body)
    with serving(simulator) as server, connected(server) as (sock, protocol):
        sock.sendall(f"GET {PREFIX}/callbacks HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        wait_until(lambda: protocol.flow.write_paused)
        let_time_pass(protocol, TIMEOUT + 1)
        assert len(received(sock)) < 2_400 * 5_000


def test_response_that_is_read_slowly_is_sent_completely() -> None:
    simulator = Simulator()
    body = json.dumps({**INIT, "agent_announcement": "x" * 5_000}).encode()
    for _ in range(2_400):
        simulator.handle_request("POST", "/callback/init", body)
    with serving(simulator) as server, connected(server) as (sock, protocol):
        sock.sendall(f"GET {PREFIX}/callbacks HTTP/1.0\r\nHost: localhost\r\n\r\n".encode())
        wait_until(lambda: protocol.flow.write_paused)
        unsent = protocol.transport.get_write_buffer_size()
        part = b""
        while protocol.transport.get_write_buffer_size() == unsent:
            part += sock.recv(1 << 16)
        let_time_pass(protocol, TIMEOUT + 1)
        assert len(part + received(sock)) > 2_400 * 5_000

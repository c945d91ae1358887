"""Connections that either side closes before the response."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import pytest
from support.clients import MODES, NUMBER, fetch_status, start_callback
from support.raw_http import INIT, raw_request, socket_address, wait_until
from support.serving import serving

from tenios_ext import OutcomeUnknownError
from tenios_simulator import Simulator, faults
from tenios_simulator.server._http import PREFIX

if TYPE_CHECKING:
    import httpx

    from tenios_simulator import Fault, Server


@pytest.mark.usefixtures("_client_environment")
@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "fault",
    [
        faults.Drop(),
        faults.Reset(),
        faults.Malformed(),
        faults.Truncated(),
        faults.HttpError(520, accepted=True),
    ],
    ids=repr,
)
def test_start_callback_is_sent_once_if_response_is_lost(
    simulator: Simulator, mode: str, fault: Fault
) -> None:
    simulator.inject(fault, on="init")
    with pytest.raises(OutcomeUnknownError):
        start_callback(mode)
    assert simulator.dialled == [NUMBER]


@pytest.mark.usefixtures("_client_environment")
@pytest.mark.parametrize("mode", MODES)
def test_status_request_is_retried_if_response_is_lost(
    simulator: Simulator, http: httpx.Client, mode: str
) -> None:
    http.post("/callback/init", json=INIT)
    simulator.inject(faults.Drop())
    simulator.inject(faults.Reset(), nth=2)
    callback_id = simulator.callbacks[0].id
    assert fetch_status(mode, callback_id, clock=simulator.clock) is simulator.status(callback_id)
    assert [request.response.disconnect for request in simulator.requests] == [
        None,
        "close",
        "reset",
        None,
    ]


def receive_after_fault(
    server: Server, simulator: Simulator, fault: Fault, *, requests: int = 1
) -> bytes | str:
    """Send *requests* together, with *fault* on the first, and return what is received."""
    simulator.inject(fault, on="init")
    with socket.create_connection(socket_address(server)) as sock:
        sock.sendall(raw_request("/callback/init", INIT) * requests)
        try:
            return sock.recv(1000)
        except ConnectionResetError:
            return "reset"


def test_drop_closes_and_reset_resets_connection(server: Server, simulator: Simulator) -> None:
    assert receive_after_fault(server, simulator, faults.Drop()) == b""
    assert receive_after_fault(server, simulator, faults.Reset()) == "reset"


@pytest.mark.parametrize("fault", [faults.Drop(), faults.Reset()], ids=repr)
def test_disconnect_discards_pipelined_requests(
    caplog: pytest.LogCaptureFixture, fault: Fault
) -> None:
    """Uvicorn must neither wait for the discarded requests nor log that they had no response."""
    simulator = Simulator()
    with serving(simulator) as server:
        server.config.timeout_graceful_shutdown = 1
        assert receive_after_fault(server, simulator, fault, requests=3) in {b"", "reset"}
    assert simulator.dialled == [NUMBER]
    assert not caplog.records


@pytest.mark.parametrize("fault", [None, faults.Drop(), faults.Reset()], ids=repr)
@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("/callback/init", INIT),
        (f"{PREFIX}/faults", {"kind": "stale_status"}),
        (f"{PREFIX}/callbacks", {"number": NUMBER}),
    ],
)
@pytest.mark.parametrize("chunked", [False, True])
def test_incomplete_request_is_not_handled(
    server: Server,
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
    *,
    path: str,
    document: dict[str, Any],
    fault: Fault | None,
    chunked: bool,
) -> None:
    """The part that has arrived is complete JSON, but shorter than its Content-Length."""
    part = raw_request(path, document, "Content-Length: 5000")
    if chunked:
        head, _, body = part.replace(
            b"Content-Length: 5000", b"Transfer-Encoding: chunked"
        ).partition(b"\r\n\r\n")
        part = head + b"\r\n\r\n%x\r\n%b\r\n" % (len(body), body)
    if fault:
        simulator.inject(fault, on="init")
    injections = simulator.injections
    with socket.create_connection(socket_address(server)) as sock:
        sock.sendall(part)
        wait_until(lambda: server.server_state.tasks)
    wait_until(lambda: not server.server_state.tasks)
    assert (simulator.callbacks, simulator.requests, simulator.injections) == ([], [], injections)
    assert not caplog.records

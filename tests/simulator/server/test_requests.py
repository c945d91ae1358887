"""TENIOS's operations over HTTP."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import httpx
import pytest
from support.clients import MODES, NUMBER, start_callback
from support.raw_http import INIT, raw_request, socket_address
from support.serving import serving

from tenios_ext import RejectedError
from tenios_simulator import ACCESS_KEY, Simulator, faults
from tenios_simulator.server._http import PREFIX

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tenios_simulator import Server


@pytest.mark.parametrize(
    ("delay", "convert"), [(0, int), ("0", str)], ids=["numbers, as in PHP", "strings, as in Java"]
)
def test_server_accepts_requests_of_official_clients(
    http: httpx.Client, delay: object, convert: Callable[[int], object]
) -> None:
    started = http.post("/callback/init", json={**INIT, "delay": delay})
    assert (started.status_code, list(started.json())) == (200, ["id"])
    body = {"access_key": ACCESS_KEY, "id": convert(started.json()["id"])}
    assert http.post("/callback/status", json=body).json() == {"status": "REQUESTED"}


@pytest.mark.usefixtures("_client_environment")
@pytest.mark.parametrize("mode", MODES)
def test_retry_after_header_reaches_client(simulator: Simulator, mode: str) -> None:
    simulator.inject(faults.HttpError(429, retry_after=7), on="init")
    with pytest.raises(RejectedError) as caught:
        start_callback(mode)
    assert caught.value.retry_after == 7


@pytest.mark.parametrize("in_one_packet", [True, False])
def test_server_ignores_upgrade_header(
    http: httpx.Client, server: Server, *, in_one_packet: bool
) -> None:
    """Java's HttpClient offers HTTP/2 in its first request, which must be handled with its body."""
    upgrade = (
        "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: "
        "AAEAAEAA\r\nContent-Length:"
    )
    whole = raw_request("/callback/init", INIT).replace(b"Content-Length:", upgrade.encode())
    head, end, body = whole.partition(b"\r\n\r\n")
    with socket.create_connection(socket_address(server)) as sock:
        for _ in range(2):
            for part in [whole] if in_one_packet else [head + end, body]:
                sock.sendall(part)
            response = b""
            while b"}" not in response:
                response += sock.recv(1000)
                assert response.startswith(b"HTTP/1.1 200")
    assert [each["body"]["callback_number"] for each in http.get(f"{PREFIX}/requests").json()] == [
        NUMBER
    ] * 2


@pytest.mark.parametrize(
    ("content", "content_type", "status", "code"),
    [
        (b" " * 70_000, "application/json", 413, "BODY_TOO_LARGE"),
        (b"{}", "text/plain", 415, "INVALID_CONTENT_TYPE"),
        (b"{}", None, 415, "INVALID_CONTENT_TYPE"),
        (b"{}", "application/json; charset=utf-8", 400, "FIELD_IS_REQUIRED"),
        (b"NaN", "application/json", 400, "INVALID_JSON"),
        (b'{"delay": NaN}', "application/json", 400, "INVALID_JSON"),
    ],
)
def test_server_refuses_invalid_body(
    http: httpx.Client, content: bytes, content_type: str | None, status: int, code: str
) -> None:
    headers = {"Content-Type": content_type} if content_type else {}
    response = http.post("/callback/init", content=content, headers=headers)
    assert (response.status_code, response.json()["error_code"]) == (status, code)


def test_server_does_not_read_to_the_end_of_huge_body(http: httpx.Client) -> None:
    is_read = False

    def content() -> Iterator[bytes]:
        nonlocal is_read
        for _ in range(2000):  # 20 MB, more than the buffers of a connection hold
            yield b" " * 10_000
        is_read = True

    headers = {"Content-Type": "application/json"}
    # The server may close the connection before the client reads the response.
    with suppress(httpx.WriteError):
        assert http.post("/callback/init", content=content(), headers=headers).status_code == 413
    assert not is_read
    assert http.post("/callback/init", json=INIT).status_code == 200


def test_server_refuses_unknown_paths_and_methods(http: httpx.Client) -> None:
    assert http.post("/callback/cancel", json=INIT).status_code == 404
    assert http.post("/callback/init/", json=INIT).status_code == 404
    doubled = http.post(f"{http.base_url}//callback/init", json=INIT)
    assert doubled.status_code == 404
    assert "Unknown method: //callback/init. Use /callback/init" in doubled.json()["error_message"]
    refused = http.get("/callback/init")
    assert (refused.status_code, refused.headers["Allow"]) == (405, "POST")


@pytest.mark.parametrize(
    "body",
    [
        b'{"delay": 1e400}',
        b'{"id": "\xed\xa0\x80"}',
        b'{"id": ' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"id": "\\udfff"}',
    ],
    ids=lambda body: str(body[:30]),
)
def test_request_log_survives_body_that_json_cannot_hold(http: httpx.Client, body: bytes) -> None:
    """Python's json module accepts these bodies, but cannot encode them again."""
    headers = {"Content-Type": "application/json"}
    assert http.post("/callback/status", content=body, headers=headers).status_code == 400
    assert len(http.get(f"{PREFIX}/requests").json()) == 1


def test_control_api_masks_access_key(http: httpx.Client) -> None:
    http.post("/callback/init", json={**INIT, "agent_announcement": f"call {ACCESS_KEY}"})
    http.post("/callback/init", json={**INIT, "accessKey": ACCESS_KEY})
    listed = http.get(f"{PREFIX}/callbacks").text + http.get(f"{PREFIX}/requests").text
    assert "call ***" in listed
    assert ACCESS_KEY not in listed


def test_control_api_masks_access_key_that_is_also_callback_config_id() -> None:
    with serving(Simulator(accounts={"KEY-4711": ["KEY-4711"]})) as server:
        with server.simulator.client() as tenios:
            tenios.start_callback(NUMBER)
        listed = httpx.get(f"{server.address}{PREFIX}/callbacks").json()
    assert [callback["callback_config_id"] for callback in listed] == ["***"]

"""
NotSentError needs evidence that nothing was sent, and OutcomeUnknownError a request that may have
left.
"""

from __future__ import annotations

import asyncio
import ssl
import threading
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import trio
from support.clients import CONFIG_ID, MODES, NUMBER, new_key, start_callback
from support.faults import Connection, FaultServer, drop, respond, respond_raw

from tenios_ext import (
    AsyncTenios,
    ConfigurationError,
    InvalidArgumentError,
    NotSentError,
    OutcomeUnknownError,
    Tenios,
)

if TYPE_CHECKING:
    from pathlib import Path

INIT = "/callback/init"

pytestmark = pytest.mark.usefixtures("with_and_without_key")
STARTED = respond("200 OK", {"id": 10})
#: What httpx raises, among others, if no connection was made.
CONNECT_ERRORS = [
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    OSError,
]


@pytest.fixture(autouse=True)
def _access_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENIOS_ACCESS_KEY", "KEY")


def hook_that_raises(mode: str, kind: type[Exception]) -> Any:
    def hook(_: object) -> None:
        raise kind("the audit service is down")

    async def async_hook(_: object) -> None:
        hook(_)

    return hook if mode == "sync" else async_hook


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", CONNECT_ERRORS, ids=lambda kind: kind.__name__)
def test_response_hook_that_raises_a_connect_error_makes_the_outcome_unknown(
    mode: str, kind: type[Exception]
) -> None:
    with FaultServer(STARTED) as server:
        with pytest.raises(OutcomeUnknownError, match="audit service") as raised:
            start_callback(
                mode, base_url=server.url, event_hooks={"response": [hook_that_raises(mode, kind)]}
            )
        assert server.received == {INIT: 1}
    assert raised.value.http_status == 200


@pytest.mark.parametrize("mode", MODES)
def test_request_hook_that_raises_makes_the_outcome_unknown(mode: str) -> None:
    """What a caller's hook has done before it raised is not known."""
    hooks = {"request": [hook_that_raises(mode, httpx.ConnectError)]}
    with FaultServer(STARTED) as server, pytest.raises(OutcomeUnknownError) as raised:
        start_callback(mode, base_url=server.url, event_hooks=hooks)
    assert raised.value.http_status is None


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize(
    "kind", [*CONNECT_ERRORS, ZeroDivisionError], ids=lambda kind: kind.__name__
)
def test_custom_transport_that_raises_makes_the_outcome_unknown(
    mode: str, kind: type[Exception]
) -> None:
    """
    A caller's transport may fail on its second hop, after the first has passed the request on.
    """

    def second_hop(_: httpx.Request) -> httpx.Response:
        raise kind("second hop")

    with pytest.raises(OutcomeUnknownError, match="second hop"):
        start_callback(mode, transport=httpx.MockTransport(second_hop))


@pytest.mark.parametrize("mode", MODES)
def test_proxy_that_closes_before_the_tunnel_stands_means_not_sent(mode: str) -> None:
    class Proxy(FaultServer):
        def _read_request(self, sock: Any) -> str | None:
            return sock.recv(65536).split(b" ")[0].decode() or None

    with Proxy(drop) as proxy:
        with pytest.raises(NotSentError):
            start_callback(mode, base_url="https://tenios.invalid", proxy=proxy.url)
        assert set(proxy.received) == {"CONNECT"}


@pytest.mark.parametrize("mode", MODES)
def test_connection_that_is_lost_behind_the_tunnel_makes_the_outcome_unknown(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The CONNECT request is not the init request, which is sent through the tunnel afterwards."""
    import trustme  # only this test needs it

    authority = trustme.CA()
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("tenios.invalid").configure_cert(context)
    seen: list[bytes] = []

    def tunnel(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 200 OK\r\n\r\n")
        connection._sock.settimeout(30)
        with context.wrap_socket(connection._sock, server_side=True) as secured:
            seen.append(secured.recv(65536))

    class Proxy(FaultServer):
        def _read_request(self, sock: Any) -> str | None:
            sock.settimeout(30)
            return sock.recv(65536).split(b" ")[0].decode() or None

    with Proxy(tunnel) as proxy, pytest.raises(OutcomeUnknownError):
        start_callback(mode, base_url="https://tenios.invalid", proxy=proxy.url)
    assert len(seen) == 1
    assert seen[0].startswith(b"POST /callback/init")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "wrong",
    [
        {"agent_announcement": "half a smile \ud83d"},
        {"agent_announcement": b"bytes"},
        {"agent_announcement": 5},
        {"callback_config_id": "\udfff"},
        {"callback_config_id": 5},
        {"callback_config_id": ["C"]},
        {"dtmf_key": 1},
        {"dtmf_key": "12"},
        {"dtmf_key": ["1"]},
        {"delay": "5"},
        {"delay": 1j},
        {"number": b"+492214710123"},
        {"number": None},
    ],
    ids=repr,
)
def test_argument_that_cannot_be_sent_is_invalid(mode: str, wrong: dict[str, Any]) -> None:
    arguments = {"number": NUMBER, **wrong}
    with FaultServer(STARTED) as server:

        async def start_async() -> None:
            async with AsyncTenios(
                "KEY", CONFIG_ID, base_url=server.url, aiohttp=mode == "aiohttp"
            ) as tenios:
                await tenios.start_callback(**arguments, key=new_key())

        def start() -> None:
            if mode != "sync":
                asyncio.run(start_async())
                return
            with Tenios("KEY", CONFIG_ID, base_url=server.url) as tenios:
                tenios.start_callback(**arguments, key=new_key())

        with pytest.raises(InvalidArgumentError):
            start()
        assert not server.received


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("proxy", ["127.0.0.1:1", "http://127.0.0.1:1"])
def test_proxy_may_be_named_without_a_scheme(
    mode: str, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As curl takes it."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(NotSentError):
        start_callback(mode, base_url="https://tenios.invalid")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("variables", "hint"),
    [
        ({"ALL_PROXY": "socks5://127.0.0.1:1"}, r"httpx\[socks\]"),
        ({"HTTPS_PROXY": "ftp://127.0.0.1:1"}, "proxy"),
        ({"HTTPS_PROXY": "http://user:secret@"}, "proxy"),
        ({"HTTPS_PROXY": "http://["}, "proxy"),
        ({"HTTPS_PROXY": "http://proxy:99999999"}, "proxy"),
        ({"SSL_CERT_FILE": "gone.pem"}, "SSL_CERT_FILE"),
        ({"TENIOS_BASE_URL": "https://["}, "base_url"),
        ({"TENIOS_BASE_URL": "https://host:99999"}, "base_url"),
        ({"TENIOS_BASE_URL": "https://a b"}, "base_url"),
    ],
    ids=repr,
)
def test_wrong_environment_is_reported_when_the_client_is_made(
    mode: str, variables: dict[str, str], hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(ConfigurationError, match=hint) as raised:
        start_callback(mode)
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("mode", MODES)
def test_file_of_certificates_that_has_none_is_reported(
    mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "empty.pem"
    path.write_text("no certificate\n")
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    with pytest.raises(ConfigurationError, match="SSL_CERT_FILE"):
        start_callback(mode)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout": 1e10},
        {"timeout": "30"},
        {"timeout": None},
        {"timeout": True},
        {"transport": 5},
        {"event_hooks": []},
        {"event_hooks": 5},
        {"event_hooks": {"answer": []}},
        {"event_hooks": {"request": [5]}},
        {"event_hooks": {"request": 5}},
        {"proxy": 5},
        {"proxy": ""},
        {"poll_interval": "often"},
        {"allowed_numbers": 5},
        {"allowed_numbers": [5]},
        {"allowed_numbers": b"1"},
        {"region": 5},
        {"base_url": 5},
        {"base_url": ["https://tenios.invalid"]},
        {"insecure_hosts": "simulator"},
        {"insecure_hosts": [5]},
    ],
    ids=repr,
)
def test_setting_of_a_wrong_type_is_reported_when_the_client_is_made(
    mode: str, wrong: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(wrong))):
        start_callback(mode, **{"base_url": "https://tenios.invalid", **wrong})


@pytest.mark.parametrize("mode", MODES)
def test_proxy_for_a_service_on_this_machine_must_be_on_this_machine(mode: str) -> None:
    """It would carry the key to another machine unencrypted."""
    with pytest.raises(ConfigurationError, match="unencrypted"):
        start_callback(mode, base_url="http://127.0.0.1:1", proxy="http://192.0.2.1:3128")


@pytest.mark.parametrize("aiohttp", [False, True])
def test_async_client_in_trio_means_not_sent(*, aiohttp: bool) -> None:
    async def run() -> None:
        async with AsyncTenios(
            "KEY", CONFIG_ID, base_url="http://127.0.0.1:1", aiohttp=aiohttp
        ) as tenios:
            await tenios.start_callback(NUMBER, key=new_key())

    with pytest.raises(NotSentError, match="event loop"):
        trio.run(run)


@pytest.mark.parametrize("aiohttp", [False, True])
def test_closing_the_client_tells_each_call_that_is_under_way(*, aiohttp: bool) -> None:
    """
    Aiohttp cancels the requests that wait for a connection, which must not look like a cancellation
    by the caller.
    """
    received = threading.Semaphore(0)

    async def run(url: str) -> list[object]:
        tenios = AsyncTenios("KEY", CONFIG_ID, base_url=url, aiohttp=aiohttp, timeout=2)
        calls = [
            asyncio.create_task(tenios.start_callback(NUMBER, key=new_key())) for _ in range(40)
        ]
        for _ in range(20):
            await asyncio.to_thread(received.acquire)
        await tenios.aclose()
        return await asyncio.gather(*calls, return_exceptions=True)

    def hold(connection: Connection) -> None:
        received.release()
        connection.hold()

    with FaultServer(hold) as server:
        results = asyncio.run(run(server.url))
    assert {type(result) for result in results} <= {NotSentError, OutcomeUnknownError}
    assert len(results) == 40
    not_sent = [result for result in results if isinstance(result, NotSentError)]
    assert len(not_sent) == 40 - server.received[INIT]


@pytest.mark.parametrize("mode", MODES)
def test_http_status_is_set_only_if_a_response_was_seen(mode: str) -> None:
    with FaultServer(drop) as server, pytest.raises(OutcomeUnknownError) as raised:
        start_callback(mode, base_url=server.url)
    assert raised.value.http_status is None
    with (
        FaultServer(respond_raw("200 OK", b"[")) as server,
        pytest.raises(OutcomeUnknownError) as raised,
    ):
        start_callback(mode, base_url=server.url)
    assert raised.value.http_status == 200


@pytest.mark.parametrize("status", [502, 503, 200])
def test_response_in_place_of_our_connections_is_not_taken_for_nothing_sent(
    status: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with pytest-httpx, which replaces the method of httpx's transport that ours calls."""
    response = httpx.Response(status, json={})
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda *_: response)
    with pytest.raises(OutcomeUnknownError) as raised:
        start_callback("sync", base_url="https://tenios.invalid")
    assert raised.value.http_status == status


def test_exception_in_place_of_our_connections_is_not_taken_for_nothing_sent(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(*_: object) -> httpx.Response:
        raise httpx.ConnectError("mocked")

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", fail)
    with pytest.raises(OutcomeUnknownError):
        start_callback("sync", base_url="https://tenios.invalid")

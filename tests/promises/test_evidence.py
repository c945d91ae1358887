"""NotSentError requires evidence that nothing was sent. Otherwise, the outcome is unknown."""

from __future__ import annotations

import asyncio
import contextvars
import signal
import socket
import ssl
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import trio
from support.clients import (
    CONFIG_ID,
    MODES,
    NUMBER,
    fetch_status,
    new_key,
    shorten_limits,
    start_callback,
)
from support.faults import INIT, Connection, FaultServer, drop, in_turn, respond, respond_raw

from tenios_ext import (
    AsyncTenios,
    NotSentError,
    OutcomeUnknownError,
    StatusUnavailableError,
    Tenios,
)
from tenios_simulator import VirtualClock

if TYPE_CHECKING:
    from pathlib import Path


STARTED = respond("200 OK", {"id": 10})
#: Errors that httpx may raise if no connection was made.
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
    monkeypatch.setenv("TENIOS_CALLBACK_CONFIG_ID", CONFIG_ID)


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
    """A hook may have sent the request before it raised the error."""
    hooks = {"request": [hook_that_raises(mode, httpx.ConnectError)]}
    with FaultServer(STARTED) as server, pytest.raises(OutcomeUnknownError) as raised:
        start_callback(mode, base_url=server.url, event_hooks=hooks)
    assert raised.value.http_status is None


def all_subclasses(cls: type[Exception]) -> set[type[Exception]]:
    return {cls}.union(*(all_subclasses(each) for each in cls.__subclasses__()))


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize(
    "kind",
    [*sorted(all_subclasses(httpx.TransportError), key=str), OSError, ZeroDivisionError],
    ids=lambda kind: kind.__name__,
)
def test_custom_transport_that_raises_makes_the_outcome_unknown(
    mode: str, kind: type[Exception]
) -> None:
    """A custom transport may fail after it has forwarded the request."""

    def second_hop(_: httpx.Request) -> httpx.Response:
        raise kind("second hop")

    with pytest.raises(OutcomeUnknownError, match=f"{kind.__name__}: second hop") as raised:
        start_callback(mode, transport=httpx.MockTransport(second_hop))
    assert raised.value.http_status is None
    assert raised.value.reason == f"{kind.__name__}: second hop"


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
    """The CONNECT request is not the init request, which is sent through the tunnel later."""
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


@pytest.mark.usefixtures("with_and_without_key")
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
    Requests that wait for a connection are cancelled by aiohttp, which must not look like a
    cancellation by the caller.
    """
    received = threading.Semaphore(0)

    async def run(url: str) -> list[object]:
        tenios = AsyncTenios("KEY", CONFIG_ID, base_url=url, aiohttp=aiohttp, timeout=0.5)
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
    """pytest-httpx replaces a method of httpx's transport in this way."""
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


def test_aiohttp_timeout_while_connecting_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    import aiohttp  # the other tests run without the extra

    async def connect(*_: Any, **__: Any) -> None:
        async with asyncio.timeout(0):
            await asyncio.Event().wait()

    monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", connect)
    with pytest.raises(NotSentError, match=r"Connection timeout"):
        start_callback("aiohttp", base_url="http://127.0.0.1:1")


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_unexpected_exception_means_that_the_status_is_unavailable(mode: str) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise ZeroDivisionError

    with pytest.raises(StatusUnavailableError, match="ZeroDivisionError"):
        fetch_status(mode, transport=httpx.MockTransport(fail), clock=VirtualClock())


@pytest.mark.usefixtures("with_and_without_key")
def test_ctrl_c_during_an_init_request_is_raised_with_a_note() -> None:
    def interrupt(connection: Connection) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        connection.hold()

    with FaultServer(interrupt) as server, Tenios(base_url=server.url) as tenios:
        with pytest.raises(KeyboardInterrupt) as raised:
            tenios.start_callback(NUMBER, key=new_key())
        assert server.received == {INIT: 1}
    assert raised.value.__notes__ == [
        "Phones may be ringing. Do not call again before you have asked the agent or the customer."
    ]


@pytest.mark.usefixtures("with_and_without_key")
@pytest.mark.parametrize("mode", ["async", "aiohttp"])
def test_cancelled_init_request_has_a_note_and_the_client_stays_usable(mode: str) -> None:
    received = threading.Event()

    def stay_silent(connection: Connection) -> None:
        received.set()
        connection.hold()

    async def run(url: str) -> None:
        async with AsyncTenios(base_url=url, aiohttp=mode == "aiohttp") as tenios:
            task = asyncio.create_task(tenios.start_callback(NUMBER, key=new_key()))
            await asyncio.to_thread(received.wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as raised:
                await task
            assert "Phones may be ringing" in raised.value.__notes__[0]
            assert (await tenios.start_callback(NUMBER, key=new_key())).id == 10

    with FaultServer(in_turn(stay_silent, STARTED)) as server:
        asyncio.run(run(server.url))
        assert server.received == {INIT: 2}


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_failed_connection_through_a_socks_proxy_is_not_sent(mode: str) -> None:
    """The same applies to the request to the proxy."""

    class Proxy(FaultServer):
        def _read_request(self, sock: Any) -> str | None:
            return "asked" if sock.recv(65536) else None

    with Proxy(drop) as proxy:
        with pytest.raises(NotSentError):
            start_callback(
                mode,
                base_url="https://tenios.invalid",
                proxy=f"socks5://127.0.0.1:{proxy.port}",
            )
        assert set(proxy.received) == {"asked"}
    with pytest.raises(NotSentError):
        start_callback(mode, base_url="https://tenios.invalid", proxy="socks5://127.0.0.1:1")


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("scheme", ["http", "socks5"])
@pytest.mark.parametrize("own", [False, True], ids=["proxy=", "transport="])
def test_proxy_is_not_asked_for_tenios_while_nothing_may_be_sent(
    mode: str, scheme: str, monkeypatch: pytest.MonkeyPatch, *, own: bool
) -> None:
    monkeypatch.setenv("TENIOS_OFFLINE", "1")
    kind = httpx.HTTPTransport if mode == "sync" else httpx.AsyncHTTPTransport
    with FaultServer(drop) as proxy:
        url = f"{scheme}://127.0.0.1:{proxy.port}"
        settings: dict[str, Any] = {"transport": kind(proxy=url)} if own else {"proxy": url}
        with pytest.raises(NotSentError, match="TENIOS_OFFLINE is set"):
            start_callback(mode, base_url="https://api.tenios.com", **settings)
        assert len(proxy._threads) == 1, "nobody has connected"


@pytest.mark.parametrize("base", [httpx.BaseTransport, httpx.HTTPTransport])
def test_transport_of_another_class_is_not_used_for_tenios_while_nothing_may_be_sent(
    monkeypatch: pytest.MonkeyPatch, base: Any
) -> None:
    requests: list[httpx.Request] = []

    def handle_request(_: object, request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, json={"id": 10})

    other = type("OtherTransport", (base,), {"handle_request": handle_request})
    monkeypatch.setenv("TENIOS_OFFLINE", "1")
    with pytest.raises(NotSentError, match="TENIOS_OFFLINE is set"):
        start_callback("sync", base_url="https://api.tenios.com", transport=other())
    assert requests == []


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_name_that_is_not_resolved_in_time_is_not_sent(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    answered = threading.Event()

    def resolve(*_: object, **__: object) -> Any:
        answered.wait()
        raise socket.gaierror

    shorten_limits(monkeypatch)
    monkeypatch.setattr("tenios_ext._connections.CONNECT_TIMEOUT", 0.05)
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    with pytest.raises(NotSentError, match="could not be resolved: it did not respond within"):
        start_callback(mode, base_url="https://tenios.invalid")
    answered.set()


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_address_that_does_not_respond_leaves_time_for_the_next(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("_network", "_async_network"):
        monkeypatch.setattr(f"tenios_ext.{module}.ADDRESS_SECONDS", 0.05)
    with FaultServer(STARTED) as server, ExitStack() as stack:
        silent = stack.enter_context(socket.create_server(("127.0.0.2", server.port), backlog=0))
        for _ in range(3):  # Linux ignores further connections while these wait to be accepted.
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)  # noqa: FBT003 - a built-in
            waiting.connect_ex(silent.getsockname())
        addresses = [
            (socket.AF_INET, socket.SOCK_STREAM, 6, "", (f"127.0.0.{last}", server.port))
            for last in (2, 1)
        ]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: addresses)
        assert start_callback(mode, base_url=f"http://localhost:{server.port}").id == 10


def test_evidence_of_tasks_that_share_a_context_is_not_confused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While one connects, the other begins. Both requests are sent, and both responses are lost."""
    both = threading.Barrier(2)
    resolve = socket.getaddrinfo

    def wait_and_resolve(*args: Any, **options: Any) -> Any:
        both.wait()
        return resolve(*args, **options)

    monkeypatch.setattr(socket, "getaddrinfo", wait_and_resolve)

    async def run(port: int) -> list[Any]:
        context = contextvars.copy_context()
        url = f"http://localhost:{port}"
        async with AsyncTenios(base_url=url) as tenios:
            calls = [
                asyncio.get_running_loop().create_task(
                    tenios.start_callback(NUMBER), context=context
                )
                for _ in range(2)
            ]
            return await asyncio.gather(*calls, return_exceptions=True)

    with FaultServer(drop) as server:
        outcomes = asyncio.run(run(server.port))
    assert [type(each) for each in outcomes] == [OutcomeUnknownError] * 2

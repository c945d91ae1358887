"""How connections are made, kept, shared and closed."""

from __future__ import annotations

import asyncio
import gc
import gzip
import itertools
import json
import re
import signal
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpcore
import httpx
import pytest
from support.clients import CONFIG_ID, MODES, NUMBER, fetch_status, new_key, start_callback
from support.faults import Connection, FaultServer, drop, in_turn, reset_on_reuse, respond

import tenios_ext
from tenios_ext import (
    AsyncTenios,
    CallbackStatus,
    ConfigurationError,
    NotSentError,
    OutcomeUnknownError,
    RejectedError,
    StatusUnavailableError,
    Tenios,
)
from tenios_ext._settings import Secret, Settings
from tenios_ext._transport import TransportFactory
from tenios_simulator import VirtualClock

if TYPE_CHECKING:
    import socket
    from collections.abc import AsyncIterator, Iterator

    from support.faults import Fault

INIT, STATUS = "/callback/init", "/callback/status"
STARTED = respond("200 OK", {"id": 10, "status": "REQUESTED"}, "Connection: keep-alive")


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENIOS_ACCESS_KEY", "KEY")
    monkeypatch.setenv("TENIOS_CALLBACK_CONFIG_ID", CONFIG_ID)


class HeadServer(FaultServer):
    """
    A fault server that also takes requests without a body, as CONNECT has none.

    Attributes:
        heads: The request line and headers of each request.
    """

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault)
        self.heads: list[str] = []

    def _read_request(self, sock: socket.socket) -> str | None:
        data = b""
        while True:
            with suppress(TimeoutError):
                chunk = sock.recv(65536)
                if not chunk:
                    return None
                data += chunk
            head, end, body = data.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            if end and len(body) >= (int(length[1]) if length else 0):
                self.heads.append(head.decode())
                return head.decode().split(" ")[1]


# Which connection is used.


@pytest.mark.usefixtures("with_and_without_key")
@pytest.mark.parametrize("mode", MODES)
def test_init_request_never_uses_a_kept_connection(mode: str) -> None:
    """
    The server resets each connection at its second request, which would leave the outcome of an
    init request unknown.

    The second status request does use a kept connection, and is repeated on a new one.
    """
    with FaultServer(reset_on_reuse(STARTED), keep_open=True) as server:

        async def run() -> None:
            async with AsyncTenios(base_url=server.url, aiohttp=mode == "aiohttp") as tenios:
                await tenios.callback(10).status()
                for _ in range(3):
                    await tenios.start_callback(NUMBER, key=new_key())
                await tenios.callback(10).status()

        if mode == "sync":
            with Tenios(base_url=server.url) as tenios:
                tenios.callback(10).status()
                for _ in range(3):
                    tenios.start_callback(NUMBER, key=new_key())
                tenios.callback(10).status()
        else:
            asyncio.run(run())
        assert server.received == {INIT: 3, STATUS: 3}


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
            # The first loop ends with an open connection, of which aiohttp and asyncio warn when it
            # is collected.
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


@pytest.mark.usefixtures("with_and_without_key")
def test_threads_share_a_client() -> None:
    """
    The server closes each connection though it promises to keep it, so a connection that is used
    again would fail.
    """
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


@pytest.mark.usefixtures("with_and_without_key")
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


@pytest.mark.parametrize("mode", MODES)
def test_as_many_status_requests_are_sent_at_once_as_the_caller_makes(mode: str) -> None:
    """The server responds to none of them before it has them all."""
    together = threading.Barrier(40)
    ended = respond("200 OK", {"status": "DISCONNECTED"})

    def fault(connection: Connection) -> None:
        together.wait(20)
        ended(connection)

    async def run(url: str) -> None:
        async with AsyncTenios(base_url=url, aiohttp=mode == "aiohttp") as tenios:
            updates = [
                update
                async for update in tenios.watch_many(
                    range(40), max_concurrency=40, answer_timeout=40
                )
            ]
        assert [update.status for update in updates] == ["DISCONNECTED"] * 40

    with FaultServer(fault) as server:
        if mode == "sync":
            with Tenios(base_url=server.url) as tenios, ThreadPoolExecutor(40) as pool:
                statuses = list(
                    pool.map(lambda number: tenios.callback(number).status(), range(40))
                )
            assert statuses == ["DISCONNECTED"] * 40
        else:
            asyncio.run(run(server.url))
        assert server.received == {STATUS: 40}


def test_many_connections_do_not_make_each_request_dearer(monkeypatch: pytest.MonkeyPatch) -> None:
    """
    A pool of httpcore compares each idle connection with all others, so that 100 took 13 ms of each
    request.
    """
    together = threading.Barrier(40)
    looks: list[object] = []
    is_idle = httpcore.AsyncHTTPConnection.is_idle

    def look(connection: httpcore.AsyncHTTPConnection) -> bool:
        looks.append(connection)
        return is_idle(connection)

    def fault(connection: Connection) -> None:
        if not together.broken:
            together.wait(20)
        STARTED(connection)

    async def run(url: str) -> None:
        async with AsyncTenios(base_url=url) as tenios:
            await asyncio.gather(*(tenios.callback(number).status() for number in range(40)))
            together.abort()
            monkeypatch.setattr(httpcore.AsyncHTTPConnection, "is_idle", look)
            await tenios.callback(1).status()

    with FaultServer(fault, keep_open=True) as server:
        asyncio.run(run(server.url))
    assert 0 < len(looks) < 40 * 8


# What a request has from an earlier one.


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_what_a_hook_changes_is_gone_in_the_next_request(mode: str) -> None:
    sent: list[httpx.Request] = []

    def change(request: httpx.Request) -> None:
        request.headers["X-Number"] = str(len(sent))
        request.headers["X-Trace"] = request.headers.get("X-Trace", "") + "hook"
        request.extensions["timeout"]["read"] -= 1

    async def async_change(request: httpx.Request) -> None:
        change(request)

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={"status": "CONNECTED"})

    settings: dict[str, Any] = {"transport": httpx.MockTransport(handle)}

    async def run() -> None:
        async with AsyncTenios(**settings, event_hooks={"request": [async_change]}) as tenios:
            for number in (1, 12345):
                await tenios.callback(number).status()

    if mode == "sync":
        with Tenios(**settings, event_hooks={"request": [change]}) as tenios:
            for number in (1, 12345):
                tenios.callback(number).status()
    else:
        asyncio.run(run())
    assert [request.headers["X-Number"] for request in sent] == ["0", "1"]
    assert [request.headers["X-Trace"] for request in sent] == ["hook", "hook"]
    assert [request.extensions["timeout"]["read"] for request in sent] == [29, 29]
    assert [json.loads(request.content)["id"] for request in sent] == [1, 12345]
    assert [int(request.headers["Content-Length"]) for request in sent] == [
        len(request.content) for request in sent
    ]


@pytest.mark.parametrize("mode", MODES)
def test_cookies_are_not_kept(mode: str) -> None:
    busy = respond("503 Service Unavailable", {}, "Set-Cookie: session=1; Path=/")
    with HeadServer(in_turn(busy, respond("200 OK", {"status": "CONNECTED"}))) as server:
        assert fetch_status(mode, base_url=server.url) == "CONNECTED"
    assert len(server.heads) == 2
    assert not any("cookie" in head.lower() for head in server.heads)


# The client's life.


@pytest.mark.usefixtures("with_and_without_key")
def test_closed_client_sends_nothing() -> None:
    tenios = Tenios(base_url="http://127.0.0.1:1")
    tenios.close()
    tenios.close()
    with pytest.raises(NotSentError, match="client is closed, so nothing was sent"):
        tenios.start_callback(NUMBER, key=new_key())
    with pytest.raises(StatusUnavailableError, match="closed"):
        tenios.callback(10).status()


@pytest.mark.usefixtures("with_and_without_key")
def test_closed_async_client_sends_nothing() -> None:
    async def run() -> None:
        tenios = AsyncTenios(base_url="http://127.0.0.1:1")
        await tenios.aclose()
        await tenios.aclose()
        with pytest.raises(NotSentError, match="client is closed, so nothing was sent"):
            await tenios.start_callback(NUMBER, key=new_key())
        with pytest.raises(StatusUnavailableError, match="closed"):
            await tenios.callback(10).status()

    asyncio.run(run())


@pytest.mark.parametrize("kind", [Tenios, AsyncTenios])
def test_client_that_was_not_closed_warns(kind: type[Tenios | AsyncTenios]) -> None:
    gc.collect()
    tenios = kind(base_url="http://127.0.0.1:1")
    with pytest.warns(
        ResourceWarning, match=rf"{kind.__name__}\('http://127.0.0.1:1'\) was not closed"
    ) as caught:
        del tenios
    assert caught[0].filename == __file__, "it names the line at which the client was lost"


@pytest.mark.parametrize("kind", [Tenios, AsyncTenios])
def test_client_that_could_not_be_made_does_not_warn(kind: type[Tenios | AsyncTenios]) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with pytest.raises(ConfigurationError):
            kind(timeout=0)
        gc.collect()
    assert not [each for each in caught if "not closed" in str(each.message)]


def test_aiohttp_without_the_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tenios_ext._async_transport.find_spec", lambda _: None)
    with pytest.raises(ConfigurationError, match=r"pip install 'tenios-callback\[aiohttp\]'"):
        AsyncTenios(aiohttp=True)


# What counts as sent.


@pytest.mark.usefixtures("with_and_without_key")
def test_aiohttp_timeout_while_connecting_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    import aiohttp  # the other tests run without the extra

    async def connect(*_: Any, **__: Any) -> None:
        raise TimeoutError

    monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", connect)
    with pytest.raises(NotSentError, match=r"Connection timeout"):
        start_callback("aiohttp", base_url="http://127.0.0.1:1")


def all_subclasses(cls: type[Exception]) -> set[type[Exception]]:
    return {cls}.union(*(all_subclasses(each) for each in cls.__subclasses__()))


@pytest.mark.usefixtures("with_and_without_key")
@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("kind", sorted(all_subclasses(httpx.TransportError), key=str))
def test_no_exception_of_a_custom_transport_is_evidence_that_nothing_was_sent(
    mode: str, kind: type[Exception]
) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise kind("some text")

    with pytest.raises(OutcomeUnknownError, match=f"{kind.__name__}: some text") as raised:
        start_callback(mode, transport=httpx.MockTransport(fail))
    assert (raised.value.http_status, raised.value.reason) == (None, f"{kind.__name__}: some text")


@pytest.mark.usefixtures("with_and_without_key")
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_unexpected_exception_leaves_the_outcome_unknown(mode: str) -> None:
    def fail(_: httpx.Request) -> httpx.Response:
        raise ZeroDivisionError

    with pytest.raises(OutcomeUnknownError, match="ZeroDivisionError"):
        start_callback(mode, transport=httpx.MockTransport(fail))
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
        "Phones may be ringing: do not simply call again, or the same person may be called twice."
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


# What is sent with each request.


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_event_hooks_see_every_request_and_response(mode: str) -> None:
    """Also a response that becomes an error."""
    seen: list[object] = []

    async def async_hook(message: object) -> None:
        seen.append(message)

    hook = seen.append if mode == "sync" else async_hook
    transport = httpx.MockTransport(lambda _: httpx.Response(400, json={}))
    with pytest.raises(RejectedError):
        start_callback(
            mode, transport=transport, event_hooks={"request": [hook], "response": [hook]}
        )
    request, response = seen
    assert isinstance(request, httpx.Request)
    assert isinstance(response, httpx.Response)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_event_hook_may_read_a_response_in_every_way_and_more_than_once(mode: str) -> None:
    seen: list[bytes] = []

    def hook(response: httpx.Response) -> None:
        seen.extend([response.read(), response.content, response.text.encode()])
        for _ in range(2):
            seen.extend([b"".join(response.iter_bytes(3)), b"".join(response.iter_raw())])

    async def async_hook(response: httpx.Response) -> None:
        seen.extend([await response.aread(), response.content, response.text.encode()])
        for _ in range(2):
            seen.append(b"".join([chunk async for chunk in response.aiter_bytes(3)]))
            seen.append(b"".join([chunk async for chunk in response.aiter_raw()]))

    content = b'{"loginId": "", "id": 10}'
    transport = httpx.MockTransport(
        lambda _: httpx.Response(
            200, content=gzip.compress(content), headers={"Content-Encoding": "gzip"}
        )
    )
    hooks = {"response": [hook if mode == "sync" else async_hook]}
    assert start_callback(mode, transport=transport, event_hooks=hooks).id == 10
    assert seen == [content] * 7


@pytest.mark.parametrize("key", ["KEY", 'say "key"', "a\\b", "schlüssel", '"access_key":""'])
@pytest.mark.parametrize("text", ['"access_key":""', '\\"access_key":"",', '{"access_key":""}'])
def test_access_key_is_put_in_its_place_and_nowhere_else(key: str, text: str) -> None:
    bodies: list[bytes] = []

    def respond(request: httpx.Request) -> httpx.Response:
        bodies.append(request.content)
        return httpx.Response(200, json={"loginId": "", "id": 10})

    with Tenios(key, CONFIG_ID, transport=httpx.MockTransport(respond)) as tenios:
        tenios.start_callback(NUMBER, agent_announcement=text)
    document = json.loads(bodies[0])
    assert document["access_key"] == key
    assert document["agent_announcement"] == text


@pytest.mark.parametrize("mode", MODES)
def test_headers_name_the_version_and_ask_for_plain_json(mode: str) -> None:
    with HeadServer(STARTED) as server:
        start_callback(mode, base_url=server.url)
    headers = dict(line.lower().split(": ", 1) for line in server.heads[0].split("\r\n")[1:])
    assert (
        headers["user-agent"]
        == f"tenios-callback/{tenios_ext.__version__} httpx/{httpx.__version__}"
    )
    assert headers["accept"] == headers["content-type"] == "application/json"
    assert headers["accept-encoding"] == "identity"
    assert headers["connection"] == "close"


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize(("timeout", "connect"), [(30, 5), (2, 2)])
def test_timeout_allows_five_seconds_to_connect_at_most(
    mode: str, timeout: float, connect: float
) -> None:
    timeouts: list[dict[str, float]] = []

    def handle(request: httpx.Request) -> httpx.Response:
        timeouts.append(request.extensions["timeout"])
        return httpx.Response(200, json={"id": 10})

    start_callback(mode, transport=httpx.MockTransport(handle), timeout=timeout)
    assert timeouts == [{"connect": connect, "read": timeout, "write": timeout, "pool": timeout}]


class Endless(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body of a caller's transport that goes on for seconds without a byte."""

    def __iter__(self) -> Iterator[bytes]:
        """Yield nothing, many times."""
        return itertools.repeat(b"", 20_000_000)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield nothing, many times."""
        for chunk in self:
            yield chunk


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_response_of_a_callers_transport_is_limited_in_time(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tenios_ext._attempt.CONNECT_TIMEOUT", 0.05)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Endless()))
    with pytest.raises(OutcomeUnknownError, match="whole exchange took too long"):
        start_callback(mode, transport=transport, timeout=0.05)


# Proxies.


@pytest.mark.parametrize("mode", MODES)
def test_proxy_is_used_for_other_machines_only(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy refuses, so nothing is sent."""

    def refuse(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    with HeadServer(refuse) as proxy, FaultServer(STARTED) as server:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        with pytest.raises(NotSentError):
            start_callback(mode, base_url="https://tenios.invalid")
        assert proxy.received == {"tenios.invalid:443": 1}
        assert start_callback(mode, base_url=server.url).id == 10
        assert proxy.received.total() == 1
        monkeypatch.delenv("HTTPS_PROXY")
        with pytest.raises(NotSentError):
            start_callback(mode, base_url="https://tenios.invalid", proxy=proxy.url)
        assert proxy.received.total() == 2


@pytest.mark.parametrize(
    ("base_url", "keyword", "variables", "proxy"),
    [
        ("https://tenios.invalid", None, {}, None),
        ("https://tenios.invalid", None, {"HTTPS_PROXY": "http://p:1"}, "http://p:1"),
        ("https://tenios.invalid", None, {"https_proxy": "http://p:1"}, "http://p:1"),
        ("https://tenios.invalid", None, {"HTTP_PROXY": "http://p:1"}, None),
        ("https://tenios.invalid", None, {"ALL_PROXY": "http://p:1"}, "http://p:1"),
        (
            "https://tenios.invalid",
            None,
            {"ALL_PROXY": "http://p:1", "HTTPS_PROXY": "http://p:2"},
            "http://p:2",
        ),
        (
            "https://tenios.invalid",
            None,
            {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "tenios.invalid"},
            None,
        ),
        (
            "https://tenios.invalid",
            None,
            {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "other.invalid"},
            "http://p:1",
        ),
        (
            "https://tenios.invalid",
            "http://p:3",
            {"HTTPS_PROXY": "http://p:1", "NO_PROXY": "*"},
            "http://p:3",
        ),
        ("http://127.0.0.1:8311", None, {"HTTP_PROXY": "http://p:1"}, None),
        ("http://localhost:8311", "http://localhost:3", {}, "http://localhost:3"),
    ],
)
def test_proxy_is_the_keywords_or_the_environments(
    monkeypatch: pytest.MonkeyPatch,
    base_url: str,
    keyword: str | None,
    variables: dict[str, str],
    proxy: str | None,
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    settings = Settings(access_key=Secret("KEY"), base_url=base_url)
    found = TransportFactory(settings, keyword).proxy
    assert (None if found is None else str(found.url)) == proxy


# Repeating status requests.


@pytest.mark.parametrize("mode", MODES)
def test_status_request_is_repeated_after_transient_failures(mode: str) -> None:
    failures = [
        respond("503 Service Unavailable", {}),
        drop,
        respond("200 OK", {"status": "CONNECTED"}),
    ]
    with FaultServer(in_turn(*failures)) as server:
        assert (
            fetch_status(mode, base_url=server.url, clock=VirtualClock())
            == CallbackStatus.CONNECTED
        )
        assert server.received == {STATUS: 3}


@pytest.mark.parametrize("mode", MODES)
def test_status_request_is_not_repeated_after_a_refusal(mode: str) -> None:
    with FaultServer(
        respond("400 Bad Request", {"error_code": "INVALID_VALUE", "fields": ["id"]})
    ) as server:
        with pytest.raises(StatusUnavailableError, match="INVALID_VALUE: id"):
            fetch_status(mode, base_url=server.url)
        assert server.received == {STATUS: 1}


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize(
    ("http_status", "requests"),
    [(400, 1), (401, 1), (404, 1), (408, 1), (302, 1), (429, 3), (500, 3), (503, 3), (520, 3)],
)
def test_status_gives_up_after_the_third_transient_failure(
    mode: str, http_status: int, requests: int
) -> None:
    clock, sent = VirtualClock(), []

    def handle(_: httpx.Request) -> httpx.Response:
        sent.append(clock.now())
        return httpx.Response(http_status, json={"error_message": str(len(sent))})

    with pytest.raises(StatusUnavailableError) as raised:
        fetch_status(mode, transport=httpx.MockTransport(handle), clock=clock)
    assert [at - sent[0] for at in sent] == [0, 0.5, 1.5][:requests]
    assert raised.value.http_status == http_status
    assert raised.value.error_message == str(requests), "the last failure is raised"


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_status_honours_retry_after(mode: str) -> None:
    clock = VirtualClock()
    start = clock.now()
    responses = iter(
        [
            httpx.Response(429, headers={"Retry-After": "4"}),
            httpx.Response(200, json={"status": "ACCEPTED"}),
        ]
    )
    transport = httpx.MockTransport(lambda _: next(responses))
    assert fetch_status(mode, transport=transport, clock=clock) == "ACCEPTED"
    assert clock.now() - start == 4

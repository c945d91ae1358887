"""How connections are opened, kept, shared and closed."""

from __future__ import annotations

import asyncio
import gzip
import json
import re
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpcore
import httpx
import pytest
from support.clients import (
    CONFIG_ID,
    LOCAL,
    MODES,
    NUMBER,
    fetch_status,
    refuse_names,
    start_callback,
)
from support.faults import STATUS, Connection, FaultServer, drop, in_turn, respond

import tenios_ext
from tenios_ext import (
    AsyncTenios,
    NotSentError,
    RejectedError,
    Tenios,
    TeniosError,
)

if TYPE_CHECKING:
    import socket

    from support.faults import Fault

STARTED = respond("200 OK", {"id": 10, "status": "REQUESTED"}, "Connection: keep-alive")


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENIOS_ACCESS_KEY", "KEY")
    monkeypatch.setenv("TENIOS_CALLBACK_CONFIG_ID", CONFIG_ID)


class HeadServer(FaultServer):
    """
    A fault server that also accepts requests without a body, such as CONNECT.

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


# The choice of a connection.


@pytest.mark.parametrize("mode", MODES)
def test_as_many_status_requests_are_sent_at_once_as_the_caller_makes(mode: str) -> None:
    """The server responds only when it has all of them."""
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
    """A pool of httpcore compares all idle connections: 13 ms per request with 100 of them."""
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


@pytest.mark.parametrize("mode", MODES)
def test_response_that_nobody_has_asked_for_is_not_that_of_the_next_request(mode: str) -> None:
    def respond_twice(connection: Connection) -> None:
        in_talk, ended = (
            b'HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n{"status": "%s"}'
            % (14 + len(each), each)
            for each in (b"CALLING_A", b"DISCONNECTED")
        )
        connection.send(in_talk + ended)

    async def run(url: str) -> list[str]:
        async with AsyncTenios(base_url=url, aiohttp=mode == "aiohttp") as tenios:
            return [await tenios.callback(number).status() for number in range(3)]

    with FaultServer(respond_twice, keep_open=True) as server:
        if mode == "sync":
            with Tenios(base_url=server.url) as tenios:
                statuses: list[str] = [tenios.callback(number).status() for number in range(3)]
        else:
            statuses = asyncio.run(run(server.url))
    assert statuses == ["CALLING_A"] * 3


def test_hook_that_changes_url_and_extensions_does_not_change_how_a_request_is_sent() -> None:
    """An init request has a new connection, and what was sent of it is known."""

    def change(request: httpx.Request) -> None:
        request.url = request.url.copy_add_param("trace", "1")
        request.extensions = {}

    hooks = {"request": [change]}
    with (
        HeadServer(STARTED) as server,
        Tenios(base_url=server.url, event_hooks=hooks) as tenios,
        Tenios(base_url="http://127.0.0.1:1", event_hooks=hooks) as refused,
    ):
        tenios.callback(10).status()
        tenios.start_callback(NUMBER)
        with pytest.raises(NotSentError):
            refused.start_callback(NUMBER)
    assert [head.partition(" HTTP")[0] for head in server.heads] == [
        "POST /callback/status?trace=1",
        "POST /callback/init?trace=1",
    ]
    assert "Connection: close" in server.heads[1]


# What a request reuses from an earlier one.


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

    settings: dict[str, Any] = {"transport": httpx.MockTransport(handle), "base_url": LOCAL}

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


# The content of each request.


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_event_hooks_see_every_request_and_response(mode: str) -> None:
    """Also responses that become errors."""
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

    transport = httpx.MockTransport(respond)
    with Tenios(key, CONFIG_ID, base_url=LOCAL, transport=transport) as tenios:
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


# Proxies.


@pytest.mark.parametrize("mode", MODES)
def test_proxy_is_used_for_other_machines_only(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proxy refuses connections, so nothing is sent."""

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
    ("base_url", "keyword", "variables", "used"),
    [
        ("https://tenios.invalid", None, {}, None),
        ("https://tenios.invalid", None, {"HTTPS_PROXY": 0}, 0),
        ("https://tenios.invalid", None, {"https_proxy": 0}, 0),
        ("https://tenios.invalid", None, {"HTTP_PROXY": 0}, None),
        ("https://tenios.invalid", None, {"ALL_PROXY": 0}, 0),
        ("https://tenios.invalid", None, {"ALL_PROXY": 0, "HTTPS_PROXY": 1}, 1),
        ("https://tenios.invalid", None, {"HTTPS_PROXY": 0, "NO_PROXY": "tenios.invalid"}, None),
        ("https://tenios.invalid", None, {"HTTPS_PROXY": 0, "NO_PROXY": "other.invalid"}, 0),
        (
            "https://tenios.invalid",
            None,
            {"HTTPS_PROXY": 0, "NO_PROXY": "tenios.invalid:443"},
            None,
        ),
        ("https://tenios.invalid", 1, {"HTTPS_PROXY": 0, "NO_PROXY": "*"}, 1),
        (LOCAL, None, {"HTTP_PROXY": 0}, None),
        (LOCAL, 1, {}, 1),
    ],
)
def test_proxy_is_the_keywords_or_the_environments(
    monkeypatch: pytest.MonkeyPatch,
    base_url: str,
    keyword: int | None,
    variables: dict[str, Any],
    used: int | None,
) -> None:
    refuse_names(monkeypatch)
    with HeadServer(drop) as first, HeadServer(drop) as second:
        proxies = [first, second]
        for name, value in variables.items():
            monkeypatch.setenv(name, proxies[value].url if isinstance(value, int) else value)
        with pytest.raises(TeniosError):
            start_callback(
                "sync", base_url=base_url, proxy=None if keyword is None else proxies[keyword].url
            )
        assert [proxy.received.total() for proxy in proxies] == [used == 0, used == 1]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("proxy", ["127.0.0.1:1", "http://127.0.0.1:1"])
def test_proxy_may_be_named_without_a_scheme(
    mode: str, proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in curl."""
    monkeypatch.setenv("HTTPS_PROXY", proxy)
    with pytest.raises(NotSentError):
        start_callback(mode, base_url="https://tenios.invalid")

"""How connections are made, kept and given up."""

from __future__ import annotations

import asyncio
import gc
import signal
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest
from support.dialling import CONFIG_ID, MODES, NUMBER, ask, dial
from support.faults import Connection, FaultServer, answer, drop, in_turn, lose_patience

import tenios_ext
from tenios_ext import (
    AsyncTenios,
    CallbackStatus,
    InvalidRequestError,
    NotSentError,
    OutcomeUnknownError,
    StatusUnavailableError,
    Tenios,
)
from tenios_ext.simulator import VirtualClock

INIT, STATUS = "/callback/init", "/callback/status"
STARTED = answer("200 OK", {"id": 10, "status": "REQUESTED"}, "Connection: keep-alive")


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENIOS_ACCESS_KEY", "KEY")
    monkeypatch.setenv("TENIOS_CALLBACK_CONFIG_ID", CONFIG_ID)


@pytest.mark.parametrize("mode", MODES)
def test_dial_never_uses_a_kept_connection(mode: str) -> None:
    """
    A server that gives up kept connections at the worst moment makes no dial doubtful, since each has its own.

    The same server fails the second of two questions for the status over one connection, which is why they may be repeated.
    """
    with FaultServer(lose_patience(STARTED), keep_open=True) as server:

        async def run() -> None:
            async with AsyncTenios(base_url=server.url, aiohttp=mode == "aiohttp") as tenios:
                await tenios.callback(10).status()
                for _ in range(3):
                    await tenios.start_callback(NUMBER)
                await tenios.callback(10).status()

        if mode == "sync":
            with Tenios(base_url=server.url) as tenios:
                tenios.callback(10).status()
                for _ in range(3):
                    tenios.start_callback(NUMBER)
                tenios.callback(10).status()
        else:
            asyncio.run(run())
        assert server.received[INIT] == 3
        assert server.received[STATUS] == 3, "the second question met the closed connection and was repeated"


@pytest.mark.parametrize("mode", ["async", "aiohttp"])
def test_second_event_loop_works(mode: str) -> None:
    """A client that outlives an `asyncio.run` dials in the next one, once, and knows that it did."""
    with FaultServer(STARTED, keep_open=True) as server:
        tenios = AsyncTenios(base_url=server.url, aiohttp=mode == "aiohttp")

        async def run() -> None:
            await tenios.start_callback(NUMBER)
            await tenios.callback(10).status()

        with warnings.catch_warnings():
            # The first loop ends with a connection open, which aiohttp and asyncio remark when it is collected.
            warnings.simplefilter("ignore", ResourceWarning)
            asyncio.run(run())
            asyncio.run(run())
            asyncio.run(tenios.aclose())
            gc.collect()
        assert server.received == {INIT: 2, STATUS: 2}


def test_second_event_loop_is_refused_with_a_transport_of_the_callers() -> None:
    """Connections that we did not make cannot be made anew, so nothing is sent."""
    sent: list[httpx.Request] = []

    def handle(request: httpx.Request) -> httpx.Response:
        sent.append(request)
        return httpx.Response(200, json={"id": 10})

    tenios = AsyncTenios(transport=httpx.MockTransport(handle))

    async def run() -> None:
        await tenios.start_callback(NUMBER)

    asyncio.run(run())
    with pytest.raises(NotSentError, match="another event loop"):
        asyncio.run(run())
    assert len(sent) == 1
    asyncio.run(tenios.aclose())


def test_threads_share_a_client() -> None:
    """
    Many threads dial at once over one client, each exactly once, and over a connection of its own.

    The server promises to keep its connections and does not, so one that was used again would fail.
    """
    with FaultServer(STARTED) as server, Tenios(base_url=server.url) as tenios, ThreadPoolExecutor(16) as pool:
        started = list(pool.map(lambda _: tenios.start_callback(NUMBER).id, range(64)))
        assert started == [10] * 64
        assert server.received == {INIT: 64}


@pytest.mark.parametrize("aiohttp", [False, True])
def test_tasks_share_a_client(*, aiohttp: bool) -> None:
    """Many tasks dial at once over one client, each exactly once."""

    async def run(url: str) -> None:
        async with AsyncTenios(base_url=url, aiohttp=aiohttp) as tenios:
            await asyncio.gather(*(tenios.start_callback(NUMBER) for _ in range(64)))

    with FaultServer(STARTED) as server:
        asyncio.run(run(server.url))
        assert server.received == {INIT: 64}


def test_closing_twice_does_nothing_and_a_closed_client_sends_nothing() -> None:
    """A closed client says so, in the words of a call that may be repeated."""
    tenios = Tenios(base_url="http://127.0.0.1:1")
    tenios.close()
    tenios.close()
    with pytest.raises(NotSentError, match="closed"):
        tenios.start_callback(NUMBER)
    with pytest.raises(StatusUnavailableError):
        tenios.callback(10).status()

    async def run() -> None:
        client = AsyncTenios(base_url="http://127.0.0.1:1")
        await client.aclose()
        await client.aclose()
        with pytest.raises(NotSentError, match="closed"):
            await client.start_callback(NUMBER)

    asyncio.run(run())


@pytest.mark.parametrize("kind", [Tenios, AsyncTenios])
def test_client_that_was_not_closed_warns(kind: type[Tenios | AsyncTenios]) -> None:
    """A forgotten client is reported as forgotten files are."""
    gc.collect()
    tenios = kind(base_url="http://127.0.0.1:1")
    with pytest.warns(ResourceWarning, match="was not closed"):
        del tenios


@pytest.mark.parametrize("mode", MODES)
def test_timeout_of_the_connection_is_not_sent(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where no connection comes about in time, nothing was sent."""
    if mode == "aiohttp":
        import aiohttp  # noqa: PLC0415 - only this mode needs it

        async def connect(*_: Any, **__: Any) -> None:
            raise TimeoutError

        monkeypatch.setattr(aiohttp.TCPConnector, "_create_connection", connect)
        transport = None
    else:

        def refuse(request: httpx.Request) -> httpx.Response:
            raise httpx.ConnectTimeout("too slow", request=request)

        transport = httpx.MockTransport(refuse)
    with pytest.raises(NotSentError, match=r"too slow|Connection timeout"):
        dial(mode, base_url="http://127.0.0.1:1", transport=transport)


NOTHING_SENT = {httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError}


def all_subclasses(cls: type[Exception]) -> set[type[Exception]]:
    """*cls* and all that is derived from it."""
    return {cls}.union(*(all_subclasses(each) for each in cls.__subclasses__()))


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("kind", sorted(all_subclasses(httpx.TransportError), key=str))
def test_every_exception_of_httpx_is_certain_or_unknown(mode: str, kind: type[Exception]) -> None:
    """Only those that are raised before a connection exists count as not sent; all others leave it open."""

    def fail(_: httpx.Request) -> httpx.Response:
        raise kind("some text")

    expected = NotSentError if kind in NOTHING_SENT else OutcomeUnknownError
    with pytest.raises(expected, match=f"{kind.__name__}: some text"):
        dial(mode, transport=httpx.MockTransport(fail))


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_surprise_is_unknown(mode: str) -> None:
    """An exception that nobody has thought of leaves it open, too."""

    def fail(_: httpx.Request) -> httpx.Response:
        raise ZeroDivisionError

    with pytest.raises(OutcomeUnknownError, match="ZeroDivisionError"):
        dial(mode, transport=httpx.MockTransport(fail))
    with pytest.raises(StatusUnavailableError, match="ZeroDivisionError"):
        ask(mode, transport=httpx.MockTransport(fail), clock=VirtualClock())


def test_ctrl_c_passes_through_with_a_warning() -> None:
    """Ctrl-C in the middle of a dial stays Ctrl-C, and its note says that the telephones may be ringing."""

    def interrupt(_: Connection) -> None:
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def interrupt_and_wait(connection: Connection) -> None:
        interrupt(connection)
        connection.hold()

    with FaultServer(interrupt_and_wait) as server, Tenios(base_url=server.url) as tenios:
        with pytest.raises(KeyboardInterrupt) as raised:
            tenios.start_callback(NUMBER)
        assert server.received == {INIT: 1}
    assert "may be ringing" in raised.value.__notes__[0]


@pytest.mark.parametrize("aiohttp", [False, True])
def test_cancelled_dial_is_cancelled_and_the_client_stays_usable(*, aiohttp: bool) -> None:
    """Cancelling a dial stays a cancellation; the next dial goes well."""
    seen = threading.Event()

    def stay_silent(connection: Connection) -> None:
        seen.set()
        connection.hold()

    faults = [stay_silent, STARTED]

    async def run(url: str) -> None:
        async with AsyncTenios(base_url=url, aiohttp=aiohttp) as tenios:
            task = asyncio.create_task(tenios.start_callback(NUMBER))
            await asyncio.to_thread(seen.wait)
            task.cancel()
            with pytest.raises(asyncio.CancelledError) as raised:
                await task
            assert "may be ringing" in raised.value.__notes__[0]
            assert (await tenios.start_callback(NUMBER)).id == 10

    with FaultServer(in_turn(*faults)) as server:
        asyncio.run(run(server.url))
        assert server.received == {INIT: 2}


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_event_hooks_of_the_caller_see_every_request_and_answer(mode: str) -> None:
    """Hooks see refusals, too, which never get further than the error."""
    seen: list[object] = []

    async def note_async(message: object) -> None:
        seen.append(message)

    note = seen.append if mode == "sync" else note_async
    hooks = {"request": [note], "response": [note]}
    transport = httpx.MockTransport(lambda _: httpx.Response(400, json={}))
    with pytest.raises(tenios_ext.RejectedError):
        dial(mode, transport=transport, event_hooks=hooks)
    assert [type(message).__name__ for message in seen] == ["Request", "Response"]


@pytest.mark.parametrize("mode", MODES)
def test_user_agent_names_the_version(mode: str) -> None:
    """TENIOS can tell who asks."""
    heads: list[bytes] = []

    class Server(FaultServer):
        def _read_request(self, sock: Any) -> str | None:
            data = sock.recv(65536)
            heads.append(data.partition(b"\r\n\r\n")[0])
            return INIT if data else None

    with Server(STARTED) as server:
        dial(mode, base_url=server.url)
    assert f"tenios-callback/{tenios_ext.__version__}".encode() in heads[0]


@pytest.mark.parametrize("mode", MODES)
def test_proxy_is_used_for_other_machines_only(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's proxy is asked to reach TENIOS; one that refuses means that nothing was sent."""

    def refuse(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

    class Proxy(FaultServer):
        def _read_request(self, sock: Any) -> str | None:
            data = sock.recv(65536)
            return data.split(b" ")[1].decode() if data else None

    with Proxy(refuse) as proxy, FaultServer(STARTED) as server:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        with pytest.raises(NotSentError):
            dial(mode, base_url="https://tenios.invalid")
        assert proxy.received == {"tenios.invalid:443": 1}
        assert dial(mode, base_url=server.url).id == 10
        assert proxy.received.total() == 1
        monkeypatch.delenv("HTTPS_PROXY")
        with pytest.raises(NotSentError):
            dial(mode, base_url="https://tenios.invalid", proxy=proxy.url)
        assert proxy.received.total() == 2


@pytest.mark.parametrize("mode", MODES)
def test_status_is_asked_again_after_passing_trouble(mode: str) -> None:
    """A question is safe to repeat, and repeated; a refusal is not."""
    trouble = [answer("503 Service Unavailable", {}), drop, answer("200 OK", {"status": "CONNECTED"})]
    with FaultServer(in_turn(*trouble)) as server:
        assert ask(mode, base_url=server.url, clock=VirtualClock()) == CallbackStatus.CONNECTED
        assert server.received == {STATUS: 3}
    with FaultServer(answer("400 Bad Request", {"error_code": "INVALID_VALUE", "fields": ["id"]})) as server:
        with pytest.raises(StatusUnavailableError, match="INVALID_VALUE: id"):
            ask(mode, base_url=server.url)
        assert server.received == {STATUS: 1}


def test_aiohttp_asked_for_and_not_installed_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asks for the extra without having it learns its name before anything is sent."""
    monkeypatch.setattr("tenios_ext.async_transport.find_spec", lambda _: None)
    with pytest.raises(InvalidRequestError, match=r"pip install 'tenios-callback\[aiohttp\]'"):
        AsyncTenios(aiohttp=True)

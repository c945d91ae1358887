"""No response costs unbounded memory or time, or raises an undocumented error."""

from __future__ import annotations

import asyncio
import gzip
import itertools
import json
import tracemalloc
import zlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import brotli
import httpx
import pytest
import zstandard
from support.clients import MODES, Script, fetch_status, shorten_limits, start_callback
from support.faults import (
    STATUS,
    Connection,
    FaultServer,
    flood,
    respond,
    respond_error,
    respond_raw,
)

from tenios_ext import (
    AsyncTenios,
    CallbackTimeoutError,
    NotSentError,
    OutcomeUnknownError,
    RejectedError,
    StatusUnavailableError,
    Tenios,
    TeniosError,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

MEBIBYTE = 1 << 20


@pytest.fixture(autouse=True)
def _access_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENIOS_ACCESS_KEY", "KEY")


def bomb() -> bytes:
    """64 MiB of JSON."""
    return b'{"id": 10, "padding": "' + b" " * (64 * MEBIBYTE) + b'"}'


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [
        ("gzip", lambda data: gzip.compress(data, 1)),
        ("deflate", lambda data: zlib.compress(data, 1)),
        ("br", lambda data: brotli.compress(data, quality=1)),
        ("zstd", zstandard.compress),
        ("gzip, gzip", lambda data: gzip.compress(gzip.compress(data, 1))),
    ],
)
def test_compressed_response_does_not_fill_the_memory(
    encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    header = f"Content-Encoding: {encoding}"
    body = compress(bomb())
    tracemalloc.start()
    try:
        for mode in MODES:
            with (
                FaultServer(respond_raw("200 OK", body, header)) as server,
                pytest.raises(OutcomeUnknownError) as raised,
            ):
                start_callback(mode, base_url=server.url)
            assert raised.value.http_status == 200
        assert tracemalloc.get_traced_memory()[1] < 16 * MEBIBYTE
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("deflate", zlib.compress)]
)
def test_compressed_response_within_the_limit_is_read(
    mode: str, encoding: str, compress: Callable[[bytes], bytes]
) -> None:
    """
    The client does not request compression, but some proxies compress anyway, and a readable id
    must not be lost.
    """
    response = respond_raw("200 OK", compress(b'{"id": 10}'), f"Content-Encoding: {encoding}")
    with FaultServer(response) as server:
        assert start_callback(mode, base_url=server.url).id == 10


BODY = b'{"id": 10, "status": "DISCONNECTED"}'
HEAD = b"HTTP/1.1 200 OK\r\n"
LENGTH = b"Content-Length: %d\r\n\r\n" % len(BODY)


def slowly(first: bytes, repeated: bytes, last: bytes) -> Callable[[Connection], bool]:
    """
    Return a function that sends one part of a response for 20 seconds, then the rest, and returns
    whether the client waited.
    """

    def send(connection: Connection) -> bool:
        connection.send(first)
        for _ in range(1000):
            if connection.hold(0.02):
                return False
            connection.send(repeated)
        connection.send(last)
        return True

    return send


SLOW = [
    slowly(HEAD, b"X-Header: value\r\n", LENGTH + BODY),
    slowly(b"", b"HTTP/1.1 102 Processing\r\n\r\n", HEAD + LENGTH + BODY),
    slowly(HEAD + b"X-Header: ", b"a", b"\r\n" + LENGTH + BODY),
    slowly(
        HEAD + b"Transfer-Encoding: chunked\r\n\r\n",
        b"1\r\n \r\n",
        b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY),
    ),
    slowly(b"", b"", HEAD + LENGTH + BODY),
]


def with_each_slow_server(call: Callable[[str], None]) -> None:
    """Make a call to a server of each kind, all at the same time."""

    def call_one(slow: Callable[[Connection], bool]) -> None:
        waited: list[bool] = []
        with FaultServer(lambda connection: waited.append(slow(connection))) as server:
            call(server.url)
        assert True not in waited

    with ThreadPoolExecutor(len(SLOW)) as pool:
        list(pool.map(call_one, SLOW))


@pytest.mark.parametrize("mode", MODES)
def test_proxy_that_does_not_finish_connecting_is_limited_like_a_connection(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Regardless of the timeout for a response."""
    waited: list[bool] = []
    dripping = slowly(HEAD, b"X-Header: value\r\n", b"\r\n")
    shorten_limits(monkeypatch)

    class Proxy(FaultServer):
        def _read_request(self, sock: Any) -> str | None:
            return sock.recv(65536).split(b" ")[0].decode() or None

    with Proxy(lambda connection: waited.append(dripping(connection))) as proxy:
        with pytest.raises(NotSentError):
            start_callback(mode, base_url="https://tenios.invalid", proxy=proxy.url, timeout=60)
        assert set(proxy.received) == {"CONNECT"}
    assert True not in waited


@pytest.mark.parametrize("mode", MODES)
def test_whole_exchange_is_limited(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    shorten_limits(monkeypatch)

    def call(url: str) -> None:
        with pytest.raises(OutcomeUnknownError, match="Timeout"):
            start_callback(mode, base_url=url, timeout=0.4)  # also to connect

    with_each_slow_server(call)


@pytest.mark.parametrize("mode", MODES)
def test_limit_of_wait_holds_against_a_slow_server(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The client's timeout is an hour, so only the limit of wait can end this test."""
    monkeypatch.setattr("tenios_ext._polling.MIN_POLL_SECONDS", 0.3)
    settings: dict[str, Any] = {"timeout": 3600}

    async def wait_async(url: str) -> None:
        async with AsyncTenios(base_url=url, aiohttp=mode == "aiohttp", **settings) as tenios:
            await tenios.callback(10).wait(answer_timeout=0.3)

    def wait(url: str) -> None:
        with Tenios(base_url=url, **settings) as tenios:
            tenios.callback(10).wait(answer_timeout=0.3)

    def call(url: str) -> None:
        with pytest.raises(CallbackTimeoutError):
            wait(url) if mode == "sync" else asyncio.run(wait_async(url))

    with_each_slow_server(call)


@pytest.mark.parametrize("mode", MODES)
def test_long_response_header_does_not_lose_the_id(mode: str) -> None:
    with FaultServer(respond("200 OK", {"id": 10}, f"X-Long: {'a' * 50_000}")) as server:
        assert start_callback(mode, base_url=server.url).id == 10


@pytest.mark.parametrize("encoding", ["latin-1", "utf-16", "utf-8-sig"])
def test_other_encodings_do_not_lose_what_the_response_says(encoding: str) -> None:
    refusal = json.dumps(
        {"error_code": "INVALID_VALUE", "error_message": "Ungültig"}, ensure_ascii=False
    )
    with FaultServer(respond_raw("400 Bad Request", refusal.encode(encoding))) as server:
        with pytest.raises(RejectedError) as raised:
            start_callback("sync", base_url=server.url)
        assert raised.value.error_code == "INVALID_VALUE"
    started = json.dumps({"id": 10, "note": "für Sie"}, ensure_ascii=False)
    with FaultServer(respond_raw("200 OK", started.encode(encoding))) as server:
        assert start_callback("sync", base_url=server.url).id == 10


RETRY_AFTER = [
    "Mon, 01 Jan 99999999999999999999 00:00:00 GMT",
    "Mon, 01 Jan 10000 00:00:00 GMT",
    "Fri, 31 Dec 9999 23:59:59 -9999",
    "9" * 400,
    "-1",
    "1e400",
    "nan",
    "\x01",
]


# Each HTTP library refuses the last one with a different error.
@pytest.mark.parametrize(
    ("mode", "retry_after"),
    [*(("sync", each) for each in RETRY_AFTER), ("async", "\x01"), ("aiohttp", "\x01")],
)
def test_strange_retry_after_is_no_undocumented_error(mode: str, retry_after: str) -> None:
    headers = [f"Retry-After: {retry_after}", "Date: Mon, 01 Jan 2024 00:00:00 GMT"]
    for status, kind in {
        "429 Too Many Requests": RejectedError,
        "503 Service Unavailable": OutcomeUnknownError,
    }.items():
        with (
            FaultServer(respond_error(status, "X", *headers)) as server,
            pytest.raises((kind, OutcomeUnknownError)),
        ):
            start_callback(mode, base_url=server.url)
        with (
            FaultServer(respond_error(status, "X", *headers)) as server,
            pytest.raises(StatusUnavailableError),
        ):
            fetch_status(mode, base_url=server.url, clock=Script(["REQUESTED"]).clock)


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize(
    "status", ["\x1b[2J", "A" * 10_000, "ON\nHOLD", "ON\u202eHOLD", "\x00", " " * 65]
)
def test_status_that_is_not_a_short_printable_text_is_never_reported(
    mode: str, status: str
) -> None:
    """It would reach logs and terminals."""
    script = Script([status, "DISCONNECTED"])

    async def run() -> list[str]:
        async with script.async_client() as tenios:
            return [str(each) async for each in tenios.callback(10).watch()]

    if mode == "sync":
        with script.client() as tenios:
            seen = [str(each) for each in tenios.callback(10).watch()]
    else:
        seen = asyncio.run(run())
    assert seen == ["DISCONNECTED"]


def test_statuses_that_are_unknown_are_bounded_in_number() -> None:
    script = Script([*(f"STATUS_{number}" for number in range(500)), "DISCONNECTED"])
    with script.client() as tenios:
        outcome = tenios.callback(10).wait(answer_timeout=None, end_timeout=None)
    assert len(outcome.history) == 101
    assert outcome.ended


@pytest.mark.parametrize("mode", MODES)
def test_texts_of_a_server_are_bounded_and_printable(mode: str) -> None:
    evil = "\x1b[31m" + "x" * 10_000 + "\r\n"
    document = {"error_code": evil, "error_message": evil, "fields": [evil] * 1000}
    with (
        FaultServer(respond("400 Bad Request", document)) as server,
        pytest.raises(TeniosError) as raised,
    ):
        start_callback(mode, base_url=server.url)
    error = raised.value
    texts = [str(error), error.error_code or "", error.error_message or "", *error.fields]
    assert all(text.isprintable() and len(text) <= 2001 for text in texts)
    assert len(str(error)) < 500
    assert len(error.fields) <= 20


@pytest.mark.parametrize("mode", MODES)
def test_reason_phrase_and_protocol_errors_are_bounded_and_printable(mode: str) -> None:
    def babble(connection: Connection) -> None:
        connection.send(b"HTTP/1.1 \x1b[31m200 " + b"y" * 5000 + b"\x07\r\n\r\n")

    with FaultServer(babble) as server, pytest.raises(OutcomeUnknownError) as raised:
        start_callback(mode, base_url=server.url)
    assert str(raised.value).isprintable()
    assert len(str(raised.value)) < 500


def test_error_that_cannot_be_shown_is_still_a_documented_one() -> None:
    """
    Creating an error must not raise another one, because the caller would not know whether phones
    ring.
    """

    class BrokenError(Exception):
        __module__ = "httpx"

        def __str__(self) -> str:
            raise RuntimeError

    def fail(_: httpx.Request) -> httpx.Response:
        raise BrokenError

    with pytest.raises(OutcomeUnknownError, match="BrokenError"):
        start_callback("sync", transport=httpx.MockTransport(fail))


def test_one_callback_with_a_strange_response_does_not_end_the_others() -> None:
    """One loop watches many callbacks."""
    strange = httpx.Response(
        429, headers={"Retry-After": RETRY_AFTER[0], "Date": "Mon, 01 Jan 2024 00:00:00 GMT"}
    )

    class Server(Script):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            if json.loads(request.content)["id"] == 1 and len(self.polled_at) < 5:
                self.polled_at.append(0)
                return strange
            return super().__call__(request)

    script = Server(["DISCONNECTED"])

    async def run() -> dict[int, str | None]:
        async with script.async_client() as tenios:
            updates = [update async for update in tenios.watch_many(range(10))]
        return {update.outcome.handle.id: update.status for update in updates}

    assert asyncio.run(run()) == dict.fromkeys(range(10), "DISCONNECTED")


@pytest.mark.parametrize("seconds", [1e10, float("inf")])
def test_long_poll_interval_does_not_break_the_clock(seconds: float) -> None:
    """time.sleep refuses both, so the caller's limit must apply first."""
    with FaultServer(respond("200 OK", {"status": "CALLING_A"})) as server:
        with (
            Tenios(base_url=server.url, poll_interval=lambda *_: seconds) as tenios,
            pytest.raises(CallbackTimeoutError),
        ):
            tenios.callback(10).wait(answer_timeout=0.2)
        assert server.received[STATUS] == 2


def test_number_of_digits_in_an_id_is_bounded() -> None:
    with (
        FaultServer(respond_raw("200 OK", b'{"id": ' + b"9" * 100_000 + b"}")) as server,
        pytest.raises(OutcomeUnknownError),
    ):
        start_callback("sync", base_url=server.url)
    with (
        FaultServer(respond("200 OK", {"id": 10**19})) as server,
        pytest.raises(OutcomeUnknownError),
    ):
        start_callback("sync", base_url=server.url)


class Endless(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body of a custom transport that yields nothing for seconds."""

    def __iter__(self) -> Iterator[bytes]:
        return itertools.repeat(b"", 100_000_000)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for chunk in self:
            yield chunk


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_response_of_a_callers_transport_is_limited_in_time(
    mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    shorten_limits(monkeypatch)
    transport = httpx.MockTransport(lambda _: httpx.Response(200, stream=Endless()))
    with pytest.raises(OutcomeUnknownError, match="whole exchange took too long"):
        start_callback(mode, transport=transport, timeout=0.05)


@pytest.mark.parametrize("mode", MODES)
def test_large_response_is_cut_off_long_before_the_timeout(mode: str) -> None:
    with (
        FaultServer(flood) as server,
        pytest.raises(OutcomeUnknownError, match="more than 1048576 bytes"),
    ):
        start_callback(mode, base_url=server.url, timeout=60)

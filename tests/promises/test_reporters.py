"""Error reporters with default settings never receive the access key."""

from __future__ import annotations

import asyncio
import io
import json
import logging
import os
import pickle
import threading
import traceback
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import rich.console
import rich.traceback
import rollbar
import sentry_sdk
import structlog
from sentry_sdk.transport import Transport as SentryTransport
from support.clients import CONFIG_ID, MODES, NUMBER, Script, fetch_status, start_callback
from support.faults import Connection, FaultServer, drop, respond, respond_raw

from tenios_ext import AsyncTenios, ConfigurationError, Tenios, TeniosError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import TracebackType

# Joined, so that a traceback with source lines does not contain it. Longer than the part of a str
# that rich shows.
KEY = "CANARY" + str(47110815) + "-" * 120 + "END"
#: Parts of the key that reveal it, even in truncated text.
TELLTALE = KEY[:14]
ExcInfo = tuple[type[BaseException], BaseException, "TracebackType | None"]


@pytest.fixture(autouse=True)
def _access_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENIOS_ACCESS_KEY", KEY)


def sentry(error: ExcInfo) -> str:
    sent: list[bytes] = []

    class Collect(SentryTransport):
        def capture_envelope(self, envelope: Any) -> None:
            sent.append(envelope.serialize())

    with sentry_sdk.isolation_scope():
        sentry_sdk.init(
            dsn="http://public@127.0.0.1:1/1", transport=Collect, default_integrations=False
        )
        sentry_sdk.capture_exception(error)
        sentry_sdk.flush()
        sentry_sdk.get_client().close()
    assert sent
    return b"".join(sent).decode()


def rollbar_payload(error: ExcInfo) -> str:
    sent: list[str] = []
    rollbar.SETTINGS["handler"] = "blocking"
    original = rollbar._post_api
    rollbar._post_api = lambda *arguments, **_: sent.append(json.dumps(arguments, default=repr))
    try:
        rollbar.init("token", "test", handler="blocking", allow_logging_basic_config=False)
        rollbar.report_exc_info(error)
    finally:
        rollbar._post_api = original
    assert sent
    return "".join(sent)


def structlog_event(error: ExcInfo) -> str:
    processor = structlog.processors.ExceptionRenderer(
        structlog.tracebacks.ExceptionDictTransformer(show_locals=True)
    )
    event = processor(None, "error", {"event": "failed", "exc_info": error})
    text = json.dumps(event, default=repr)
    assert "locals" in text
    return text


def rich_traceback(error: ExcInfo) -> str:
    console = rich.console.Console(file=io.StringIO(), width=200)
    console.print(rich.traceback.Traceback.from_exception(*error, show_locals=True))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def standard_library(error: ExcInfo) -> str:
    lines = traceback.TracebackException(*error, capture_locals=True).format()
    notes = getattr(error[1], "__notes__", [])
    return "".join(lines) + repr(error[1]) + str(vars(error[1])) + str(notes)


REPORTERS: list[Callable[[ExcInfo], str]] = [
    sentry,
    rollbar_payload,
    structlog_event,
    rich_traceback,
    standard_library,
]


def leaking(error: BaseException) -> list[Callable[[ExcInfo], str]]:
    """Return the reporters that show the key for *error*."""
    error_info = (type(error), error, error.__traceback__)
    return [report for report in REPORTERS if TELLTALE in report(error_info)]


@pytest.fixture(autouse=True)
def _no_handlers_of_rollbar() -> Iterator[None]:
    yield
    logging.getLogger("rollbar").handlers.clear()


def key_from_settings() -> str:
    """Return the key, which is in no other variable."""
    return os.environ["TENIOS_ACCESS_KEY"]


@pytest.mark.parametrize("kind", [Tenios, AsyncTenios])
@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout": 0},
        {"base_url": "http://tenios.invalid"},
        {"region": "XX"},
        {"allowed_numbers": ["030"]},
        {"transport": 5},
        {"proxy": "ftp://x"},
        {"event_hooks": 5},
    ],
    ids=repr,
)
def test_constructor_that_refuses_a_setting_does_not_leak(kind: Any, wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as raised:
        kind(key_from_settings(), **wrong)
    assert leaking(raised.value) == []


@pytest.mark.parametrize(
    "change", [str.encode, lambda key: f" {key}", lambda key: [key], lambda key: f"{key}\n"]
)
def test_key_that_is_refused_does_not_leak(change: Callable[[str], Any]) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Tenios(change(key_from_settings()))
    assert leaking(raised.value) == []


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """
    Return all log records, except those of httpcore, which logs response headers at level DEBUG.
    """
    records = [record for record in caplog.records if not record.name.startswith("httpcore")]
    assert records
    return "".join(f"{record.getMessage()} {vars(record)!r}" for record in records)


def echo(status: str) -> Any:
    document = {
        "error_code": KEY,
        "error_message": f"unknown key {KEY}",
        "fields": [KEY],
        "id": KEY,
        "status": KEY,
    }
    return respond(status, document, f"X-Key: {KEY}")


def echo_in_reason(connection: Connection) -> None:
    connection.send(
        f"HTTP/1.1 400 {KEY}\r\nX-Key: {KEY}\r\nContent-Length: 0\r\n".encode()
        + b"Connection: close\r\n\r\n"
    )


def echo_in_broken_head(connection: Connection) -> None:
    connection.send(f"HTTP/1.1 200 OK\r\n{KEY} is your key\r\nContent-Length: 0\r\n\r\n".encode())


ECHOES = {
    "reason": echo_in_reason,
    "broken head": echo_in_broken_head,
    "drop": drop,
    "200": echo("200 OK"),
    "400": echo("400 Bad Request"),
    "500": echo("500 Internal Server Error"),
    "text": respond_raw("200 OK", f"your key is {KEY}".encode(), "Content-Type: text/plain"),
}
#: The first three fail in the HTTP library, the others in shared code.
ECHOES_BY_MODE = [
    pytest.param(mode, fault, id=f"{mode}-{name}")
    for number, (name, fault) in enumerate(ECHOES.items())
    for mode in (MODES if number < 3 else ["sync"])
]


@pytest.mark.parametrize(("mode", "fault"), ECHOES_BY_MODE)
def test_failed_call_does_not_leak(mode: str, fault: Any, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with FaultServer(fault) as server:
        with pytest.raises(TeniosError) as raised:
            start_callback(mode, base_url=server.url)
        assert TELLTALE in server.bodies[0].decode(), "this test would prove nothing"
    assert leaking(raised.value) == []
    assert TELLTALE.encode() not in pickle.dumps(raised.value)
    assert TELLTALE not in logged(caplog)


@pytest.mark.parametrize(("mode", "fault"), ECHOES_BY_MODE)
def test_failed_poll_does_not_leak(mode: str, fault: Any, caplog: pytest.LogCaptureFixture) -> None:
    """A status that equals the key is neither reported nor logged."""
    caplog.set_level(logging.DEBUG)
    with FaultServer(fault) as server, pytest.raises(TeniosError) as raised:
        fetch_status(mode, base_url=server.url, clock=Script(["REQUESTED"]).clock)
    assert leaking(raised.value) == []
    assert TELLTALE.encode() not in pickle.dumps(raised.value)
    assert TELLTALE not in logged(caplog)


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("kind", [KeyboardInterrupt, SystemExit])
def test_interrupted_call_does_not_leak(mode: str, kind: type[BaseException]) -> None:
    def interrupt(request: httpx.Request) -> httpx.Response:
        assert TELLTALE.encode() in request.content
        raise kind

    with pytest.raises(kind) as raised:
        start_callback(mode, transport=httpx.MockTransport(interrupt))
    assert leaking(raised.value) == []


@pytest.mark.parametrize("aiohttp", [False, True])
def test_cancelled_call_does_not_leak(*, aiohttp: bool) -> None:
    async def run(url: str) -> None:
        async with AsyncTenios(
            callback_config_id=CONFIG_ID, base_url=url, aiohttp=aiohttp
        ) as tenios:
            call = asyncio.create_task(tenios.start_callback(NUMBER))
            await asyncio.to_thread(received.wait)
            call.cancel()
            await call

    received = threading.Event()

    def hold(connection: Connection) -> None:
        received.set()
        connection.hold()

    with FaultServer(hold) as server, pytest.raises(asyncio.CancelledError) as raised:
        asyncio.run(run(server.url))
    assert leaking(raised.value) == []


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_event_hooks_see_no_key(mode: str) -> None:
    """The transport adds the key after them."""
    bodies: list[bytes] = []

    def hook(request: httpx.Request) -> None:
        bodies.append(request.content)

    async def async_hook(request: httpx.Request) -> None:
        hook(request)

    with FaultServer(respond("200 OK", {"id": 10})) as server:
        hooks = {"request": [hook if mode == "sync" else async_hook]}
        start_callback(mode, base_url=server.url, event_hooks=hooks)
        assert TELLTALE in server.bodies[0].decode()
    assert NUMBER in bodies[0].decode()
    assert TELLTALE not in bodies[0].decode()


def test_reporters_can_find_a_key() -> None:
    """This shows that the tests above can fail: a local variable in httpx contains the key."""
    with FaultServer(drop) as server, pytest.raises(httpx.HTTPError) as raised:
        httpx.post(server.url, json={"access_key": key_from_settings()}, trust_env=False)
    assert leaking(raised.value) == REPORTERS


@pytest.mark.parametrize(
    "wrong",
    [
        {"region": KEY},
        {"base_url": KEY},
        {"base_url": f"https://{KEY}@host"},
        {"allowed_numbers": [KEY]},
        {"proxy": KEY + "://"},
    ],
    ids=lambda wrong: next(iter(wrong)),
)
def test_key_in_the_place_of_another_setting_is_not_repeated(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError) as raised:
        Tenios(key_from_settings(), **wrong)
    assert TELLTALE not in str(raised.value)


@pytest.mark.parametrize("wrong", [{"dtmf_key": KEY}, {"number": KEY}, {"delay": KEY}])
def test_key_in_the_place_of_an_argument_is_not_repeated(wrong: dict[str, Any]) -> None:
    with Tenios(callback_config_id=CONFIG_ID) as tenios, pytest.raises(TeniosError) as raised:
        tenios.start_callback(**{"number": NUMBER, **wrong})
    assert TELLTALE not in str(raised.value)


def test_key_in_the_place_of_a_file_name_is_not_repeated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TENIOS_ACCESS_KEY")
    monkeypatch.setenv("TENIOS_ACCESS_KEY_FILE", KEY)
    with pytest.raises(ConfigurationError, match="No such file") as raised:
        Tenios()
    assert TELLTALE not in str(raised.value)

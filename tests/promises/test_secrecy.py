"""The access key is not in errors, tracebacks with local variables, pickles, logs or recordings."""

from __future__ import annotations

import logging
import pickle
import traceback
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import vcr
from rich.traceback import LOCALS_MAX_LENGTH, LOCALS_MAX_STRING, Traceback
from support.clients import CONFIG_ID, MODES, NUMBER, fetch_status, shorten_limits, start_callback
from support.faults import (
    FAILURES_AFTER_SENDING,
    LOST_RESPONSES,
    Case,
    FaultServer,
    drop,
    respond,
    respond_raw,
)

from tenios_ext import (
    BadCredentialsError,
    ConfigurationError,
    NotSentError,
    Tenios,
    TeniosError,
)
from tenios_simulator import VirtualClock

if TYPE_CHECKING:
    from pathlib import Path

    from support.faults import Connection, Fault

# Reversed, so that a traceback with source lines does not contain it.
KEY = "P8mB4tJ9kV2wX7qZ"[::-1]
#: The recognisable parts of the key: reporters cut strings at either end.
FRAGMENTS = [KEY[start : start + 6] for start in range(len(KEY) - 5)]


def leaked(text: str) -> list[str]:
    """Return the parts of the key in *text*."""
    return [fragment for fragment in FRAGMENTS if fragment in text]


@pytest.fixture(autouse=True)
def _key_and_logging(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    """Set the key in the environment, and record all log messages."""
    monkeypatch.setenv("TENIOS_ACCESS_KEY", KEY)
    caplog.set_level(logging.DEBUG)


def logged(caplog: pytest.LogCaptureFixture) -> str:
    """Return all messages with all attributes of their records."""
    return "\n".join(f"{record.getMessage()} {vars(record)!r}" for record in caplog.records)


def reports_of(error: BaseException) -> str:
    """
    Return what a program or a reader can derive from *error*, including tracebacks with local
    variables.
    """
    parts: list[object] = [
        repr(error),
        str(error),
        vars(error),
        error.args,
        getattr(error, "__notes__", []),
        "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format()),
    ]
    for length, string in ((LOCALS_MAX_LENGTH, LOCALS_MAX_STRING), (10_000, 10_000)):
        parts.append(
            # What rich renders, without the time to render it.
            Traceback.extract(
                type(error),
                error,
                error.__traceback__,
                show_locals=True,
                locals_max_length=length,
                locals_max_string=string,
            )
        )
    if isinstance(error, TeniosError):
        parts.append(pickle.dumps(error))
        parts.append(vars(pickle.loads(pickle.dumps(error))))
    return "\n".join(map(str, parts))


def head(*lines: str) -> Fault:
    """Send these lines as the status line and headers of a response, and an empty line."""
    return lambda connection: connection.send(
        "\r\n".join([*lines, "Content-Length: 0", "", ""]).encode()
    )


def document(status: str) -> Fault:
    """Send a documented error that contains the key."""
    return respond(
        status, {"error_code": KEY, "error_message": f"unknown key {KEY}", "fields": [KEY]}
    )


REFUSED_CREDENTIALS = [
    case for case in FAILURES_AFTER_SENDING if case.expected is BadCredentialsError
]
SERVER_ERROR = "HTTP/1.1 500 Internal Server Error"
ECHOES = [
    Case("error document of a 400", document("400 Bad Request"), TeniosError),
    Case("error document of a 500", document("500 Internal Server Error"), TeniosError),
    Case(
        "unusable id or status",
        respond("200 OK", {"id": KEY, "status": "", "key": KEY}),
        TeniosError,
    ),
    Case("truncated JSON", respond_raw("200 OK", f'{{"id": "{KEY}'.encode()), TeniosError),
    Case("invalid UTF-8", respond_raw("200 OK", f'{{"id": "{KEY}'.encode() + b"\xff"), TeniosError),
    Case("reason phrase", head(f"HTTP/1.1 500 {KEY}"), TeniosError),
    Case("HTTP status", head(f"HTTP/1.1 {KEY} OK"), TeniosError),
    Case("HTTP version", head(f"{KEY}/1.1 200 OK"), TeniosError),
    Case("status line", head(f"{KEY} is your key"), TeniosError),
    Case("long status line", head("HTTP/1.1 " + KEY * 1000), TeniosError),
    Case(
        "header",
        head(SERVER_ERROR, f"X-Key: {KEY}", f"Retry-After: {KEY}", f"Date: {KEY}"),
        TeniosError,
    ),
    Case("header without a colon", head(SERVER_ERROR, f"{KEY} is your key"), TeniosError),
    Case("header that is too long", head(SERVER_ERROR, f"X-Key: {KEY * 10_000}"), TeniosError),
    Case(
        "Content-Type", head(SERVER_ERROR, f"Content-Type: text/{KEY}; charset={KEY}"), TeniosError
    ),
    Case("Content-Length", head("HTTP/1.1 200 OK", f"Content-Length: {KEY}"), TeniosError),
    Case("Transfer-Encoding", head("HTTP/1.1 200 OK", f"Transfer-Encoding: {KEY}"), TeniosError),
    Case("Location", head("HTTP/1.1 307 Temporary Redirect", f"Location: /{KEY}"), TeniosError),
    Case(
        "chunk size",
        lambda connection: connection.send(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
            + f"{KEY}\r\n{KEY}\r\n0\r\n\r\n".encode()
        ),
        TeniosError,
    ),
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", LOST_RESPONSES + ECHOES, ids=lambda case: case.name)
def test_failed_init_request_does_not_show_the_key(
    mode: str, case: Case, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    if case.timeout < 1:
        shorten_limits(monkeypatch)
    with FaultServer(case.fault) as server:
        with pytest.raises(TeniosError) as raised:
            start_callback(mode, base_url=server.url, timeout=case.timeout)
        assert KEY.encode() in server.bodies[0], (
            "without the key in the request the test would prove nothing"
        )
    assert not leaked(reports_of(raised.value))
    assert not leaked(logged(caplog))
    assert "callback not " in logged(caplog)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", REFUSED_CREDENTIALS + ECHOES, ids=lambda case: case.name)
def test_failed_status_request_does_not_show_the_key(
    mode: str, case: Case, caplog: pytest.LogCaptureFixture
) -> None:
    with FaultServer(case.fault) as server:
        with pytest.raises(TeniosError) as raised:
            fetch_status(mode, base_url=server.url, clock=VirtualClock())
        assert KEY.encode() in server.bodies[0], (
            "without the key in the request the test would prove nothing"
        )
    assert not leaked(reports_of(raised.value))
    assert not leaked(logged(caplog))
    assert "status unavailable" in logged(caplog)
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("name", ["status line", "chunk size"])
def test_key_in_the_words_of_the_http_library_is_masked(mode: str, name: str) -> None:
    """This shows that the cases above put the key into an exception of the library."""
    [case] = [case for case in ECHOES if case.name == name]
    with FaultServer(case.fault) as server, pytest.raises(TeniosError, match=r"\*\*\*") as raised:
        start_callback(mode, base_url=server.url)
    assert raised.value.reason is not None
    assert "***" in raised.value.reason


def test_reports_show_the_key_in_an_exception_of_httpx() -> None:
    """
    This shows that the tests above can fail: the frames of an httpx exception contain the request.
    """
    with FaultServer(lambda _: None) as server, pytest.raises(httpx.HTTPError) as raised:
        httpx.post(server.url, json={"access_key": KEY}, trust_env=False)
    assert leaked(reports_of(raised.value)) == FRAGMENTS


@pytest.mark.parametrize("long", ["a" * 75 + KEY, "a" * 76 + KEY + "a" * 10_000])
def test_reports_show_a_key_that_a_reporter_has_cut(long: str) -> None:
    """This shows that the tests above can fail if a reporter shows only a part of the key."""

    def fail(body: str) -> None:
        raise ValueError(len(body))

    with pytest.raises(ValueError, match=str(len(long))) as raised:
        fail(long)
    assert leaked(reports_of(raised.value))


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("interruption", [KeyboardInterrupt, SystemExit])
def test_interruption_does_not_show_the_key(mode: str, interruption: type[BaseException]) -> None:
    def interrupt(request: httpx.Request) -> httpx.Response:
        body = request.content
        assert KEY.encode() in body
        error = interruption()
        error.__context__ = ValueError(body)  # raised while another was handled
        raise error

    for call in (start_callback, fetch_status):
        with pytest.raises(interruption) as raised:
            call(mode, transport=httpx.MockTransport(interrupt))
        assert not leaked(reports_of(raised.value))
        assert raised.value.__context__ is None


@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout": 0},
        {"base_url": "http://tenios.invalid"},
        {"region": "XX", "allowed_numbers": ["030"]},
        {"allowed_numbers": ["030"]},
        {"access_key": ""},
    ],
)
@pytest.mark.parametrize("from_file", [False, True])
def test_refused_setting_does_not_show_the_key(
    wrong: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    *,
    from_file: bool,
) -> None:
    if from_file:
        path = tmp_path / "key"
        path.write_text(KEY)
        path.chmod(0o600)
        monkeypatch.delenv("TENIOS_ACCESS_KEY")
        monkeypatch.setenv("TENIOS_ACCESS_KEY_FILE", str(path))
    with pytest.raises(ConfigurationError) as raised:
        Tenios(**wrong)
    assert not leaked(reports_of(raised.value))


@pytest.mark.parametrize("template", ["{}{}\n", " {}{}", "{}\n{}"])
def test_key_copied_with_white_space_is_refused_and_not_shown(
    template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TENIOS_ACCESS_KEY", template.format(KEY[:8], KEY[8:]))
    with pytest.raises(ConfigurationError, match="copied completely") as raised:
        Tenios()
    assert not leaked(reports_of(raised.value))


@pytest.mark.parametrize("mode", MODES)
def test_client_callback_handle_and_outcome_do_not_show_the_key(
    mode: str, caplog: pytest.LogCaptureFixture
) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json={"id": 10}))
    with FaultServer(respond("200 OK", {"id": 10})) as server:
        callback = start_callback(mode, base_url=server.url)
    with Tenios(transport=transport) as client:
        things: list[object] = [
            client,
            client._settings,
            callback,
            callback.handle,
            callback.outcome,
            callback._poller,
        ]
        things += [vars(client), vars(callback), vars(callback._poller), callback.handle.to_json()]
        assert not leaked(repr(things) + "".join(map(str, things)) + logged(caplog))
        assert KEY.encode() not in pickle.dumps([callback.handle, callback.outcome])
        with pytest.raises(TypeError, match="cannot be pickled"):
            pickle.dumps(client._settings)


def test_recording_with_vcr_has_no_key_if_it_is_filtered_as_the_docs_say(tmp_path: Path) -> None:
    cassette = tmp_path / "cassette.yaml"
    with (
        FaultServer(respond("200 OK", {"id": 10})) as server,
        vcr.VCR(filter_post_data_parameters=["access_key"]).use_cassette(str(cassette)),
        Tenios(callback_config_id=CONFIG_ID, base_url=server.url) as tenios,
    ):
        tenios.start_callback(NUMBER)
    recorded = cassette.read_text()
    assert NUMBER in recorded
    assert not leaked(recorded)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize(
    "status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"]
)
def test_redirect_to_another_server_is_not_followed(mode: str, status: str) -> None:
    with FaultServer(respond("200 OK", {"id": 10})) as other:

        def redirect(connection: Connection) -> None:
            connection.send(
                f"HTTP/1.1 {status}\r\nLocation: {other.url}\r\nContent-Length: 0\r\n\r\n".encode()
            )

        with FaultServer(redirect) as server, pytest.raises(TeniosError):
            start_callback(mode, base_url=server.url)
        assert not other.received


def test_key_is_not_sent_to_an_address_that_a_hook_has_put_in() -> None:
    def redirect(request: httpx.Request) -> None:
        request.url = httpx.URL(elsewhere.url).join("/callback/init")

    with FaultServer(drop) as server, FaultServer(drop) as elsewhere:
        with (
            Tenios(
                KEY, CONFIG_ID, base_url=server.url, event_hooks={"request": [redirect]}
            ) as tenios,
            pytest.raises(NotSentError, match="changed the host"),
        ):
            tenios.start_callback(NUMBER)
        assert not elsewhere.received
        assert not server.received

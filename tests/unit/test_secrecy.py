"""The access key is nowhere to be found, whatever happens."""

from __future__ import annotations

import io
import json
import logging
import pickle
import traceback
from typing import TYPE_CHECKING, Any

import httpx
import pytest
import rich.console
import rich.traceback
import vcr
from support.dialling import CONFIG_ID, MODES, NUMBER, ask, dial
from support.faults import AFTER_THE_REQUEST, Case, FaultServer, answer, error

from tenios_ext import AsyncTenios, CallbackHandle, InvalidRequestError, Tenios, TeniosError
from tenios_ext.settings import Secret, Settings
from tenios_ext.simulator import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from support.faults import Connection

# Put together here, so that a traceback that quotes source lines does not quote it.
CANARY = "CANARY" + str(47110815)


@pytest.fixture(autouse=True)
def log(monkeypatch: pytest.MonkeyPatch) -> Iterator[io.StringIO]:
    """Everything that any logger has to say, with all its extras; and the key in the environment."""
    monkeypatch.setenv("TENIOS_ACCESS_KEY", CANARY)
    text = io.StringIO()
    handler = logging.StreamHandler(text)
    handler.setFormatter(_Everything())
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield text
    root.removeHandler(handler)
    root.setLevel(level)


class _Everything(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return f"{super().format(record)} {vars(record)!r}"


def everything_said_of(problem: BaseException) -> str:
    """Each text into which a program or a person might turn *problem*."""
    console = rich.console.Console(file=io.StringIO(), width=500)
    kind, trace = type(problem), problem.__traceback__
    console.print(
        rich.traceback.Traceback.from_exception(kind, problem, trace, show_locals=True, locals_max_string=10_000)
    )
    parts: list[object] = [repr(problem), str(problem), vars(problem), problem.args, getattr(problem, "__notes__", [])]
    parts.append("".join(traceback.TracebackException.from_exception(problem, capture_locals=True).format()))
    assert isinstance(console.file, io.StringIO)
    parts.append(console.file.getvalue())
    if isinstance(problem, TeniosError):
        parts.append(pickle.dumps(problem))
        parts.append(vars(pickle.loads(pickle.dumps(problem))))
    return "\n".join(map(str, parts))


def echo(status: str) -> Any:
    """A server that repeats the key in its answer."""
    return answer(status, {"error_code": CANARY, "error_message": f"unknown key {CANARY}", "fields": [CANARY]})


ECHOES = [
    Case("echo 400", echo("400 Bad Request"), TeniosError),
    Case("echo 500", echo("500 Internal Server Error"), TeniosError),
    Case("echo in the protocol", lambda connection: connection.send(f"{CANARY} is your key\r\n".encode()), TeniosError),
]


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", AFTER_THE_REQUEST + ECHOES, ids=lambda case: case.name)
def test_no_failure_of_a_dial_shows_the_key(mode: str, case: Case, log: io.StringIO) -> None:
    """The key is in the request and in nothing that comes out: error, traceback with locals, pickle, log."""
    with FaultServer(case.fault) as server:
        with pytest.raises(TeniosError) as raised:
            dial(mode, base_url=server.url, timeout=case.timeout)
        assert CANARY.encode() in server.bodies[0], "the test would prove nothing"
    assert CANARY not in everything_said_of(raised.value)
    assert CANARY not in log.getvalue()
    assert "tenios_ext" in log.getvalue()
    assert raised.value.__cause__ is None
    assert raised.value.__context__ is None


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", AFTER_THE_REQUEST[:3] + ECHOES, ids=lambda case: case.name)
def test_no_failure_of_a_question_shows_the_key(mode: str, case: Case, log: io.StringIO) -> None:
    """The same for the status."""
    with FaultServer(case.fault) as server:
        with pytest.raises(TeniosError) as raised:
            ask(mode, base_url=server.url, clock=VirtualClock())
        assert CANARY.encode() in server.bodies[0]
    assert CANARY not in everything_said_of(raised.value)
    assert CANARY not in log.getvalue()


def test_the_search_finds_what_httpx_would_show() -> None:
    """The check above can fail: an httpx exception in the middle of a request shows the key in its frames."""
    with FaultServer(lambda _: None) as server, pytest.raises(httpx.HTTPError) as raised:
        httpx.post(server.url, json={"access_key": CANARY}, trust_env=False)
    assert CANARY in everything_said_of(raised.value)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_interruption_does_not_show_the_key(mode: str) -> None:
    """Ctrl-C in the middle of a request passes through without the frames that hold the request."""

    def interrupt(request: httpx.Request) -> httpx.Response:
        body = request.content
        assert CANARY.encode() in body
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt) as raised:
        dial(mode, transport=httpx.MockTransport(interrupt))
    assert CANARY not in everything_said_of(raised.value)


@pytest.mark.parametrize("kind", [Tenios, AsyncTenios])
@pytest.mark.parametrize(
    "wrong",
    [
        {"timeout": 0},
        {"base_url": "http://tenios.invalid"},
        {"region": "XX", "allowed_numbers": ["030"]},
        {"access_key": ""},
    ],
)
def test_wrong_settings_do_not_show_the_key(kind: Any, wrong: dict[str, Any]) -> None:
    """A client that cannot be made does not show the key that it was given, from wherever it came."""
    with pytest.raises(InvalidRequestError) as raised:
        kind(**wrong)
    assert CANARY not in everything_said_of(raised.value)


def test_key_copied_with_a_line_break_is_refused_unseen(monkeypatch: pytest.MonkeyPatch) -> None:
    """A key with blanks around it is a slip of the clipboard, and is not repeated in the error."""
    monkeypatch.setenv("TENIOS_ACCESS_KEY", f"{CANARY}\n")
    with pytest.raises(InvalidRequestError, match="copied whole") as raised:
        Tenios()
    assert CANARY not in everything_said_of(raised.value)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_that_is_handed_out_shows_the_key(mode: str, log: io.StringIO) -> None:
    """Neither the callback nor its handle, outcome, client or settings."""
    with FaultServer(answer("200 OK", {"id": 10})) as server:
        callback = dial(mode, base_url=server.url)
    things: list[object] = [callback, callback.handle, callback.outcome, callback._client, callback._client._settings]
    things += [vars(callback), vars(callback._client), callback.handle.to_json()]
    assert CANARY not in repr(things) + "".join(map(str, things)) + log.getvalue()
    assert CANARY.encode() not in pickle.dumps([callback.handle, callback.outcome])
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(callback._client._settings)


def test_secret_is_sent_as_it_is_and_shown_masked() -> None:
    """JSON has the text; print, repr, format and logging have asterisks."""
    secret = Secret(CANARY)
    assert json.dumps({"access_key": secret}) == f'{{"access_key": "{CANARY}"}}'
    assert f"{secret} {secret!r} {secret:>5} {secret!s} %s %r" % (secret, secret) == "*** '***'   *** *** *** '***'"
    assert secret == CANARY
    settings = Settings.of(access_key=secret, timeout=1, pacing=lambda *_: 0, allowed_numbers=None)
    assert settings.access_key == CANARY


def test_cassette_with_the_recommended_filter_has_no_key(tmp_path: Path) -> None:
    """A recording with VCR.py, filtered as the guide says, holds the request without the key."""
    cassette = tmp_path / "cassette.yaml"
    with (
        FaultServer(answer("200 OK", {"id": 10})) as server,
        vcr.VCR(filter_post_data_parameters=["access_key"]).use_cassette(str(cassette)),
        Tenios(callback_config_id=CONFIG_ID, base_url=server.url) as tenios,
    ):
        tenios.start_callback(NUMBER)
    recorded = cassette.read_text()
    assert NUMBER in recorded
    assert CANARY not in recorded


def test_redirect_to_another_server_takes_nothing_there() -> None:
    """A redirect is not followed, so the key goes to nobody else."""
    with FaultServer(answer("200 OK", {"id": 10})) as stranger:

        def send_away(connection: Connection) -> None:
            connection.send(f"HTTP/1.1 307 Away\r\nLocation: {stranger.url}\r\nContent-Length: 0\r\n\r\n".encode())

        with FaultServer(send_away) as server, pytest.raises(TeniosError):
            dial("sync", base_url=server.url)
        assert not stranger.received


@pytest.mark.parametrize(
    "url", ["http://api.tenios.com", "http://10.0.0.1", "http://localhost.evil.example", "ftp://localhost"]
)
def test_plain_http_to_another_machine_is_refused(url: str) -> None:
    """The key never travels in the clear."""
    with pytest.raises(InvalidRequestError, match="base_url"):
        Tenios(base_url=url)


@pytest.mark.parametrize(
    "url", ["http://localhost:8311", "http://127.0.0.2", "http://[::1]:80/base/", "https://tenios.invalid"]
)
def test_plain_http_to_this_machine_is_allowed(url: str) -> None:
    """The simulator on this machine needs no certificate."""
    with Tenios(base_url=url) as tenios:
        assert repr(tenios) == f"Tenios({url.rstrip('/')!r})"


def test_refused_credentials_are_explained_without_showing_them() -> None:
    """Whoever reads the error knows what to compare, and where to find it."""
    with (
        FaultServer(error("400 Bad Request", "BAD_CREDENTIALS")) as server,
        pytest.raises(TeniosError, match=r"access key and to an unknown callback config id.*General Settings, API"),
    ):
        dial("sync", base_url=server.url)


def test_handle_is_free_of_secrets() -> None:
    """All that a handle has is its id, delay and start."""
    assert CallbackHandle(10, started_at=0).to_json() == '{"id": 10, "delay": 0, "started_at": 0.0}'

"""A call sends at most one init request, and its error says whether you may call again."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest
import trustme
from support.clients import (
    CONFIG_ID,
    MODES,
    NUMBER,
    new_key,
    refuse_names,
    shorten_limits,
    start_callback,
)
from support.faults import (
    FAILURES_AFTER_SENDING,
    INIT,
    STATUS,
    Case,
    FaultServer,
    reset_on_reuse,
    respond,
)

from tenios_ext import AsyncTenios, NotPlacedError, NotSentError, OutcomeUnknownError, Tenios

if TYPE_CHECKING:
    from collections.abc import Iterator

STARTED = respond("200 OK", {"id": 10, "status": "REQUESTED"}, "Connection: keep-alive")


@pytest.fixture(autouse=True)
def _access_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENIOS_ACCESS_KEY", "KEY")
    monkeypatch.setenv("TENIOS_CALLBACK_CONFIG_ID", CONFIG_ID)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", FAILURES_AFTER_SENDING, ids=lambda case: case.name)
def test_init_request_is_not_repeated_after_failure(
    mode: str, case: Case, monkeypatch: pytest.MonkeyPatch
) -> None:
    if case.timeout < 1:
        shorten_limits(monkeypatch)
    with FaultServer(case.fault) as server:
        with pytest.raises(case.expected) as raised:
            start_callback(mode, base_url=server.url, timeout=case.timeout)
        assert server.received == {INIT: 1}
    assert type(raised.value) is case.expected
    assert isinstance(raised.value, NotPlacedError) != isinstance(raised.value, OutcomeUnknownError)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("callback_id", [10, "10"])
def test_init_request_is_sent_once_if_all_goes_well(mode: str, callback_id: object) -> None:
    with FaultServer(respond("200 OK", {"id": callback_id})) as server:
        assert start_callback(mode, base_url=server.url).id == 10
        assert server.received == {INIT: 1}


@pytest.fixture
def refusing() -> str:
    """The URL of a port that refuses connections."""
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.mark.parametrize("mode", MODES)
def test_refused_connection_is_not_sent(mode: str, refusing: str) -> None:
    with pytest.raises(NotSentError, match="nothing was sent"):
        start_callback(mode, base_url=refusing)


@pytest.mark.parametrize("mode", MODES)
def test_unknown_host_is_not_sent(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse_names(monkeypatch)
    with pytest.raises(NotSentError, match="Name or service not known"):
        start_callback(mode, base_url="https://tenios.invalid")


@pytest.fixture
def untrusted() -> Iterator[tuple[str, list[bytes]]]:
    """
    The URL of a TLS server with an untrusted certificate, and what it receives after a handshake.
    """
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    received: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with sock, suppress(OSError), context.wrap_socket(sock, server_side=True) as secured:
                received.append(secured.recv(65536))

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"https://localhost:{listener.getsockname()[1]}", received
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_sent_to_a_server_whose_certificate_is_not_trusted(
    mode: str, untrusted: tuple[str, list[bytes]]
) -> None:
    url, received = untrusted
    with pytest.raises(NotSentError, match=r"(?i)certificate"):
        start_callback(mode, base_url=url)
    assert not any(received)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_sent_to_a_server_without_tls(mode: str) -> None:
    with FaultServer(respond("200 OK", {"id": 10})) as server:
        with pytest.raises(NotSentError):
            start_callback(mode, base_url=server.url.replace("http://", "https://"), timeout=0.25)
        assert not server.received


@pytest.mark.usefixtures("with_and_without_key")
@pytest.mark.parametrize("mode", MODES)
def test_init_request_never_uses_a_kept_connection(mode: str) -> None:
    """
    The server resets each connection at its second request. An init request on it would have an
    unknown outcome. The second status request uses it, and is repeated on a new one.
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

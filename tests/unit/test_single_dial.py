"""Nobody is ever dialled twice: whatever happens to the one request, there is no second one."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import pytest
import trustme
from support.dialling import MODES, dial
from support.faults import AFTER_THE_REQUEST, Case, FaultServer, answer, flood

from tenios_ext import NotPlacedError, NotSentError, OutcomeUnknownError

if TYPE_CHECKING:
    from collections.abc import Iterator

INIT = "/callback/init"


@pytest.fixture(autouse=True)
def _access_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TENIOS_ACCESS_KEY", "KEY")


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("case", AFTER_THE_REQUEST, ids=lambda case: case.name)
def test_request_is_sent_once_and_the_error_is_the_documented_one(mode: str, case: Case) -> None:
    """After whatever answer, exactly one request has been received, and the error says whether to call again."""
    with FaultServer(case.fault) as server:
        with pytest.raises(case.expected) as raised:
            dial(mode, base_url=server.url, timeout=case.timeout)
        assert server.received == {INIT: 1}
    assert type(raised.value) is case.expected
    assert isinstance(raised.value, NotPlacedError) != isinstance(raised.value, OutcomeUnknownError)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("identity", [10, "10"])
def test_request_that_goes_well_is_sent_once(mode: str, identity: object) -> None:
    """An id is a number or its text, and one call is one request."""
    with FaultServer(answer("200 OK", {"id": identity})) as server:
        assert dial(mode, base_url=server.url).id == 10
        assert server.received == {INIT: 1}


@pytest.mark.parametrize("mode", MODES)
def test_attributes_tell_what_is_known(mode: str) -> None:
    """Status, code, text, fields and Retry-After of the answer are attributes of the error."""
    [case] = [case for case in AFTER_THE_REQUEST if case.name == "429"]
    with FaultServer(case.fault) as server, pytest.raises(case.expected) as raised:
        dial(mode, base_url=server.url)
    error = raised.value
    assert (error.http_status, error.error_code, error.error_message) == (429, "X", "Some text")
    assert (error.fields, error.retry_after, error.reason) == (("delay",), 7.0, None)
    assert "429" in str(error)
    assert "Some text" in str(error)


@pytest.mark.parametrize("mode", MODES)
def test_answer_is_given_up_for_its_length_before_its_time(mode: str) -> None:
    """A flood is cut off by its bytes; a client with a long time-out does not fill its memory."""
    with FaultServer(flood) as server, pytest.raises(OutcomeUnknownError, match="more than 1048576 bytes"):
        dial(mode, base_url=server.url, timeout=60)


@pytest.fixture
def refusing() -> str:
    """An address at which nobody listens."""
    with closing(socket.create_server(("127.0.0.1", 0))) as probe:
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


@pytest.mark.parametrize("mode", MODES)
def test_refused_connection_is_not_sent(mode: str, refusing: str) -> None:
    """Where nobody listens, nothing was sent, and the call may be made again."""
    with pytest.raises(NotSentError, match="nothing was sent"):
        dial(mode, base_url=refusing)


@pytest.mark.parametrize("mode", MODES)
def test_unknown_host_is_not_sent(mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the name is not found, nothing was sent."""

    def not_found(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", not_found)
    with pytest.raises(NotSentError, match="Name or service not known"):
        dial(mode, base_url="https://tenios.invalid")


@pytest.fixture
def stranger() -> Iterator[tuple[str, list[bytes]]]:
    """A TLS server with a certificate that nobody trusts, and what it was told after a handshake."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    told: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            with sock, suppress(OSError), context.wrap_socket(sock, server_side=True) as secured:
                told.append(secured.recv(65536))

    thread = threading.Thread(target=serve)
    thread.start()
    yield f"https://localhost:{listener.getsockname()[1]}", told
    listener.shutdown(socket.SHUT_RDWR)
    listener.close()
    thread.join()


@pytest.mark.parametrize("mode", MODES)
def test_untrusted_server_is_told_nothing(mode: str, stranger: tuple[str, list[bytes]]) -> None:
    """A server that cannot prove who it is gets no request."""
    url, told = stranger
    with pytest.raises(NotSentError, match=r"(?i)certificate"):
        dial(mode, base_url=url)
    assert not any(told)


@pytest.mark.parametrize("mode", MODES)
def test_server_without_tls_is_told_nothing(mode: str) -> None:
    """HTTPS to a server that speaks plain HTTP fails before the request."""
    with FaultServer(answer("200 OK", {"id": 10})) as server:
        with pytest.raises(NotSentError):
            dial(mode, base_url=server.url.replace("http://", "https://"), timeout=0.25)
        assert not server.received

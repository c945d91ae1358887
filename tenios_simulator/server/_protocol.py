"""uvicorn's HTTP/1.1 protocol, with limits that uvicorn and httptools lack."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING, cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

if TYPE_CHECKING:
    import asyncio

#: The key of a connection's transport in the state of its requests.
CONNECTION = "tenios_simulator.connection"
#: The limit for a request without its body: headers, and the framing of chunks.
MAX_HEADER_BYTES = 64 << 10
#: Seconds that a client may take to send a request, or to receive a part of a response.
TIMEOUT = 60

_UPGRADE = re.compile(rb"^upgrade(?=[ \t]*:)", re.IGNORECASE | re.MULTILINE)
_HEADERS_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\n"
    b"Content-Length: 0\r\nConnection: close\r\n\r\n"
)


class Protocol(HttpToolsProtocol):
    """
    Gives the application access to the connection of a request, so that faults can close it.

    Closes the connection of a client that exceeds :data:`MAX_HEADER_BYTES`, or takes longer than
    :data:`TIMEOUT` to send a request or to read from a response. uvicorn's ``timeout_keep_alive``
    closes connections between two requests.

    Ignores ``Upgrade`` headers, which Java's HttpClient sends, because httptools would lose the
    body of the request (uvicorn issue 2722). This also changes a body with a line that begins with
    the same word, but such a body is not JSON.
    """

    _header_bytes = 0
    _is_receiving = False
    _receives_headers = False
    _receive_timer: asyncio.TimerHandle | None = None
    _send_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        connection = cast("asyncio.Transport", transport)
        self.app_state = {**self.app_state, CONNECTION: connection}
        # asyncio sets this only on its own sockets. Without it, each response waits 40 ms for an
        # acknowledgement.
        connection.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        # Makes asyncio call pause_writing() whenever the client has not received everything.
        connection.set_write_buffer_limits(high=0)
        super().connection_made(connection)
        self._start_receive_timer()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_receive_timer()
        self._stop_send_timer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._start_receive_timer()
        self._header_bytes += len(data)
        super().data_received(_UPGRADE.sub(b"Ignored", data))
        if self._header_bytes > MAX_HEADER_BYTES:
            self._refuse_headers()

    def on_message_begin(self) -> None:
        self._is_receiving = self._receives_headers = True
        self._start_receive_timer()
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._receives_headers = False
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._header_bytes -= len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._header_bytes = 0
        self._is_receiving = False
        self._stop_receive_timer()
        super().on_message_complete()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._start_send_timer()

    def resume_writing(self) -> None:
        self._stop_send_timer()
        super().resume_writing()

    def _refuse_headers(self) -> None:
        if self._receives_headers and not self._is_responding():
            self.transport.write(_HEADERS_TOO_LARGE)
            self.transport.close()
        else:
            self.transport.abort()

    def _is_responding(self) -> bool:
        # The cycle is None before the first request.
        return not getattr(self.cycle, "response_complete", True)

    def _start_receive_timer(self) -> None:
        if self._receive_timer is None:
            self._receive_timer = self.loop.call_later(TIMEOUT, self._check_receiving)

    def _stop_receive_timer(self) -> None:
        if self._receive_timer is not None:
            self._receive_timer.cancel()
            self._receive_timer = None

    def _check_receiving(self) -> None:
        self._receive_timer = None
        # The server has not yet responded to an earlier request.
        if self.flow.read_paused:
            self._start_receive_timer()
        elif self._is_receiving or not self._is_responding():
            self.transport.abort()

    def _start_send_timer(self) -> None:
        unsent = self.transport.get_write_buffer_size()
        self._send_timer = self.loop.call_later(TIMEOUT, self._check_sending, unsent)

    def _stop_send_timer(self) -> None:
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None

    def _check_sending(self, unsent: int) -> None:
        if self.transport.get_write_buffer_size() < unsent:
            self._start_send_timer()
        else:
            self.transport.abort()

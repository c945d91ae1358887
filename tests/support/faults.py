"""A server that reads and records complete requests, and then fails in a given way."""

from __future__ import annotations

import gzip
import json
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from itertools import chain, repeat
from typing import Any, NamedTuple, Self

from tenios_ext import BadCredentialsError, OutcomeUnknownError, RejectedError, TeniosError

INIT, STATUS = "/callback/init", "/callback/status"
Fault = Callable[["Connection"], None]
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Connection:
    """A connection with a complete request, for a fault to respond to or to close."""

    def __init__(self, sock: socket.socket, stopped: threading.Event) -> None:
        self._sock = sock
        self._stopped = stopped

    def send(self, data: bytes) -> None:
        self._sock.sendall(data)

    def reset(self) -> None:
        """Reset the connection instead of closing it."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

    def hold(self, seconds: float | None = None) -> bool:
        """Wait until the server is stopped, for at most *seconds*. Return whether it was."""
        return self._stopped.wait(seconds)


class FaultServer:
    """
    A loopback server that applies a fault to each request.

    Attributes:
        fault: The fault for the next request.
        received: The number of complete requests, by path.
        paths: The path of each complete request, in order.
        bodies: The body of each complete request, in order.
    """

    def __init__(self, fault: Fault, *, keep_open: bool = False) -> None:
        self.received: Counter[str] = Counter()
        self.paths: list[str] = []
        self.bodies: list[bytes] = []
        self.fault = fault
        self._keep_open = keep_open
        self._stopped = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._threads = [threading.Thread(target=self._accept)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            thread = threading.Thread(target=self._serve, args=(sock,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(0.05)
        with sock, suppress(OSError):
            connection = Connection(sock, self._stopped)
            while (path := self._read_request(sock)) is not None:
                self.paths.append(path)
                self.received[path] += 1
                self.fault(connection)
                if not self._keep_open:
                    return

    def _read_request(self, sock: socket.socket) -> str | None:
        """Return the path of the next complete request; None if the client has disconnected."""
        data = b""
        while not self._stopped.is_set():
            try:
                chunk = sock.recv(65536)
            except TimeoutError:
                continue
            if not chunk:
                return None
            data += chunk
            head, end, body = data.partition(b"\r\n\r\n")
            lengths = [
                line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")
            ]
            if end and len(body) >= int(lengths[0].partition(b":")[2]):
                self.bodies.append(body)
                return head.split(b" ")[1].decode()
        return None


def respond_raw(status: str, body: bytes = b"", *headers: str) -> Fault:
    """
    Return a fault that sends this response. It has ``Connection: close`` unless *headers* has
    ``Connection: keep-alive``.
    """
    lines = [
        f"HTTP/1.1 {status}",
        *(headers if "Connection: keep-alive" in headers else [*headers, "Connection: close"]),
    ]
    if not status.startswith("204"):
        lines.append(f"Content-Length: {len(body)}")
    return lambda connection: connection.send("\r\n".join([*lines, "", ""]).encode() + body)


def respond(status: str, document: Any, *headers: str) -> Fault:
    return respond_raw(
        status, json.dumps(document).encode(), "Content-Type: application/json", *headers
    )


def respond_error(status: str, code: str = "SOME_CODE", *headers: str) -> Fault:
    """Return a fault that sends an error in the documented format."""
    return respond(
        status, {"error_code": code, "error_message": "Some text", "fields": ["delay"]}, *headers
    )


def drop(_: Connection) -> None:
    pass


def reset(connection: Connection) -> None:
    connection.reset()


def reset_mid_response(connection: Connection) -> None:
    connection.send(
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{"
    )
    connection.reset()


def cut_short(connection: Connection) -> None:
    """Close the connection before the end of the body."""
    connection.send(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id": 10}')


def in_turn(*faults: Fault, others: Fault = drop) -> Fault:
    """Return a fault that applies the next one of *faults* to each request, then *others*."""
    remaining = chain(faults, repeat(others))

    def do_next(connection: Connection) -> None:
        next(remaining)(connection)

    return do_next


def reset_on_reuse(first: Fault) -> Fault:
    """
    Return a fault that applies *first* to the first request on each connection, and resets the
    connection at the second.
    """
    used: set[Connection] = set()

    def respond_or_reset(connection: Connection) -> None:
        if connection in used:
            connection.reset()
            raise ConnectionResetError
        used.add(connection)
        first(connection)

    return respond_or_reset


def never_respond(connection: Connection) -> None:
    connection.hold()


def drip(connection: Connection) -> None:
    """Send an endless response, one byte at a time."""
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not connection.hold(0.02):
        connection.send(b" ")


def flood(connection: Connection) -> None:
    """Send an endless response as fast as possible."""
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    while not connection.hold(0):
        connection.send(chunk)


def send_non_http(connection: Connection) -> None:
    connection.send(b"220 mail.example ESMTP\r\n")


class Case(NamedTuple):
    """
    A failure of an init request after TENIOS has read it.

    Attributes:
        name: The failure; also the text in the list of tested failures in the docs.
        fault: The fault.
        expected: The error that is raised.
        timeout: The client's timeout in seconds, which is short only in tests of the timeout.
    """

    name: str
    fault: Fault
    expected: type[TeniosError]
    timeout: float = 30


_HTML = b"<html><body>Bad gateway</body></html>"
_BROKEN_GZIP = gzip.compress(b'{"id": 10}')[:12]
_ELSEWHERE = "Location: /elsewhere"

FAILURES_AFTER_SENDING = [
    Case(
        "400 with `BAD_CREDENTIALS`",
        respond_error("400 Bad Request", "BAD_CREDENTIALS"),
        BadCredentialsError,
    ),
    Case("401", respond_error("401 Unauthorized"), BadCredentialsError),
    Case("403", respond_error("403 Forbidden"), BadCredentialsError),
    Case("400 with another code", respond_error("400 Bad Request", "INVALID_VALUE"), RejectedError),
    Case(
        "400 with HTML",
        respond_raw("400 Bad Request", _HTML, "Content-Type: text/html"),
        RejectedError,
    ),
    Case("404", respond_error("404 Not Found"), RejectedError),
    Case("405", respond_error("405 Method Not Allowed", "X", "Allow: POST"), RejectedError),
    Case("413", respond_error("413 Content Too Large"), RejectedError),
    Case("415", respond_error("415 Unsupported Media Type"), RejectedError),
    Case("422", respond_error("422 Unprocessable Content"), RejectedError),
    Case("429", respond_error("429 Too Many Requests", "X", "Retry-After: 7"), RejectedError),
    Case("connection closed without a response", drop, OutcomeUnknownError),
    Case("connection reset without a response", reset, OutcomeUnknownError),
    Case("connection reset during the response", reset_mid_response, OutcomeUnknownError),
    Case("response cut short", cut_short, OutcomeUnknownError),
    Case("no response in time", never_respond, OutcomeUnknownError, timeout=0.25),
    Case("response that does not finish in time", drip, OutcomeUnknownError, timeout=0.25),
    Case("response larger than 1 MiB", flood, OutcomeUnknownError),
    Case("response that is not HTTP", send_non_http, OutcomeUnknownError),
    Case("301", respond_raw("301 Moved Permanently", b"", _ELSEWHERE), OutcomeUnknownError),
    Case("302", respond_raw("302 Found", b"", _ELSEWHERE), OutcomeUnknownError),
    Case("307", respond_raw("307 Temporary Redirect", b"", _ELSEWHERE), OutcomeUnknownError),
    Case("308", respond_raw("308 Permanent Redirect", b"", _ELSEWHERE), OutcomeUnknownError),
    Case("408", respond_error("408 Request Timeout"), OutcomeUnknownError),
    Case("409", respond_error("409 Conflict"), OutcomeUnknownError),
    Case("425", respond_error("425 Too Early"), OutcomeUnknownError),
    Case("500", respond_error("500 Internal Server Error"), OutcomeUnknownError),
    Case(
        "502 with HTML",
        respond_raw("502 Bad Gateway", _HTML, "Content-Type: text/html"),
        OutcomeUnknownError,
    ),
    Case(
        "503", respond_error("503 Service Unavailable", "X", "Retry-After: 7"), OutcomeUnknownError
    ),
    Case("504", respond_error("504 Gateway Timeout"), OutcomeUnknownError),
    Case("520", respond_error("520 Web Server Returned an Unknown Error"), OutcomeUnknownError),
    Case("201", respond("201 Created", {"id": 10}), OutcomeUnknownError),
    Case("204", respond_raw("204 No Content"), OutcomeUnknownError),
    Case("200 with an empty body", respond_raw("200 OK"), OutcomeUnknownError),
    Case(
        "200 with HTML",
        respond_raw("200 OK", _HTML, "Content-Type: text/html"),
        OutcomeUnknownError,
    ),
    Case("200 with truncated JSON", respond_raw("200 OK", b'{"id": 1'), OutcomeUnknownError),
    Case(
        "200 with invalid UTF-8", respond_raw("200 OK", b'{"id": "\xff\xfe"}'), OutcomeUnknownError
    ),
    Case("200 with a JSON array", respond("200 OK", [10]), OutcomeUnknownError),
    Case("200 with deeply nested JSON", respond_raw("200 OK", b"[" * 100_000), OutcomeUnknownError),
    Case(
        "400 with an `id`",
        respond("400 Bad Request", {"id": 10, "error_code": "INVALID_VALUE"}),
        OutcomeUnknownError,
    ),
    Case("200 without an `id`", respond("200 OK", {}), OutcomeUnknownError),
    *(
        Case(
            f"200 with the `id` `{json.dumps(value)}`",
            respond("200 OK", {"id": value}),
            OutcomeUnknownError,
        )
        for value in ("ten", "", None, True, 1.5, -1, [10], {"id": 10})
    ),
    Case(
        "200 with two different `id`s",
        respond_raw("200 OK", b'{"id": 10, "id": 11}'),
        OutcomeUnknownError,
    ),
    Case(
        "200 with an `id` and an `error_code`",
        respond("200 OK", {"id": 10, "error_code": "INVALID_VALUE"}),
        OutcomeUnknownError,
    ),
    Case(
        "200 with corrupt gzip data",
        respond_raw("200 OK", _BROKEN_GZIP, "Content-Encoding: gzip"),
        OutcomeUnknownError,
    ),
]
#: Those without a complete response, whose error comes from the HTTP library.
LOST_RESPONSES = [case for case in FAILURES_AFTER_SENDING if not case.name[0].isdigit()]

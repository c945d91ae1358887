"""A server that takes a request whole, counts it, and then misbehaves."""

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

Fault = Callable[["Connection"], None]
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)


class Connection:
    """What a fault may do with a connection on which a request has come in."""

    def __init__(self, sock: socket.socket, stopped: threading.Event) -> None:
        self._sock = sock
        self._stopped = stopped

    def send(self, data: bytes) -> None:
        """Send some bytes of an answer, or of something else."""
        self._sock.sendall(data)

    def reset(self) -> None:
        """Have the connection reset instead of closed."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)

    def hold(self, seconds: float | None = None) -> bool:
        """Keep the connection open and silent until the server is stopped; say whether it was."""
        return self._stopped.wait(seconds)


class FaultServer:
    """
    Misbehaves on the loopback.

    Attributes:
        fault: What is done with the next request.
        received: How many requests came in whole, by path.
        paths: Their paths, in order.
        bodies: Their bodies.
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
        """The path of the next request, once it has come in whole; None where the client has left."""
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
            lengths = [line for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")]
            if end and len(body) >= int(lengths[0].partition(b":")[2]):
                self.bodies.append(body)
                return head.split(b" ")[1].decode()
        return None


def raw(status: str, body: bytes = b"", *headers: str) -> Fault:
    """Answer with these bytes, whole; and say that the connection ends, as it does, unless a header says otherwise."""
    lines = [
        f"HTTP/1.1 {status}",
        *(headers if "Connection: keep-alive" in headers else [*headers, "Connection: close"]),
    ]
    if not status.startswith("204"):
        lines.append(f"Content-Length: {len(body)}")
    return lambda connection: connection.send("\r\n".join([*lines, "", ""]).encode() + body)


def answer(status: str, document: Any, *headers: str) -> Fault:
    """Answer with JSON."""
    return raw(status, json.dumps(document).encode(), "Content-Type: application/json", *headers)


def error(status: str, code: str = "SOME_CODE", *headers: str) -> Fault:
    """Answer with a documented error."""
    return answer(status, {"error_code": code, "error_message": "Some text", "fields": ["delay"]}, *headers)


def drop(_: Connection) -> None:
    """Close the connection without an answer."""


def reset(connection: Connection) -> None:
    """Reset the connection without an answer."""
    connection.reset()


def reset_in_the_middle(connection: Connection) -> None:
    """Begin to answer, then reset the connection."""
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 10\r\n\r\n{")
    connection.reset()


def cut_short(connection: Connection) -> None:
    """Promise more than is sent."""
    connection.send(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id": 10}')


def in_turn(*faults: Fault, others: Fault = drop) -> Fault:
    """One fault for each request, in this order, and one for all others."""
    remaining = chain(faults, repeat(others))

    def do_next(connection: Connection) -> None:
        next(remaining)(connection)

    return do_next


def lose_patience(first: Fault) -> Fault:
    """Do *first* for the first request on each connection, and reset the connection as soon as a second one has come in."""
    answered: set[Connection] = set()

    def answer_or_reset(connection: Connection) -> None:
        if connection in answered:
            connection.reset()
            raise ConnectionResetError
        answered.add(connection)
        first(connection)

    return answer_or_reset


def silence(connection: Connection) -> None:
    """Never answer."""
    connection.hold()


def drip(connection: Connection) -> None:
    """Answer a byte at a time, for longer than anybody wants to wait."""
    connection.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    while not connection.hold(0.02):
        connection.send(b" ")


def flood(connection: Connection) -> None:
    """Answer with more than anybody wants to read."""
    connection.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    chunk = b"100000\r\n" + b" " * 0x100000 + b"\r\n"
    while not connection.hold(0):
        connection.send(chunk)


def babble(connection: Connection) -> None:
    """Answer with something that is not HTTP."""
    connection.send(b"220 mail.example ESMTP\r\n")


class Case(NamedTuple):
    """
    A way for a dial to go wrong after TENIOS has read the request.

    Attributes:
        name: What happens, in words; the guide's table has it.
        fault: Does it.
        expected: What is raised.
        timeout: Seconds that the client waits; short only where waiting is the point, so that a slow machine changes nothing.
    """

    name: str
    fault: Fault
    expected: type[TeniosError]
    timeout: float = 30


_HTML = b"<html><body>Bad gateway</body></html>"
_BROKEN_GZIP = gzip.compress(b'{"id": 10}')[:12]
_ELSEWHERE = "Location: /elsewhere"

AFTER_THE_REQUEST = [
    Case("400 with `BAD_CREDENTIALS`", error("400 Bad Request", "BAD_CREDENTIALS"), BadCredentialsError),
    Case("401", error("401 Unauthorized"), BadCredentialsError),
    Case("403", error("403 Forbidden"), BadCredentialsError),
    Case("400 with another code", error("400 Bad Request", "INVALID_VALUE"), RejectedError),
    Case("400 with HTML", raw("400 Bad Request", _HTML, "Content-Type: text/html"), RejectedError),
    Case("404", error("404 Not Found"), RejectedError),
    Case("405", error("405 Method Not Allowed", "X", "Allow: POST"), RejectedError),
    Case("413", error("413 Content Too Large"), RejectedError),
    Case("415", error("415 Unsupported Media Type"), RejectedError),
    Case("422", error("422 Unprocessable Content"), RejectedError),
    Case("429", error("429 Too Many Requests", "X", "Retry-After: 7"), RejectedError),
    Case("connection closed without an answer", drop, OutcomeUnknownError),
    Case("connection reset without an answer", reset, OutcomeUnknownError),
    Case("connection reset in the middle of the answer", reset_in_the_middle, OutcomeUnknownError),
    Case("answer cut short", cut_short, OutcomeUnknownError),
    Case("no answer in time", silence, OutcomeUnknownError, timeout=0.25),
    Case("answer that trickles in for too long", drip, OutcomeUnknownError, timeout=0.25),
    Case("answer of more than a mebibyte", flood, OutcomeUnknownError),
    Case("answer that is not HTTP", babble, OutcomeUnknownError),
    Case("301", raw("301 Moved Permanently", b"", _ELSEWHERE), OutcomeUnknownError),
    Case("302", raw("302 Found", b"", _ELSEWHERE), OutcomeUnknownError),
    Case("307", raw("307 Temporary Redirect", b"", _ELSEWHERE), OutcomeUnknownError),
    Case("308", raw("308 Permanent Redirect", b"", _ELSEWHERE), OutcomeUnknownError),
    Case("408", error("408 Request Timeout"), OutcomeUnknownError),
    Case("409", error("409 Conflict"), OutcomeUnknownError),
    Case("425", error("425 Too Early"), OutcomeUnknownError),
    Case("500", error("500 Internal Server Error"), OutcomeUnknownError),
    Case("502 with HTML", raw("502 Bad Gateway", _HTML, "Content-Type: text/html"), OutcomeUnknownError),
    Case("503", error("503 Service Unavailable", "X", "Retry-After: 7"), OutcomeUnknownError),
    Case("504", error("504 Gateway Timeout"), OutcomeUnknownError),
    Case("520", error("520 Web Server Returned an Unknown Error"), OutcomeUnknownError),
    Case("201", answer("201 Created", {"id": 10}), OutcomeUnknownError),
    Case("204", raw("204 No Content"), OutcomeUnknownError),
    Case("200 with nothing", raw("200 OK"), OutcomeUnknownError),
    Case("200 with HTML", raw("200 OK", _HTML, "Content-Type: text/html"), OutcomeUnknownError),
    Case("200 with truncated JSON", raw("200 OK", b'{"id": 1'), OutcomeUnknownError),
    Case("200 with bytes that are no text", raw("200 OK", b'{"id": "\xff\xfe"}'), OutcomeUnknownError),
    Case("200 with a list", answer("200 OK", [10]), OutcomeUnknownError),
    Case("200 with nested lists without end", raw("200 OK", b"[" * 100_000), OutcomeUnknownError),
    Case("200 without id", answer("200 OK", {}), OutcomeUnknownError),
    *(
        Case(f"200 with the id `{json.dumps(value)}`", answer("200 OK", {"id": value}), OutcomeUnknownError)
        for value in ("ten", "", None, True, 1.5, -1, [10], {"id": 10})
    ),
    Case("200 with broken compression", raw("200 OK", _BROKEN_GZIP, "Content-Encoding: gzip"), OutcomeUnknownError),
]

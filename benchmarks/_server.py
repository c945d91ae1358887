"""
Small and fast servers, each in a process of its own, so that what is measured is the client.

A server is a program that calls :func:`serve` with a function of its own; :func:`running` starts
it.
"""

from __future__ import annotations

import asyncio
import json
import os
import ssl
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

#: What each client that is measured finds its answer in.
ANSWER = {
    "id": 10,
    "status": "CONNECTED",
    "object": "customer",
    "name": "N",
    "data": {"record_type": "call", "is_alive": True},
    "call_uuid": "abc",
}


class _Protocol(asyncio.Protocol):
    def __init__(self, answer: Callable[[bytes], dict[str, Any]]) -> None:
        self._answer = answer
        self._received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, separator, body = self._received.partition(b"\r\n\r\n")
        head = head.lower()
        length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if not separator or len(body) < length:
            return
        self._received = b""
        content = json.dumps(self._answer(body)).encode()
        headers = (
            b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
            % len(content)
        )
        assert isinstance(self._transport, asyncio.Transport)
        self._transport.write(headers + content)
        if b"connection: close" in head:
            self._transport.close()


async def serve(answer: Callable[[bytes], dict[str, Any]], certificate: str = "") -> None:
    """
    Print the port, and answer each request until standard input is closed. With a certificate, use
    TLS.
    """
    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: _Protocol(answer), "127.0.0.1", 0, ssl=context, backlog=1024
    )
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    os._exit(0)


@contextmanager
def running(program: str | Path, *arguments: str | Path, scheme: str = "http") -> Iterator[str]:
    """Run a server, and yield its URL."""
    command = [sys.executable, program, *arguments]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"{scheme}://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.stdin.close()


@contextmanager
def serving(certificate: Path | None = None) -> Iterator[str]:
    """Run a server that gives the same answer to each request, and yield its URL."""
    with running(__file__, certificate or "", scheme="https" if certificate else "http") as url:
        yield url


if __name__ == "__main__":
    asyncio.run(serve(lambda _: ANSWER, sys.argv[1]))

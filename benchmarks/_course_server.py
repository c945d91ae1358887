"""
A fast server of the statuses of callbacks that are in mid-course, in a process of its own.

Each callback rings twice for 5 to 40 s and talks for 20 to 600 s. Its age at the beginning is what one finds at any moment of a
service to which callbacks keep coming. The server is small, so that what is measured is the client.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from bisect import bisect_right
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

STATUSES = ["CALLING_A", "CALLING_B", "CONNECTED", "DISCONNECTED"]
SEED = 20
LONGEST = 680.0


def courses(count: int, begin: float) -> list[list[float]]:
    """Return when each callback rings at the agent's, at the customer's, connects and ends; seconds since the epoch."""
    rng = random.Random(SEED)  # noqa: S311 - not a secret
    found: list[list[float]] = []
    while len(found) < count:
        answered = rng.uniform(5, 40)
        connected = answered + rng.uniform(5, 40)
        ended = connected + rng.uniform(20, 600)
        age = rng.uniform(0, LONGEST)
        if age < ended:
            found.append([begin - age + each for each in (0.0, answered, connected, ended)])
    return found


class _Protocol(asyncio.Protocol):
    times: list[list[float]]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        _head, separator, body = self._received.partition(b"\r\n\r\n")
        if not separator or not body.endswith(b"}"):
            return
        self._received = b""
        callback_id = json.loads(body).get("id", 0)
        status = STATUSES[max(0, bisect_right(self.times[callback_id], time.time()) - 1)]
        content = f'{{"id":{callback_id},"status":"{status}"}}'.encode()
        headers = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(content)
        assert isinstance(self._transport, asyncio.Transport)
        self._transport.write(headers + content)


async def _serve(count: int, begin: float) -> None:
    _Protocol.times = courses(count, begin)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(_Protocol, "127.0.0.1", 0, backlog=1024)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)  # until the parent process closes the pipe
    os._exit(0)


@contextmanager
def serving(count: int, begin: float) -> Iterator[str]:
    """Run the server, and yield its URL."""
    command = [sys.executable, __file__, str(count), repr(begin)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().strip()}"
        finally:
            process.stdin.close()


if __name__ == "__main__":
    asyncio.run(_serve(int(sys.argv[1]), float(sys.argv[2])))

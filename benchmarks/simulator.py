"""
The simulator's speed: a complete callback in process, and status requests per second over HTTP
compared with Prism.

Both servers get the same requests in turn, in the same run. Plain sockets send them, because an
HTTP client's cost would hide the difference.
"""

from __future__ import annotations

import json
import re
import socket
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.prism import ROOT, prism_mock

from tenios_simulator import ACCESS_KEY, CALLBACK_CONFIG_ID, Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

CALLBACKS = 200
ROUNDS = 5
CONNECTIONS = 4
REQUESTS = 500  # per connection
INIT = {
    "access_key": ACCESS_KEY,
    "callback_config_id": CALLBACK_CONFIG_ID,
    "callback_number": "+492214710123",
    "delay": 0,
}


def run_callback() -> float:
    """
    Return the milliseconds of a callback in process, from making the simulator and its client to
    the outcome.
    """
    began = time.perf_counter()
    with Simulator().client() as tenios:
        assert tenios.start_callback("+492214710123").wait().connected
    return (time.perf_counter() - began) * 1000


@contextmanager
def simulator_url() -> Iterator[str]:
    """Run `tenios simulate` and yield its URL."""
    command: list[str | Path] = [
        Path(sys.executable).with_name("tenios"),
        "simulate",
        "--port",
        "0",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield next(
                found.group()
                for line in process.stdout
                if (found := re.search(r"http://127\.0\.0\.1:\d+", line))
            )
        finally:
            process.kill()


def send_requests(port: int, request: bytes) -> None:
    """Send all requests of one connection, each after the response to the one before."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        for _ in range(REQUESTS):
            sock.sendall(request)
            response = b""
            while b"status" not in response.partition(b"\r\n\r\n")[2]:
                received = sock.recv(65536)
                assert received, "the server has closed the connection"
                response += received
            assert response.startswith(b"HTTP/1.1 200"), response


def requests_per_second(url: str) -> float:
    """Return how many status requests the server answers in a second, over several connections."""
    started = httpx.post(f"{url}/callback/init", json=INIT).json()
    body = json.dumps({"access_key": ACCESS_KEY, "id": started["id"]})
    headers = f"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    request = f"POST /callback/status HTTP/1.1\r\n{headers}\r\n\r\n{body}".encode()
    port = int(url.rpartition(":")[2])
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        began = time.perf_counter()
        for sent in [pool.submit(send_requests, port, request) for _ in range(CONNECTIONS)]:
            sent.result()
        return CONNECTIONS * REQUESTS / (time.perf_counter() - began)


def main() -> None:
    """Print both."""
    run_callback()
    print(
        f"a callback in process: {statistics.median(run_callback() for _ in range(CALLBACKS)):.1f} "
        "ms"
    )
    with (
        simulator_url() as ours,
        prism_mock(ROOT / "openapi.yaml", "--verboseLevel", "silent") as prism,
    ):
        pairs = [(requests_per_second(ours), requests_per_second(prism.url)) for _ in range(ROUNDS)]
    for name, rates in zip(("simulator", "Prism"), zip(*pairs, strict=True), strict=True):
        print(f"{name:10} {statistics.median(rates):6.0f} status requests per second")
    print(f"ratio      {statistics.median(mine / other for mine, other in pairs):6.2f}")


if __name__ == "__main__":
    main()

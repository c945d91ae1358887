"""
The simulator's speed: a whole callback in process, and questions per second over HTTP beside those of a quiet Prism.

Both servers are asked in turn, in one run, by the same plain sockets: what a client library costs would hide the difference.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import httpx

from tenios_ext.simulator import ACCESS_KEY, CALLBACK_CONFIG_ID, Simulator

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).resolve().parent.parent
CALLBACKS = 200
ROUNDS = 5
CONNECTIONS = 4
QUESTIONS = 500
INIT = {
    "access_key": ACCESS_KEY,
    "callback_config_id": CALLBACK_CONFIG_ID,
    "callback_number": "+492214710123",
    "delay": 0,
}


def whole_callback() -> float:
    """Milliseconds of a callback in process, from the making of the simulator and its client to the outcome."""
    began = time.perf_counter()
    with Simulator().client() as tenios:
        assert tenios.start_callback("+492214710123").wait().connected
    return (time.perf_counter() - began) * 1000


@contextmanager
def running(command: list[str | Path], ready: str) -> Iterator[int]:
    """The port of a server, once it has printed *ready* with it."""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, start_new_session=True) as process:
        assert process.stdout is not None
        try:
            found = next(match for line in process.stdout if (match := re.search(ready, line)))
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield int(found.group(1))
        finally:
            os.killpg(process.pid, signal.SIGKILL)


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return int(probe.getsockname()[1])


def ask(port: int, request: bytes) -> None:
    """Ask so many questions over one connection."""
    with socket.create_connection(("127.0.0.1", port)) as sock:
        for _ in range(QUESTIONS):
            sock.sendall(request)
            answer = b""
            while b"status" not in answer.partition(b"\r\n\r\n")[2]:
                received = sock.recv(65536)
                assert received, "the server has closed the connection"
                answer += received
            assert answer.startswith(b"HTTP/1.1 200"), answer


def per_second(port: int) -> float:
    """Questions that are answered in a second, over a few connections."""
    started = httpx.post(f"http://127.0.0.1:{port}/callback/init", json=INIT).json()
    body = json.dumps({"access_key": ACCESS_KEY, "id": started["id"]})
    headers = f"Host: localhost\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    request = f"POST /callback/status HTTP/1.1\r\n{headers}\r\n\r\n{body}".encode()
    with ThreadPoolExecutor(CONNECTIONS) as pool:
        began = time.perf_counter()
        for asking in [pool.submit(ask, port, request) for _ in range(CONNECTIONS)]:
            asking.result()
        return CONNECTIONS * QUESTIONS / (time.perf_counter() - began)


def main() -> None:
    """Print both."""
    whole_callback()
    print(f"a whole callback in process: {statistics.median(whole_callback() for _ in range(CALLBACKS)):.1f} ms")
    npx = shutil.which("npx")
    if npx is None:
        sys.exit("Node.js is missing; Prism needs it.")
    simulate: list[str | Path] = [Path(sys.executable).with_name("tenios"), "simulate", "--port", "0"]
    prism_port = free_port()
    prism: list[str | Path] = [npx, "--no-install", "prism", "mock", "--port", str(prism_port), "openapi.yaml"]
    quiet: list[str | Path] = [*prism, "--verboseLevel", "silent"]
    with running(simulate, r"http://127\.0\.0\.1:(\d+)") as ours, quietly(quiet, prism_port) as theirs:
        pairs = [(per_second(ours), per_second(theirs)) for _ in range(ROUNDS)]
    for name, rates in zip(("simulator", "Prism"), zip(*pairs, strict=True), strict=True):
        print(f"{name:10} {statistics.median(rates):6.0f} questions per second")
    print(f"ratio      {statistics.median(mine / other for mine, other in pairs):6.2f}")


@contextmanager
def quietly(command: list[str | Path], port: int) -> Iterator[int]:
    """The same for a server that prints nothing: it is asked until it answers."""
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            while process.poll() is None:
                try:
                    httpx.get(f"http://127.0.0.1:{port}")
                except httpx.TransportError:
                    continue
                break
            yield port
        finally:
            os.killpg(process.pid, signal.SIGKILL)


if __name__ == "__main__":
    main()

"""
Init requests over kept connections and over new ones: how many end with an unknown outcome, and how
long each takes.

The server resets each kept connection when the second request arrives on it, as if its idle timeout
had just passed.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.faults import FaultServer, reset_on_reuse, respond

from tenios_ext import OutcomeUnknownError, Tenios

REQUESTS = 200
STARTED = respond("200 OK", {"id": 10}, "Connection: keep-alive")


class KeepAliveTransport(httpx.HTTPTransport):
    """Httpx's default transport, which keeps connections for init requests, too."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request and keep the connection."""
        request.headers["Connection"] = "keep-alive"
        return super().handle_request(request)


def start_callbacks(transport: httpx.BaseTransport | None) -> tuple[int, float]:
    """Return how many init requests had an unknown outcome, and the milliseconds that one took."""
    unknown = 0
    with (
        FaultServer(reset_on_reuse(STARTED), keep_open=True) as server,
        Tenios("KEY", "CONFIG", base_url=server.url, transport=transport) as tenios,
    ):
        tenios.start_callback("+492214710123")
        began = time.perf_counter()
        for _ in range(REQUESTS):
            try:
                tenios.start_callback("+492214710123")
            except OutcomeUnknownError:
                unknown += 1
        return unknown, (time.perf_counter() - began) / REQUESTS * 1000


def main() -> None:
    """Print both for each transport."""
    for name, transport in {
        "kept connections": KeepAliveTransport(),
        "new connections": None,
    }.items():
        unknown, milliseconds = start_callbacks(transport)
        print(f"{name:18} {unknown:4} of {REQUESTS} outcomes unknown, {milliseconds:5.1f} ms each")


if __name__ == "__main__":
    main()

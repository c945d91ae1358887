"""
What a connection of its own buys for each dial, and what it costs: the same dials over kept connections and over new ones.

The server closes each kept connection as soon as the second request on it has come in: its patience has just ended.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import httpx

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from support.faults import FaultServer, answer, lose_patience

from tenios_ext import OutcomeUnknownError, Tenios

DIALS = 200
STARTED = answer("200 OK", {"id": 10}, "Connection: keep-alive")


class Kept(httpx.HTTPTransport):
    """httpx as it comes: connections are kept, also for dials."""

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Ask for the connection to be kept."""
        request.headers["Connection"] = "keep-alive"
        return super().handle_request(request)


def dial(transport: httpx.BaseTransport | None) -> tuple[int, float]:
    """How many of the dials were left open, and the milliseconds of each."""
    unknown = 0
    with (
        FaultServer(lose_patience(STARTED), keep_open=True) as server,
        Tenios("KEY", "CONFIG", base_url=server.url, transport=transport) as tenios,
    ):
        tenios.start_callback("+492214710123")
        began = time.perf_counter()
        for _ in range(DIALS):
            try:
                tenios.start_callback("+492214710123")
            except OutcomeUnknownError:
                unknown += 1
        return unknown, (time.perf_counter() - began) / DIALS * 1000


def main() -> None:
    """Print both."""
    for name, transport in {"kept connections": Kept(), "a connection each": None}.items():
        unknown, milliseconds = dial(transport)
        print(f"{name:18} {unknown:4} of {DIALS} dials left open, {milliseconds:5.1f} ms each")


if __name__ == "__main__":
    main()

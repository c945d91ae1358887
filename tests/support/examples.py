"""The example web applications, and what visitors of both need."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from tenios_simulator import Simulator

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NUMBER = "+49 30 23125 100"


def load(name: str) -> Any:
    """Import the application of an example."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / name / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def token_in(html: str) -> str:
    """Return the one-time token of the form in a page."""
    found = re.search(r'name="token"[^>]* value="([^"]+)"', html)
    assert found
    return found[1]


class HeldTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Holds the first request until ``release`` is set. Later ones are sent at once."""

    def __init__(self, simulator: Simulator) -> None:
        self._inner = simulator.transport
        self.held, self.release = threading.Event(), threading.Event()
        self.async_held, self.async_release = asyncio.Event(), asyncio.Event()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request, the first one when it is released."""
        if not self.held.is_set():
            self.held.set()
            assert self.release.wait(30)
        return self._inner.handle_request(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request, the first one when it is released."""
        if not self.async_held.is_set():
            self.async_held.set()
            await asyncio.wait_for(self.async_release.wait(), 30)
        return await self._inner.handle_async_request(request)

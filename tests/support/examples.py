"""The example web applications, and helpers of their visitors."""

from __future__ import annotations

import asyncio
import importlib.util
import re
import threading
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

if TYPE_CHECKING:
    from tenios_simulator import Simulator

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
NUMBER = "+49 30 23125 100"


@cache  # Django has one application in a process.
def load(name: str) -> Any:
    """Import an example application."""
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / name / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def hidden_fields(html: str) -> dict[str, str]:
    inputs = [tag for tag in re.findall(r"<input [^>]*>", html) if 'type="hidden"' in tag]
    return {
        name: value
        for tag in inputs
        for name, value in re.findall(r'name="([^"]+)".* value="([^"]+)"', tag)
    }


def token_in(html: str) -> str:
    return hidden_fields(html)["token"]


class HeldTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Holds the first request until ``release`` is set. Sends others immediately."""

    def __init__(self, simulator: Simulator) -> None:
        self._inner = simulator.transport
        self.held, self.release = threading.Event(), threading.Event()
        self.async_held, self.async_release = asyncio.Event(), asyncio.Event()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if not self.held.is_set():
            self.held.set()
            assert self.release.wait(30)
        return self._inner.handle_request(request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if not self.async_held.is_set():
            self.async_held.set()
            await asyncio.wait_for(self.async_release.wait(), 30)
        return await self._inner.handle_async_request(request)

"""The same functions for each client, and scripted servers."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import threading
import uuid
from itertools import chain, repeat
from typing import TYPE_CHECKING, Any

import httpx

from tenios_ext import AsyncCallback, AsyncTenios, Callback, CallbackStatus, Tenios
from tenios_simulator import VirtualClock

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pytest

NUMBER = "+492214710123"
CONFIG_ID = "CONFIG"
#: The base URL of clients with a transport: for https, each would create a TLS context (24 ms).
LOCAL = "http://127.0.0.1:1"

#: The sync client, the async client with httpx's connections, and the async client with aiohttp's.
MODES = ["sync", "async", "aiohttp"]


def new_key() -> str | None:
    """
    Return a new key if TENIOS_LEDGER is set, so that the same test covers calls with and without
    one.
    """
    return uuid.uuid4().hex if os.environ.get("TENIOS_LEDGER") else None


def start_callback(mode: str, **settings: Any) -> Callback | AsyncCallback:
    """
    Start a callback, with a key if there is a ledger. The access key must come from the
    environment, so that no variable of the test contains it in a traceback.
    """
    if "transport" in settings:
        settings.setdefault("base_url", LOCAL)
    if mode == "sync":
        with Tenios(callback_config_id=CONFIG_ID, **settings) as tenios:
            return tenios.start_callback(NUMBER, key=new_key())

    async def run() -> AsyncCallback:
        async with AsyncTenios(
            callback_config_id=CONFIG_ID, aiohttp=mode == "aiohttp", **settings
        ) as tenios:
            return await tenios.start_callback(NUMBER, key=new_key())

    return asyncio.run(run())


def fetch_status(mode: str, callback_id: int | str = 10, **settings: Any) -> CallbackStatus:
    if "transport" in settings:
        settings.setdefault("base_url", LOCAL)
    if mode == "sync":
        with Tenios(**settings) as tenios:
            return tenios.callback(callback_id).status()

    async def run() -> CallbackStatus:
        async with AsyncTenios(aiohttp=mode == "aiohttp", **settings) as tenios:
            return await tenios.callback(callback_id).status()

    return asyncio.run(run())


def shorten_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Limit a whole exchange, including connecting, to less than a second."""
    monkeypatch.setattr("tenios_ext._attempt.CONNECT_TIMEOUT", 0.1)


def refuse_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let every name resolution fail."""

    def not_found(host: str, *args: Any, **settings: Any) -> Any:
        if host[:1].isdigit():
            return find(host, *args, **settings)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    find = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", not_found)


def wait_for_recording() -> None:
    """Wait for the threads that record interrupted calls."""
    for thread in threading.enumerate():
        if thread.name == "tenios":
            thread.join()


class FakeTenios:
    """A fake server that starts each callback. Records the URLs and bodies of the requests."""

    def __init__(self) -> None:
        self.urls: list[str] = []
        self.bodies: list[dict[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.urls.append(str(request.url))
        self.bodies.append(json.loads(request.content))
        return httpx.Response(200, json={"id": 10})


class Script:
    """
    A fake server with virtual time that sends these responses to status requests, in order, and
    repeats the last one.

    Args:
        responses: A status, an HTTP status for an error, or a whole response.

    Attributes:
        clock: The clock of its clients.
        polled_at: The time of each status request, in seconds since the start.
        ids: The callback id in each status request.
    """

    def __init__(self, responses: Iterable[str | int | httpx.Response]) -> None:
        self.clock = VirtualClock()
        self.polled_at: list[float] = []
        self.ids: list[object] = []
        self._start = self.clock.now()
        responses = list(responses)
        self._responses = chain(responses, repeat(responses[-1]))

    @property
    def elapsed(self) -> float:
        return self.clock.now() - self._start

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/callback/init":
            return httpx.Response(200, json={"id": 10})
        self.polled_at.append(self.elapsed)
        self.ids.append(json.loads(request.content)["id"])
        response = next(self._responses)
        if isinstance(response, httpx.Response):
            return response
        if isinstance(response, int):
            return httpx.Response(response, json={"error_code": "X", "error_message": "Y"})
        return httpx.Response(200, json={"status": response})

    def client(self, **settings: Any) -> Tenios:
        return Tenios("KEY", CONFIG_ID, **self._settings(settings))

    def async_client(self, **settings: Any) -> AsyncTenios:
        return AsyncTenios("KEY", CONFIG_ID, **self._settings(settings))

    def _settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        transport = httpx.MockTransport(self)
        return {"base_url": LOCAL, "transport": transport, "clock": self.clock, **settings}

"""One function for the same call on each client, and a scripted server to call."""

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
#: The base URL of clients that have a transport: for https, each would make a TLS context (24 ms).
LOCAL = "http://127.0.0.1:1"

#: The sync client, the async client with httpx's connections, and the async client with aiohttp's.
MODES = ["sync", "async", "aiohttp"]


def new_key() -> str | None:
    """
    Return a new key if TENIOS_LEDGER names a ledger, so that the same test proves the same with a
    key and without one.
    """
    return uuid.uuid4().hex if os.environ.get("TENIOS_LEDGER") else None


def start_callback(mode: str, **settings: Any) -> Callback | AsyncCallback:
    """
    Start one callback, with a key if there is a ledger.

    The access key must come from the environment: a test that looks for it in tracebacks must not
    have it in a variable.
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
    """Fetch the status of a callback once."""
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
    """Let the limit on a whole exchange, which includes time for connecting, be under a second."""
    monkeypatch.setattr("tenios_ext._attempt.CONNECT_TIMEOUT", 0.1)


def refuse_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no name of a host be found."""

    def not_found(host: str, *args: Any, **settings: Any) -> Any:
        if host[:1].isdigit():
            return find(host, *args, **settings)
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    find = socket.getaddrinfo
    monkeypatch.setattr(socket, "getaddrinfo", not_found)


def wait_for_recording() -> None:
    """Wait until the threads have ended that record what was interrupted."""
    for thread in threading.enumerate():
        if thread.name == "tenios":
            thread.join()


class FakeTenios:
    """
    A fake server that starts each callback.

    Attributes:
        urls: The URL of each request.
        bodies: The body of each request.
    """

    def __init__(self) -> None:
        self.urls: list[str] = []
        self.bodies: list[dict[str, Any]] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Return the response to a request."""
        self.urls.append(str(request.url))
        self.bodies.append(json.loads(request.content))
        return httpx.Response(200, json={"id": 10})


class Script:
    """
    A fake server that sends these responses to status requests, in order; the last one is repeated.
    Its time is virtual.

    Args:
        responses: A status to return, an HTTP status to fail with, or a whole response.

    Attributes:
        clock: The clock of its clients.
        polled_at: When each status request came: seconds since the start.
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
        """Seconds since the start."""
        return self.clock.now() - self._start

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Return the response to a request."""
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
        """Return a client of this server."""
        return Tenios("KEY", CONFIG_ID, **self._settings(settings))

    def async_client(self, **settings: Any) -> AsyncTenios:
        """Return an async client of this server."""
        return AsyncTenios("KEY", CONFIG_ID, **self._settings(settings))

    def _settings(self, settings: dict[str, Any]) -> dict[str, Any]:
        transport = httpx.MockTransport(self)
        return {"base_url": LOCAL, "transport": transport, "clock": self.clock, **settings}

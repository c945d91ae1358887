"""How requests are sent, for asyncio; see :mod:`._transport`."""

from __future__ import annotations

import asyncio
import math
import os
from contextlib import suppress
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

import httpx

from ._attempt import TOO_LONG, current_attempt
from ._exceptions import ConfigurationError
from ._transport import BoundedBody, LeanClient, is_init_request

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping

    from ._attempt import Attempt
    from ._transport import TransportFactory

#: The most connections in a pool of httpcore's. It compares each idle one with all others, twice
#: for each request.
POOL_SIZE = 8


class AsyncHttpClient(LeanClient, httpx.AsyncClient):
    """An httpx client for the requests of one API."""


class AsyncTransport(httpx.AsyncBaseTransport):
    """
    Sends init requests over connections of their own, and status requests over kept ones; each
    event loop has its own.

    Args:
        factory: What is needed to connect.
        custom: The caller's transport, used for everything instead.
        aiohttp: Whether to use aiohttp's connections.

    Raises:
        ConfigurationError: *custom* is not a transport, or aiohttp cannot be used.
    """

    def __init__(
        self, factory: TransportFactory, custom: httpx.AsyncBaseTransport | None, *, aiohttp: bool
    ) -> None:
        if custom is not None and not isinstance(custom, httpx.AsyncBaseTransport):
            raise ConfigurationError(
                f"transport must be an httpx.AsyncBaseTransport, got {type(custom).__name__}."
            )
        if aiohttp and find_spec("httpx_aiohttp") is None:
            raise ConfigurationError(
                "aiohttp=True needs an extra: pip install 'tenios-callback[aiohttp]'"
            )
        if aiohttp and factory.proxy is not None and factory.proxy.url.scheme.startswith("socks"):
            raise ConfigurationError(
                "aiohttp=True cannot be used with a SOCKS proxy. Use aiohttp=False."
            )
        if custom is None:
            _import_all(aiohttp=aiohttp)
        self._factory = factory
        self._custom = custom
        self._custom_loop: asyncio.AbstractEventLoop | None = None
        self._aiohttp = aiohttp
        self._connections: dict[tuple[int, asyncio.AbstractEventLoop], _Connections] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and read the whole response."""
        attempt = current_attempt(self._factory.settings)
        seconds = attempt.seconds(self._factory.settings.timeout)
        prepared = self._factory.prepare(request, seconds)
        connections = await self._current()
        attempt.in_library = True
        if self._custom is not None:
            attempt.may_have_left = True
        else:
            prepared.extensions["trace"] = _async_trace(attempt)
        transport = connections.take(request)
        try:
            async with asyncio.timeout(seconds):
                return await _exchange(transport, prepared, attempt, BoundedBody(seconds))
        except TimeoutError:
            raise httpx.ReadTimeout(TOO_LONG) from None
        finally:
            connections.give_back(transport)

    async def aclose(self) -> None:
        """
        Close the connections of the running event loop. Those of another loop are closed when it
        ends.
        """
        if self._custom is not None:
            await self._custom.aclose()
            return
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # Another framework's loop, in which no connection was made.
            return
        if connections := self._connections.pop((os.getpid(), loop), None):
            await connections.aclose()

    async def _current(self) -> _Connections:
        # A connection that belongs to another event loop sends the request and then fails: a call
        # that looks like a failure. After a fork, two processes that share a connection read each
        # other's responses.
        loop = asyncio.get_running_loop()
        if self._custom is not None:
            if (self._custom_loop or loop) is not loop:
                raise RuntimeError(
                    "The transport given to this client belongs to another event loop. Make one "
                    "client for each."
                )
            self._custom_loop = loop
            return _Connections(self._connect)
        place = (os.getpid(), loop)
        if place not in self._connections:
            self._connections = {
                key: each for key, each in self._connections.items() if not key[1].is_closed()
            }
            self._connections[place] = _Connections(
                self._connect, math.inf if self._aiohttp else POOL_SIZE
            )
            await self._connections[place].start()
        return self._connections[place]

    def _connect(self, *, keep: bool) -> httpx.AsyncBaseTransport:
        if self._custom is not None:
            return self._custom
        if self._aiohttp:
            from ._aiohttp_transport import aiohttp_transport  # an extra

            return aiohttp_transport(self._factory, keep=keep)
        return httpx.AsyncHTTPTransport(**self._factory.options(keep=keep))


def _import_all(*, aiohttp: bool) -> None:
    # Otherwise it would be done at the first request, and hold the event loop for a tenth of a
    # second or more.
    import_module("._phone._reading", __package__)
    import_module("._phone._price", __package__)
    if aiohttp:
        import_module("._aiohttp_transport", __package__)
        return
    import_module("httpcore")
    # The name is anyio's own. If it changes, the first request is slower again.
    with suppress(ImportError):
        import_module("anyio._backends._asyncio")


class _Connections:
    """
    The connections of one event loop, which are closed with it.

    ``asyncio.run`` and ``asyncio.Runner`` close the async generators that are still open before
    they close the loop, which is the only moment when the connections of a client that outlives the
    loop can be closed.

    Args:
        connect: Makes a transport.
        pool_size: How many status requests each transport has at the same time before another one
            is made.
    """

    def __init__(
        self, connect: Callable[..., httpx.AsyncBaseTransport], pool_size: float = math.inf
    ) -> None:
        self._connect = connect
        self._pool_size = pool_size
        self._init = connect(keep=False)
        # and how many requests each of them has
        self._status: dict[httpx.AsyncBaseTransport, int] = {}
        self._closing = self._close_at_end()

    def take(self, request: httpx.Request) -> httpx.AsyncBaseTransport:
        """Return the transport for a request."""
        if is_init_request(request):
            return self._init
        free = (each for each, requests in self._status.items() if requests < self._pool_size)
        transport = next(free, None) or self._connect(keep=True)
        self._status[transport] = self._status.get(transport, 0) + 1
        return transport

    def give_back(self, transport: httpx.AsyncBaseTransport) -> None:
        """End the use of a transport."""
        if transport in self._status:
            self._status[transport] -= 1

    async def start(self) -> None:
        await anext(self._closing)

    async def aclose(self) -> None:
        await self._closing.aclose()

    async def _close_at_end(self) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            for transport in (self._init, *self._status):
                await transport.aclose()


def _async_trace(attempt: Attempt) -> Any:
    async def record(event: str, info: Mapping[str, Any]) -> None:
        attempt.record_trace(event, info)

    return record


async def _exchange(
    transport: httpx.AsyncBaseTransport, request: httpx.Request, attempt: Attempt, body: BoundedBody
) -> httpx.Response:
    try:
        response = await transport.handle_async_request(request)
        attempt.http_status = response.status_code
        try:
            async for chunk in cast("httpx.AsyncByteStream", response.stream):
                body.add(chunk)
        finally:
            await response.aclose()
    except httpx.PoolTimeout:
        attempt.connecting = True  # There was none to be had.
        raise
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise
        # aiohttp cancels the requests that wait for a connection when a client is closed. The
        # caller did not ask for that.
        raise httpx.ReadError("The client was closed during the request.") from None
    return body.complete(response)

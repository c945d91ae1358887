"""The choice of a connection. ``make generate`` writes ``_transport.py`` from this module."""

from __future__ import annotations

import asyncio  # async only
import os
from contextlib import suppress  # async only
from importlib import import_module  # async only
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

import httpx

from ._attempt import TOO_LONG, current_attempt
from ._connections import BoundedBody, LeanClient, is_init_request, raise_for_status
from ._exceptions import ConfigurationError
from ._extras import requires_extra  # async only

if TYPE_CHECKING:
    from collections.abc import (
        AsyncGenerator,  # async only
        Callable,
    )

    from ._attempt import Attempt
    from ._connections import Connections

_Place = tuple[int, asyncio.AbstractEventLoop]

#: The maximum number of concurrent status requests in one of httpcore's pools, which compares each
#: idle connection with all others, twice per request.
_POOL_SIZE = 8
#: Errors of a request that leave the other connections of its pool usable.
_EXPECTED = (
    asyncio.CancelledError,  # async only
    httpx.HTTPError,
)


class AsyncHttpClient(LeanClient, httpx.AsyncClient):
    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send a request. Raises UnexpectedStatusError for any status except 200."""
        return raise_for_status(await super().send(request, **options))


class AsyncTransport(httpx.AsyncBaseTransport):
    """
    Sends each init request over a new connection, and status requests over kept ones. Each
    event loop has its own.

    Args:
        connections: The proxy and the TLS context.
        custom: The caller's transport, used for all requests instead.
        aiohttp: Whether to use aiohttp's connections.

    Raises:
        ConfigurationError: *custom* is not a transport, the certificates cannot be used, or aiohttp
            cannot be used.
    """

    def __init__(
        self,
        connections: Connections,
        custom: httpx.AsyncBaseTransport | None,
        *,  # async only
        aiohttp: bool = False,  # async only
    ) -> None:
        if custom is not None and not isinstance(custom, httpx.AsyncBaseTransport):
            raise ConfigurationError(
                f"transport must be an httpx.AsyncBaseTransport, got {type(custom).__name__}."
            )
        self._connections = connections
        self._custom = custom
        self._kept: dict[_Place, _AsyncKept] = {}
        # async only: begin
        self._aiohttp = aiohttp
        self._custom_loop: asyncio.AbstractEventLoop | None = None
        proxy = connections.proxy
        if aiohttp and proxy is not None and proxy.url.scheme.startswith("socks"):
            raise ConfigurationError(
                "aiohttp=True cannot be used with a SOCKS proxy. Use aiohttp=False."
            )
        # async only: end
        if custom is None:
            # Loaded now, so that an invalid certificate is reported before the first call.
            _ = connections.context
            _import_all(aiohttp=aiohttp)  # async only

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and read the whole response."""
        attempt = current_attempt()
        prepared = self._connections.prepare(request, attempt.arrive(self._connections.settings))
        exchange = _exchange
        # async only: begin
        if self._custom is not None or self._aiohttp:
            exchange = _limited_exchange
        # async only: end
        if self._custom is not None:
            self._check_loop()  # async only
            if attempt.is_forbidden:
                prepared.extensions["trace"] = _refusing(attempt)
            return await exchange(self._custom, prepared, attempt)
        if is_init_request(request):
            async with self._connect(keep=False) as own:
                return await exchange(own, prepared, attempt)
        kept = await self._current()
        transport = kept.take()
        try:
            return await exchange(transport, prepared, attempt)
        except _EXPECTED:
            raise
        except BaseException:  # from a signal handler: a connection's lock may stay held
            await kept.drop(transport)
            raise
        finally:
            kept.give_back(transport)

    async def aclose(self) -> None:
        if self._custom is not None:
            await self._custom.aclose()
            return
        # async only: begin
        try:
            asyncio.get_running_loop()
        except RuntimeError:  # The loop of another framework, which has no connections of ours.
            return
        # async only: end
        if kept := self._kept.pop(_place(), None):
            await kept.aclose()

    async def _current(self) -> _AsyncKept:
        place = _place()
        if place not in self._kept:
            self._forget_closed_loops()  # async only
            self._kept[place] = _AsyncKept(self._connect)
            await self._kept[place].start()  # async only
        return self._kept[place]

    def _connect(self, *, keep: bool) -> httpx.AsyncBaseTransport:
        # async only: begin
        if self._aiohttp:
            from ._aiohttp import aiohttp_transport  # Requires an extra.

            return aiohttp_transport(self._connections, keep=keep)
        # async only: end
        from ._async_network import AsyncNetworkTransport  # Imports httpcore.

        return AsyncNetworkTransport(**self._connections.options(keep=keep))

    # async only: begin
    def _forget_closed_loops(self) -> None:
        self._kept = {
            (pid, loop): each for (pid, loop), each in self._kept.items() if not loop.is_closed()
        }

    def _check_loop(self) -> None:
        loop = asyncio.get_running_loop()
        if (self._custom_loop or loop) is not loop:
            raise RuntimeError(
                "The transport of this client belongs to another event loop. Create one client "
                "and transport for each event loop."
            )
        self._custom_loop = loop

    # async only: end


async def _exchange(
    transport: httpx.AsyncBaseTransport, request: httpx.Request, attempt: Attempt
) -> httpx.Response:
    body = BoundedBody(attempt.deadline)
    attempt.may_ring = True
    response = await transport.handle_async_request(request)
    attempt.http_status = response.status_code
    try:
        async for chunk in cast("httpx.AsyncByteStream", response.stream):
            body.add(chunk)
    finally:
        await response.aclose()
    return body.complete(response)


# async only: begin
async def _limited_exchange(
    transport: httpx.AsyncBaseTransport, request: httpx.Request, attempt: Attempt
) -> httpx.Response:
    """Keep the deadline for a transport without our network layer."""
    limit = asyncio.timeout(attempt.limit(None, httpx.ReadTimeout))
    try:
        async with limit:
            return await _exchange(transport, request, attempt)
    except TimeoutError:
        if not limit.expired():
            raise
        raise httpx.ReadTimeout(TOO_LONG) from None


# async only: end


def _refusing(attempt: Attempt) -> Any:
    """Return a trace function for httpcore that forbids its first step."""

    async def refuse(*_: object) -> None:
        attempt.connect()

    return refuse


def _place() -> _Place:
    """
    Return the owner of connections. After a fork, two processes that share one read each other's
    responses; one that belongs to another event loop sends the request and then fails.
    """
    return os.getpid(), asyncio.get_running_loop()


class _AsyncKept:
    """The kept connections of one place. *connect* creates a transport."""

    def __init__(self, connect: Callable[..., httpx.AsyncBaseTransport]) -> None:
        self._connect = connect
        self._requests: dict[httpx.AsyncBaseTransport, int] = {}
        self._lock = Lock()
        self._closing = self._close_at_end()  # async only

    def take(self) -> httpx.AsyncBaseTransport:
        """Return a transport for a status request."""
        with self._lock:
            free = (each for each, number in self._requests.items() if number < _POOL_SIZE)
            transport = next(free, None) or self._connect(keep=True)
            self._requests[transport] = self._requests.get(transport, 0) + 1
        return transport

    def give_back(self, transport: httpx.AsyncBaseTransport) -> None:
        with self._lock:
            if transport in self._requests:
                self._requests[transport] -= 1

    async def drop(self, transport: httpx.AsyncBaseTransport) -> None:
        """Do not use a transport again. Its other requests continue."""
        with self._lock:
            is_unused = self._requests.pop(transport, 0) == 1
        if is_unused:
            await transport.aclose()

    # async only: begin
    async def start(self) -> None:
        await anext(self._closing)

    async def _close_at_end(self) -> AsyncGenerator[None]:
        # asyncio.run and asyncio.Runner close open async generators before they close the loop.
        # Only then can the connections of a client that outlives the loop be closed.
        try:
            yield
        finally:
            for transport in list(self._requests):
                await transport.aclose()

    # async only: end

    async def aclose(self) -> None:
        await self._closing.aclose()  # async only
        for transport in list(self._requests):
            await transport.aclose()


# async only: begin
def _import_all(*, aiohttp: bool) -> None:
    # Importing them at the first request would block the event loop for 0.1 seconds or more.
    import_module("._phone._reading", __package__)
    import_module("._phone._price", __package__)
    if aiohttp:
        with requires_extra("aiohttp", ConfigurationError):
            import_module("._aiohttp", __package__)
        return
    # This name is private to anyio. If it changes, only the first request is slower.
    with suppress(ImportError):
        import_module("anyio._backends._asyncio")
    import_module("._async_network", __package__)


# async only: end

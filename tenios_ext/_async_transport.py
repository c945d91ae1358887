"""The choice of a connection. ``make generate`` writes ``_transport.py`` from this module."""

from __future__ import annotations

import asyncio  # async only
import os
from contextlib import aclosing, suppress
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Self, cast

import httpx
from attrs import frozen

from ._attempt import TOO_LONG, Attempt
from ._clock import running_time
from ._connections import (
    KEEPALIVE_SECONDS,
    MAX_RESPONSE_BYTES,
    LeanClient,
    UnexpectedStatusError,
    may_connect_unnoticed,
    whole_response,
)
from ._exceptions import ConfigurationError
from ._extras import requires_extra  # async only

# Importing these at the first request would block the event loop for 0.1 seconds.  # async only
from ._phone import _price, _reading  # noqa: F401 - only to load them # async only

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable

    from ._async_network import AsyncNetworkTransport
    from ._connections import AttemptedRequest, Connections

_Place = tuple[int, asyncio.AbstractEventLoop]


class AsyncHttpClient(LeanClient, httpx.AsyncClient):
    """See :class:`.LeanClient`."""


@frozen
class AsyncSender:
    """Sends one request of the generated client, with its attempt."""

    _http: AsyncHttpClient
    _attempt: Attempt

    def get_async_httpx_client(self) -> Self:
        return self

    async def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Raises UnexpectedStatusError for any status except 200. The generated client does not."""
        request = self._http.build_request(method, url, **options)
        request.attempt = self._attempt
        response = await self._http.send(request)
        if response.status_code != HTTPStatus.OK:
            raise UnexpectedStatusError(response)
        return response


class AsyncTransport(httpx.AsyncBaseTransport):
    """
    Sends each init request over a new connection, and status requests over kept ones. Each
    event loop has its own.

    Args:
        connections: The proxy and the TLS context.
        custom: The caller's transport, used for all requests instead.
        aiohttp: Whether to use aiohttp's connections.

    Raises:
        ConfigurationError: *custom* is not a transport, or the certificates or aiohttp cannot be
            used.
    """

    def __init__(
        self, connections: Connections, custom: httpx.AsyncBaseTransport | None, *, aiohttp: bool
    ) -> None:
        if custom is not None and not isinstance(custom, httpx.AsyncBaseTransport):
            raise ConfigurationError(
                f"transport must be an httpx.AsyncBaseTransport, got {type(custom).__name__}."
            )
        self._connections = connections
        self._custom = custom
        self._kept: dict[_Place, _AsyncKept] = {}
        self._exchange = _exchange
        if custom is None:
            from ._async_network import AsyncNetworkTransport  # Imports httpcore, which is slow.

            self._connect: Callable[[], Any] = partial(AsyncNetworkTransport, connections)
            # Loaded now, so that an invalid certificate is reported before the first call.
            _ = connections.context
        # async only: begin
        self._custom_loop: asyncio.AbstractEventLoop | None = None
        self._is_aiohttp = aiohttp
        if aiohttp:
            with requires_extra("aiohttp", ConfigurationError):
                from ._aiohttp import AiohttpNetworkTransport
            self._connect = partial(AiohttpNetworkTransport, connections)
            if connections.proxy is not None and connections.proxy.url.scheme.startswith("socks"):
                raise ConfigurationError(
                    "aiohttp=True cannot be used with a SOCKS proxy. Use aiohttp=False."
                )
        if aiohttp or custom is not None:
            self._exchange = _limited_exchange
        # async only: end

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and read the whole response."""
        attempted = cast("AttemptedRequest", request)
        attempt = attempted.attempt
        seconds = attempt.arrive(request.url.host, self._connections.settings)
        prepared = self._connections.prepare(attempted, seconds)
        if self._custom is not None:
            self._check_loop()  # async only
            if attempt.is_forbidden:
                if may_connect_unnoticed(self._custom):
                    attempt.connect()
                prepared.extensions["trace"] = _refusing(attempt)
            return await self._exchange(self._custom, prepared, attempt)
        if attempt.is_forbidden or not attempt.is_poll:
            async with aclosing(self._connect()) as own:  # Closes more than its __aexit__.
                own.attempt = attempt
                return await self._exchange(own, prepared, attempt)
        kept = await self._current()
        # async only: begin
        if self._is_aiohttp:
            return await self._exchange(kept.shared(self._connect), prepared, attempt)
        # async only: end
        transport = surplus = kept.take() or self._connect()
        try:
            kept.opened.add(transport)
            transport.attempt = attempt
            response = await self._exchange(transport, prepared, attempt)
            surplus = kept.give_back(transport)
        finally:
            if surplus is not None:
                kept.opened.discard(surplus)
                await surplus.aclose()
        return response

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
        # A request that is still in an event hook does not keep its connection.
        await self._kept.setdefault(_place(), _AsyncKept()).aclose()

    async def _current(self) -> _AsyncKept:
        place = _place()
        kept = self._kept.get(place)
        if kept is None:
            # async only: begin
            for other in list(self._kept):
                if other[1].is_closed():
                    self._kept.pop(other, None)
            # async only: end
            kept = self._kept.setdefault(place, _AsyncKept())
            await kept.start()  # async only
        return kept

    # async only: begin
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
    """Read the whole response, with limits on its size and time."""
    content = bytearray()
    attempt.may_ring = True
    response = await transport.handle_async_request(request)
    attempt.http_status = response.status_code
    try:
        async for chunk in cast("httpx.AsyncByteStream", response.stream):
            content += chunk
            if len(content) > MAX_RESPONSE_BYTES:
                raise httpx.ReadError(f"The response has more than {MAX_RESPONSE_BYTES} bytes.")
            if running_time() > attempt.deadline:
                raise httpx.ReadTimeout(TOO_LONG)
    finally:
        await response.aclose()
    return whole_response(response, bytes(content))


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
    """
    The transports of one place. httpcore's have one connection each, because it compares each idle
    connection of a pool with all others, twice per request.

    Attributes:
        opened: All transports.
    """

    def __init__(self) -> None:
        self.opened: set[AsyncNetworkTransport] = set()
        self._idle: list[AsyncNetworkTransport] = []
        self._is_closed = False
        self._closing = self._close_at_end()  # async only

    def take(self) -> AsyncNetworkTransport | None:
        """Return the transport that was used last; None if there is none without a request."""
        with suppress(IndexError):
            return self._idle.pop()
        return None

    def give_back(self, transport: AsyncNetworkTransport) -> AsyncNetworkTransport | None:
        """Keep a transport, if possible. Return one that must be closed: it, or an old one."""
        if self._is_closed or transport.has_more():
            return transport
        transport.used_at = running_time()
        self._idle.append(transport)
        with suppress(IndexError):  # Another thread has taken it.
            if self._idle[0].used_at < transport.used_at - KEEPALIVE_SECONDS:
                return self._idle.pop(0)
        return None

    # async only: begin
    def shared(self, connect: Callable[[], Any]) -> httpx.AsyncBaseTransport:
        """Return aiohttp's transport, which takes any number of requests."""
        if not self.opened:
            self.opened.add(connect())
        return next(iter(self.opened))

    async def start(self) -> None:
        await anext(self._closing)

    async def _close_at_end(self) -> AsyncGenerator[None]:
        # asyncio.run and asyncio.Runner close open async generators before they close the loop.
        # Only then can the connections of a client that outlives the loop be closed.
        try:
            yield
        finally:
            for transport in list(self.opened):
                await transport.aclose()

    # async only: end

    async def aclose(self) -> None:
        self._is_closed = True
        await self._closing.aclose()  # async only
        for transport in list(self.opened):
            await transport.aclose()

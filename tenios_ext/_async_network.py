"""
The layer between httpcore and the network, which records what is sent and keeps the deadline. It
sees direct connections and those through any kind of proxy.

``make generate`` writes ``_network.py`` from this module.
"""

from __future__ import annotations

from contextlib import suppress  # async only
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

import httpcore
import httpx

from ._addresses import ADDRESS_SECONDS, addresses_of, too_late
from ._asyncio_streams import AsyncioBackend  # async only
from ._attempt import CONNECT_RETRIES, Attempt
from ._connections import KEEPALIVE_SECONDS, Connections
from ._hosts import ip_address
from ._threads import async_in_thread

# async only: begin
# httpcore imports it with the first request, which would block the event loop for 0.03 seconds. It
# is private to anyio. If it moves, only that request is slower.
with suppress(ImportError):
    import anyio._backends._asyncio  # noqa: F401 - imported only to load it
# async only: end

if TYPE_CHECKING:
    import ssl


class AsyncNetworkTransport(httpx.AsyncHTTPTransport):
    """
    An httpx transport for one request at a time, over one connection.

    Attributes:
        attempt: The attempt of the request, in which the connection records what it sends.
        used_at: The end of its last request, by :func:`.running_time`.
        stream: The connection.
    """

    attempt: Attempt
    used_at = 0.0
    stream: httpcore.AsyncNetworkStream | None = None

    def __init__(self, connections: Connections) -> None:
        super().__init__(
            verify=connections.context,
            limits=httpx.Limits(max_connections=1, keepalive_expiry=KEEPALIVE_SECONDS),
            retries=CONNECT_RETRIES,
            proxy=connections.proxy,
        )
        # httpx does not expose this option of httpcore, so pyproject.toml limits the version of
        # httpx.
        self._pool._network_backend = _AsyncBackend(self)  # noqa: SLF001 - see above
        # If a signal handler raises in the __exit__ of httpcore's lock, a function in Python, the
        # lock stays held forever.
        self._pool._optional_thread_lock = cast("Any", Lock())  # noqa: SLF001 - see above

    def has_more(self) -> bool:
        """Return whether the server has sent more than a response, as if to the next request."""
        for connection in self._pool.connections:
            inner: Any = connection
            while (next_inner := getattr(inner, "_connection", None)) is not None:
                inner = next_inner
            state = getattr(inner, "_h11_state", None)
            if state is not None and state.trailing_data[0]:
                return True
        return False

    async def aclose(self) -> None:
        """Close the connection. Its pool forgets one that is not complete yet."""
        await super().aclose()
        if self.stream is not None:
            await self.stream.aclose()


class _AsyncBackend(AsyncioBackend):
    def __init__(self, owner: AsyncNetworkTransport) -> None:
        super().__init__()
        self._owner = owner

    async def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *arguments: Any, **options: Any
    ) -> httpcore.AsyncNetworkStream:
        attempt = self._owner.attempt
        attempt.connect()
        addresses, seconds = [host], attempt.limit(timeout, httpcore.ConnectTimeout)
        if ip_address(host) is None:
            addresses = await async_in_thread(
                addresses_of, host, port, late=too_late, seconds=seconds, daemon=True
            )
        # Not asyncio's own race between them, which leaks a socket if it is cancelled.
        while True:
            address = addresses.pop(0)
            seconds = attempt.limit(timeout, httpcore.ConnectTimeout)
            if addresses:
                # An unresponsive address leaves time for the others.
                seconds = min(seconds / (len(addresses) + 1), ADDRESS_SECONDS)
            try:
                stream = await super().connect_tcp(address, port, seconds, *arguments, **options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if not addresses:
                    raise
            else:
                return _AsyncStream(stream, self._owner)

    async def sleep(self, seconds: float) -> None:
        await super().sleep(self._owner.attempt.limit(seconds, httpcore.ConnectTimeout))


class _AsyncStream(httpcore.AsyncNetworkStream):
    def __init__(self, stream: httpcore.AsyncNetworkStream, owner: AsyncNetworkTransport) -> None:
        self._stream = stream
        self._owner = owner
        owner.stream = self

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        left = self._owner.attempt.limit(timeout, httpcore.ReadTimeout)
        return await self._stream.read(max_bytes, left)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            return  # The end of a message.
        attempt = self._owner.attempt
        left = attempt.limit(timeout, httpcore.WriteTimeout)
        attempt.leave(buffer)
        await self._stream.write(buffer, left)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.AsyncNetworkStream:
        left = self._owner.attempt.limit(timeout, httpcore.ConnectTimeout)
        secured = await self._stream.start_tls(ssl_context, server_hostname, left)
        return _AsyncStream(secured, self._owner)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

"""
The layer between httpcore and the network, which records what is sent and keeps the deadline. It
sees direct connections and those through any kind of proxy.

``make generate`` writes ``_network.py`` from this module. It is imported with the first client,
because it imports httpcore.
"""

from __future__ import annotations

from threading import Lock
from typing import TYPE_CHECKING, Any, cast

import httpcore
import httpx

from ._addresses import addresses_of, is_address, too_late
from ._asyncio_streams import AsyncioBackend  # async only
from ._attempt import current_attempt, share
from ._clock import running_time
from ._threads import async_in_thread

if TYPE_CHECKING:
    import ssl


class AsyncNetworkTransport(httpx.AsyncHTTPTransport):
    """An httpx transport whose connections record in the current attempt what they send."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # httpx does not expose this option of httpcore, so pyproject.toml limits the version of
        # httpx.
        self._pool._network_backend = _AsyncBackend()  # noqa: SLF001 - see above
        # If a signal handler raises in the __exit__ of httpcore's lock, a function in Python, the
        # lock stays held forever.
        self._pool._optional_thread_lock = cast("Any", Lock())  # noqa: SLF001 - see above


class _AsyncBackend(AsyncioBackend):
    async def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *arguments: Any, **options: Any
    ) -> httpcore.AsyncNetworkStream:
        attempt = current_attempt()
        attempt.connect()
        seconds = attempt.limit(timeout, httpcore.ConnectTimeout)
        end = None if seconds is None else running_time() + seconds
        addresses = [host]
        if not is_address(host):
            addresses = await async_in_thread(
                addresses_of, host, port, late=too_late, seconds=seconds, daemon=True
            )
        # Not asyncio's own race between them, which leaks a socket if it is cancelled.
        while True:
            left, address = share(end, len(addresses)), addresses.pop(0)
            try:
                stream = await super().connect_tcp(address, port, left, *arguments, **options)
            except (httpcore.ConnectError, httpcore.ConnectTimeout):
                if not addresses:
                    raise
            else:
                return _AsyncStream(stream)

    async def sleep(self, seconds: float) -> None:
        await super().sleep(current_attempt().limit(seconds, httpcore.ConnectTimeout) or 0.0)


class _AsyncStream(httpcore.AsyncNetworkStream):
    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await self._stream.read(
            max_bytes, current_attempt().limit(timeout, httpcore.ReadTimeout)
        )

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        if not buffer:
            return  # The end of a message.
        attempt = current_attempt()
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
        left = current_attempt().limit(timeout, httpcore.ConnectTimeout)
        return _AsyncStream(await self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

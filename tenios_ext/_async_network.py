"""
Our layer between httpcore and the network, which records what leaves and keeps the deadline: the
source from which ``make generate`` writes the twin for threads, ``_network.py``.

It sees the connections that are made directly and those through each kind of proxy alike. Imported
when the first client is made, since httpx imports httpcore then, too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import httpcore
import httpx

from ._asyncio_streams import AsyncioBackend
from ._attempt import current_attempt

if TYPE_CHECKING:
    import ssl


class AsyncNetworkTransport(httpx.AsyncHTTPTransport):
    """An httpx transport whose connections record what they do in the current attempt."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # httpcore offers this, and httpx does not pass it on. pyproject.toml has the upper bound of
        # httpx that this needs.
        self._pool._network_backend = _AsyncBackend()  # noqa: SLF001 - see above


class _AsyncBackend(AsyncioBackend):
    async def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, *arguments: Any, **options: Any
    ) -> httpcore.AsyncNetworkStream:
        attempt = current_attempt()
        attempt.connect()
        left = attempt.limit(timeout, httpcore.ConnectTimeout)
        return _AsyncStream(await super().connect_tcp(host, port, left, *arguments, **options))

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
            return  # the end of a message
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

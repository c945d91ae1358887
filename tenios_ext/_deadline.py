"""
A limit on the whole exchange for threads: httpx limits each read, but not how many there are.

A server that sends a header line, or an interim response, every few seconds would keep a thread
forever. asyncio needs none of this, since a task can be cancelled.
"""

from __future__ import annotations

import math
import time
from typing import TYPE_CHECKING, Any

import httpcore
import httpx

from ._attempt import DEADLINE, TOO_LONG

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable


class DeadlineTransport(httpx.HTTPTransport):
    """An httpx transport whose connections keep the deadline of the current exchange."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        # httpcore offers this, and httpx does not pass it on. pyproject.toml has the upper bound of
        # httpx that this needs.
        self._pool._network_backend = _DeadlineBackend()  # noqa: SLF001 - see above


class _DeadlineBackend(httpcore.NetworkBackend):
    def __init__(self) -> None:
        self._backend = httpcore.SyncBackend()

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _DeadlineStream(
            self._backend.connect_tcp(host, port, left, local_address, socket_options)
        )

    def sleep(self, seconds: float) -> None:
        self._backend.sleep(_left(seconds, httpcore.ConnectTimeout) or 0.0)


class _DeadlineStream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        left = _left(timeout, httpcore.ConnectTimeout)
        return _DeadlineStream(self._stream.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def _left(timeout: float | None, error: type[httpcore.TimeoutException]) -> float | None:
    """
    Return *timeout*, or what is left until the deadline if that is less. Raises *error* if nothing
    is left.
    """
    left = DEADLINE.get() - time.monotonic()
    if left <= 0:
        raise error(TOO_LONG)
    return timeout if math.isinf(left) else left if timeout is None else min(timeout, left)

"""The twin for threads of _async_transport.py: change that and run "make generate"."""

from __future__ import annotations

import os
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

import httpx

from ._attempt import current_attempt
from ._connections import BoundedBody, LeanClient, is_init_request, raise_for_status
from ._exceptions import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import (
        Callable,
    )

    from ._attempt import Attempt
    from ._connections import Connections

_Place = int

#: The maximum number of concurrent status requests in one of httpcore's pools, which compares each
#: idle connection with all others, twice per request.
_POOL_SIZE = 8
#: Errors of a request that leave the other connections of its pool usable.
_EXPECTED = (httpx.HTTPError,)


class HttpClient(LeanClient, httpx.Client):
    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send a request. Raises UnexpectedStatusError for any status except 200."""
        return raise_for_status(super().send(request, **options))


class Transport(httpx.BaseTransport):
    """
    Sends each init request over a new connection, and status requests over kept ones.

    Args:
        connections: The proxy and the TLS context.
        custom: The caller's transport, used for all requests instead.

    Raises:
        ConfigurationError: *custom* is not a transport, the certificates cannot be used.
    """

    def __init__(
        self,
        connections: Connections,
        custom: httpx.BaseTransport | None,
    ) -> None:
        if custom is not None and not isinstance(custom, httpx.BaseTransport):
            raise ConfigurationError(
                f"transport must be an httpx.BaseTransport, got {type(custom).__name__}."
            )
        self._connections = connections
        self._custom = custom
        self._kept: dict[_Place, _Kept] = {}
        if custom is None:
            # Loaded now, so that an invalid certificate is reported before the first call.
            _ = connections.context

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and read the whole response."""
        attempt = current_attempt()
        prepared = self._connections.prepare(request, attempt.arrive(self._connections.settings))
        exchange = _exchange
        if self._custom is not None:
            if attempt.is_forbidden:
                prepared.extensions["trace"] = _refusing(attempt)
            return exchange(self._custom, prepared, attempt)
        if is_init_request(request):
            with self._connect(keep=False) as own:
                return exchange(own, prepared, attempt)
        kept = self._current()
        transport = kept.take()
        try:
            return exchange(transport, prepared, attempt)
        except _EXPECTED:
            raise
        except BaseException:  # from a signal handler: a connection's lock may stay held
            kept.drop(transport)
            raise
        finally:
            kept.give_back(transport)

    def close(self) -> None:
        if self._custom is not None:
            self._custom.close()
            return
        if kept := self._kept.pop(_place(), None):
            kept.close()

    def _current(self) -> _Kept:
        place = _place()
        if place not in self._kept:
            self._kept[place] = _Kept(self._connect)
        return self._kept[place]

    def _connect(self, *, keep: bool) -> httpx.BaseTransport:
        from ._network import NetworkTransport  # Imports httpcore.

        return NetworkTransport(**self._connections.options(keep=keep))


def _exchange(
    transport: httpx.BaseTransport, request: httpx.Request, attempt: Attempt
) -> httpx.Response:
    body = BoundedBody(attempt.deadline)
    attempt.may_ring = True
    response = transport.handle_request(request)
    attempt.http_status = response.status_code
    try:
        for chunk in cast("httpx.SyncByteStream", response.stream):
            body.add(chunk)
    finally:
        response.close()
    return body.complete(response)


def _refusing(attempt: Attempt) -> Any:
    """Return a trace function for httpcore that forbids its first step."""

    def refuse(*_: object) -> None:
        attempt.connect()

    return refuse


def _place() -> _Place:
    """
    Return the owner of connections.
    """
    return os.getpid()


class _Kept:
    """The kept connections of one place. *connect* creates a transport."""

    def __init__(self, connect: Callable[..., httpx.BaseTransport]) -> None:
        self._connect = connect
        self._requests: dict[httpx.BaseTransport, int] = {}
        self._lock = Lock()

    def take(self) -> httpx.BaseTransport:
        """Return a transport for a status request."""
        with self._lock:
            free = (each for each, number in self._requests.items() if number < _POOL_SIZE)
            transport = next(free, None) or self._connect(keep=True)
            self._requests[transport] = self._requests.get(transport, 0) + 1
        return transport

    def give_back(self, transport: httpx.BaseTransport) -> None:
        with self._lock:
            if transport in self._requests:
                self._requests[transport] -= 1

    def drop(self, transport: httpx.BaseTransport) -> None:
        """Do not use a transport again. Its other requests continue."""
        with self._lock:
            is_unused = self._requests.pop(transport, 0) == 1
        if is_unused:
            transport.close()

    def close(self) -> None:
        for transport in list(self._requests):
            transport.close()

"""The twin for threads of _async_transport.py: change that and run "make generate"."""

from __future__ import annotations

import os
from contextlib import closing, suppress
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

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._connections import AttemptedRequest, Connections
    from ._network import NetworkTransport

_Place = int


class HttpClient(LeanClient, httpx.Client):
    """See :class:`.LeanClient`."""


@frozen
class Sender:
    """Sends one request of the generated client, with its attempt."""

    _http: HttpClient
    _attempt: Attempt

    def get_httpx_client(self) -> Self:
        return self

    def request(self, method: str, url: str, **options: Any) -> httpx.Response:
        """Raises UnexpectedStatusError for any status except 200. The generated client does not."""
        request = self._http.build_request(method, url, **options)
        request.attempt = self._attempt
        response = self._http.send(request)
        if response.status_code != HTTPStatus.OK:
            raise UnexpectedStatusError(response)
        return response


class Transport(httpx.BaseTransport):
    """
    Sends each init request over a new connection, and status requests over kept ones.

    Args:
        connections: The proxy and the TLS context.
        custom: The caller's transport, used for all requests instead.

    Raises:
        ConfigurationError: *custom* is not a transport, or the certificates cannot be used.
    """

    def __init__(self, connections: Connections, custom: httpx.BaseTransport | None) -> None:
        if custom is not None and not isinstance(custom, httpx.BaseTransport):
            raise ConfigurationError(
                f"transport must be an httpx.BaseTransport, got {type(custom).__name__}."
            )
        self._connections = connections
        self._custom = custom
        self._kept: dict[_Place, _Kept] = {}
        self._exchange = _exchange
        if custom is None:
            from ._network import NetworkTransport  # Imports httpcore, which is slow.

            self._connect: Callable[[], Any] = partial(NetworkTransport, connections)
            # Loaded now, so that an invalid certificate is reported before the first call.
            _ = connections.context

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request and read the whole response."""
        attempted = cast("AttemptedRequest", request)
        attempt = attempted.attempt
        seconds = attempt.arrive(request.url.host, self._connections.settings)
        prepared = self._connections.prepare(attempted, seconds)
        if self._custom is not None:
            if attempt.is_forbidden:
                if may_connect_unnoticed(self._custom):
                    attempt.connect()
                prepared.extensions["trace"] = _refusing(attempt)
            return self._exchange(self._custom, prepared, attempt)
        if attempt.is_forbidden or not attempt.is_poll:
            with closing(self._connect()) as own:  # Closes more than its __exit__.
                own.attempt = attempt
                return self._exchange(own, prepared, attempt)
        kept = self._current()
        transport = surplus = kept.take() or self._connect()
        try:
            kept.opened.add(transport)
            transport.attempt = attempt
            response = self._exchange(transport, prepared, attempt)
            surplus = kept.give_back(transport)
        finally:
            if surplus is not None:
                kept.opened.discard(surplus)
                surplus.close()
        return response

    def close(self) -> None:
        if self._custom is not None:
            self._custom.close()
            return
        # A request that is still in an event hook does not keep its connection.
        self._kept.setdefault(_place(), _Kept()).close()

    def _current(self) -> _Kept:
        place = _place()
        kept = self._kept.get(place)
        if kept is None:
            kept = self._kept.setdefault(place, _Kept())
        return kept


def _exchange(
    transport: httpx.BaseTransport, request: httpx.Request, attempt: Attempt
) -> httpx.Response:
    """Read the whole response, with limits on its size and time."""
    content = bytearray()
    attempt.may_ring = True
    response = transport.handle_request(request)
    attempt.http_status = response.status_code
    try:
        for chunk in cast("httpx.SyncByteStream", response.stream):
            content += chunk
            if len(content) > MAX_RESPONSE_BYTES:
                raise httpx.ReadError(f"The response has more than {MAX_RESPONSE_BYTES} bytes.")
            if running_time() > attempt.deadline:
                raise httpx.ReadTimeout(TOO_LONG)
    finally:
        response.close()
    return whole_response(response, bytes(content))


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
    """
    The transports of one place. httpcore's have one connection each, because it compares each idle
    connection of a pool with all others, twice per request.

    Attributes:
        opened: All transports.
    """

    def __init__(self) -> None:
        self.opened: set[NetworkTransport] = set()
        self._idle: list[NetworkTransport] = []
        self._is_closed = False

    def take(self) -> NetworkTransport | None:
        """Return the transport that was used last; None if there is none without a request."""
        with suppress(IndexError):
            return self._idle.pop()
        return None

    def give_back(self, transport: NetworkTransport) -> NetworkTransport | None:
        """Keep a transport, if possible. Return one that must be closed: it, or an old one."""
        if self._is_closed or transport.has_more():
            return transport
        transport.used_at = running_time()
        self._idle.append(transport)
        with suppress(IndexError):  # Another thread has taken it.
            if self._idle[0].used_at < transport.used_at - KEEPALIVE_SECONDS:
                return self._idle.pop(0)
        return None

    def close(self) -> None:
        self._is_closed = True
        for transport in list(self.opened):
            transport.close()

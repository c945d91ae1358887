"""aiohttp's connections for httpx, and the evidence of what they have sent (extra ``aiohttp``)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from ._connections import KEEPALIVE_SECONDS, MAX_HEADER_BYTES

if TYPE_CHECKING:
    from aiohttp.connector import Connection

    from ._attempt import Attempt
    from ._connections import Connections


class AiohttpOneTransport(AiohttpTransport):
    """
    A transport for one request at a time, over one connection.

    Attributes:
        attempt: The attempt of the request, in which the connection records what it sends.
    """

    attempt: Attempt

    def __init__(self, connections: Connections) -> None:
        super().__init__(
            verify=connections.context,
            client=lambda: _session(self, connections),
            proxy=connections.proxy,
        )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            # When a client is closed, aiohttp cancels the requests that wait for a connection. The
            # caller has not cancelled them.
            raise httpx.ReadError("The client was closed during the request.") from None


def _session(owner: AiohttpOneTransport, connections: Connections) -> aiohttp.ClientSession:
    class Connector(aiohttp.TCPConnector):
        async def connect(self, *args: Any, **options: Any) -> Connection:
            owner.attempt.connect()
            return await super().connect(*args, **options)

    async def leave(*_: object) -> None:
        """Called by aiohttp before it sends the head of a request, except to a proxy."""
        owner.attempt.leave(b"POST ")

    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(leave)
    return aiohttp.ClientSession(
        connector=Connector(
            limit=1,
            keepalive_timeout=KEEPALIVE_SECONDS,
            ssl=connections.context,
            # The system's resolver, as in httpx. aiodns would ignore the system's settings and the
            # pytest plugin's guard.
            resolver=aiohttp.ThreadedResolver(),
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        max_line_size=MAX_HEADER_BYTES,
        max_field_size=MAX_HEADER_BYTES,
        trace_configs=[trace],
    )

"""aiohttp's connections for httpx, and the evidence of what they have sent (extra ``aiohttp``)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from ._attempt import current_attempt
from ._connections import KEEPALIVE_SECONDS, MAX_HEADER_BYTES

if TYPE_CHECKING:
    from aiohttp.connector import Connection

    from ._connections import Connections


async def _leave(*_: object) -> None:
    """Called by aiohttp before it sends the head of a request, except to a proxy."""
    current_attempt().leave(b"POST ")


class _Connector(aiohttp.TCPConnector):
    async def connect(self, *args: Any, **options: Any) -> Connection:
        current_attempt().connect()
        return await super().connect(*args, **options)


class _Transport(AiohttpTransport):
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


def aiohttp_transport(connections: Connections) -> AiohttpTransport:
    """Return a transport for one connection."""
    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(_leave)

    def session() -> aiohttp.ClientSession:
        connector = _Connector(
            limit=1,
            keepalive_timeout=KEEPALIVE_SECONDS,
            ssl=connections.context,
            # The system's resolver, as in httpx. aiodns would ignore the system's settings and the
            # pytest plugin's guard.
            resolver=aiohttp.ThreadedResolver(),
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            trace_configs=[trace],
        )

    return _Transport(verify=connections.context, client=session, proxy=connections.proxy)

"""
aiohttp's connections under httpx, and what they show of a request: the extra ``aiohttp``. Imported
only if it is used.
"""

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
    """Aiohttp calls it immediately before it sends the head of a request, but not to a proxy."""
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
            # aiohttp cancels the requests that wait for a connection when a client is closed. The
            # caller did not ask for that.
            raise httpx.ReadError("The client was closed during the request.") from None


def aiohttp_transport(connections: Connections, *, keep: bool) -> AiohttpTransport:
    """Return a transport that keeps its connections for the next request, or has one only."""
    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(_leave)

    def session() -> aiohttp.ClientSession:
        connector = _Connector(
            limit=0 if keep else 1,  # 0 is none
            ssl=connections.context,
            # The system's resolver, as in httpx: aiodns ignores the system's settings and a test
            # suite's guard.
            resolver=aiohttp.ThreadedResolver(),
            **({"keepalive_timeout": KEEPALIVE_SECONDS} if keep else {"force_close": True}),
        )
        return aiohttp.ClientSession(
            connector=connector,
            cookie_jar=aiohttp.DummyCookieJar(),
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            # A status request may be repeated, so nobody asks whether it has left.
            trace_configs=[] if keep else [trace],
        )

    return _Transport(verify=connections.context, client=session, proxy=connections.proxy)

"""aiohttp's connections for httpx, and the evidence of what they have sent (extra ``aiohttp``)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from ._attempt import Attempt
from ._connections import KEEPALIVE_SECONDS, MAX_HEADER_BYTES, Connections

if TYPE_CHECKING:
    from aiohttp.connector import Connection


class AiohttpNetworkTransport(AiohttpTransport):
    """
    A transport for an init request, or for any number of status requests.

    Attributes:
        attempt: The attempt of the init request, in which the connection records what it sends.
    """

    attempt = Attempt()

    def __init__(self, connections: Connections) -> None:
        self._connections = connections
        super().__init__(verify=connections.context, client=self._session, proxy=connections.proxy)

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

    def _session(self) -> aiohttp.ClientSession:
        async def leave(*_: object) -> None:
            self.attempt.leave(b"POST ")

        trace = aiohttp.TraceConfig()
        # Called before the head of a request is sent, except to a proxy.
        trace.on_request_headers_sent.append(leave)
        return aiohttp.ClientSession(
            connector=_Connector(
                self,
                limit=0,  # No limit.
                keepalive_timeout=KEEPALIVE_SECONDS,
                ssl=self._connections.context,
                # The system's resolver, as in httpx. aiodns would ignore the system's settings and
                # the pytest plugin's guard.
                resolver=aiohttp.ThreadedResolver(),
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            max_line_size=MAX_HEADER_BYTES,
            max_field_size=MAX_HEADER_BYTES,
            trace_configs=[trace],
        )


class _Connector(aiohttp.TCPConnector):
    def __init__(self, owner: AiohttpNetworkTransport, **options: Any) -> None:
        super().__init__(**options)
        self._owner = owner

    async def connect(self, *args: Any, **options: Any) -> Connection:
        self._owner.attempt.connect()
        while True:
            connection = await super().connect(*args, **options)
            if connection.protocol is None or not connection.protocol.should_close:
                return connection
            connection.close()  # The server has sent something on an idle connection.

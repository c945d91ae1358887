"""aiohttp under httpx: the extra ``aiohttp``. Imported only where it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING

import aiohttp
import httpx
from httpx_aiohttp import AiohttpTransport

from .transport import CONNECTIONS, KEEP_SECONDS

if TYPE_CHECKING:
    import ssl

# What aiohttp raises when no connection was made. httpx-aiohttp makes a ConnectTimeout of a connection that was lost after the
# request was sent, too (ServerDisconnectedError, ClientOSError), which must not pass for "nothing was sent".
_NOT_CONNECTED = (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError)


class _CarefulTransport(AiohttpTransport):
    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except (httpx.ConnectError, httpx.TimeoutException) as error:
            if isinstance(error.__cause__, _NOT_CONNECTED):
                raise httpx.ConnectError(str(error), request=request) from error.__cause__
            raise httpx.ReadError(f"{type(error.__cause__).__name__}: {error}", request=request) from error.__cause__


def aiohttp_transport(context: ssl.SSLContext, proxy: str | None, *, keep: bool) -> httpx.AsyncBaseTransport:
    """A transport whose connections are kept for the next request, or never."""

    def session() -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=CONNECTIONS,
            ssl=context,
            # The system's own, as with httpx: aiodns, where it is installed, knows neither its settings nor a test suite's guard.
            resolver=aiohttp.ThreadedResolver(),
            **({"keepalive_timeout": KEEP_SECONDS} if keep else {"force_close": True}),
        )
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar())

    return _CarefulTransport(verify=context, client=session, proxy=httpx.Proxy(proxy) if proxy else None)

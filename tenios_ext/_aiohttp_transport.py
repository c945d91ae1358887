"""aiohttp's connections under httpx: the extra ``aiohttp``. Imported only if it is used."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import aiohttp
from httpx_aiohttp import AiohttpTransport

from ._attempt import CURRENT_ATTEMPT
from ._transport import KEEPALIVE_SECONDS, MAX_HEADER_BYTES, MAX_INIT_CONNECTIONS

if TYPE_CHECKING:
    from types import SimpleNamespace

    from aiohttp.connector import Connection

    from ._transport import TransportFactory


async def _record_headers_sent(
    _: aiohttp.ClientSession, __: SimpleNamespace, ___: aiohttp.TraceRequestHeadersSentParams
) -> None:
    if current := CURRENT_ATTEMPT.get(None):
        current.may_have_left = True


class _Connector(aiohttp.TCPConnector):
    async def connect(self, *args: Any, **options: Any) -> Connection:
        if current := CURRENT_ATTEMPT.get(None):
            current.record_connecting()
        return await super().connect(*args, **options)


def aiohttp_transport(factory: TransportFactory, *, keep: bool) -> AiohttpTransport:
    """Return a transport that keeps its connections for the next request, or doesn't."""
    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(_record_headers_sent)

    def session() -> aiohttp.ClientSession:
        connector = _Connector(
            limit=0 if keep else MAX_INIT_CONNECTIONS,  # 0 is none
            ssl=factory.context,
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

    return AiohttpTransport(verify=factory.context, client=session, proxy=factory.proxy)

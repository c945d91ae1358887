"""What :mod:`.transport` is for threads, for asyncio; apart, since to import asyncio costs as much as all the rest of us."""

from __future__ import annotations

import asyncio
from functools import partial
from importlib.util import find_spec
from typing import TYPE_CHECKING, cast

import httpx

from .errors import InvalidRequestError
from .transport import CONNECT_RETRIES, CONNECT_SECONDS, AnswerBody, NotConnected, is_dial

if TYPE_CHECKING:
    from .transport import Network

#: One to dial and one to ask.
Pair = tuple[httpx.AsyncBaseTransport, httpx.AsyncBaseTransport]


class AsyncTransport(httpx.AsyncBaseTransport):
    """As :class:`Transport`, with connections of its own for each event loop."""

    def __init__(self, network: Network, own: httpx.AsyncBaseTransport | None, *, aiohttp: bool | None) -> None:
        self._own = own
        self._own_loop: asyncio.AbstractEventLoop | None = None
        self._bound = network.settings.timeout
        installed = find_spec("httpx_aiohttp") is not None
        if aiohttp and not installed:
            raise InvalidRequestError("aiohttp=True needs an extra: pip install 'tenios-callback[aiohttp]'")
        use_aiohttp = installed if aiohttp is None else aiohttp
        self._connect = partial(_over_aiohttp if use_aiohttp else _over_httpx, network)
        self._pairs: dict[asyncio.AbstractEventLoop, Pair] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and read the answer whole."""
        dialling, asking = self._pair()
        inner = dialling if is_dial(request) else asking
        body = AnswerBody(request, self._bound)
        try:
            async with asyncio.timeout(CONNECT_SECONDS * (CONNECT_RETRIES + 1) + 2 * self._bound):
                response = await inner.handle_async_request(request)
                try:
                    async for chunk in cast("httpx.AsyncByteStream", response.stream):
                        body.add(chunk)
                finally:
                    await response.aclose()
        except TimeoutError:
            raise httpx.ReadTimeout("The answer took too long as a whole.", request=request) from None
        return body.whole(response)

    async def aclose(self) -> None:
        """Close the connections that belong to the running event loop; those of a closed loop are gone already."""
        pairs, self._pairs = self._pairs, {}
        pair = (self._own,) if self._own is not None else pairs.get(asyncio.get_running_loop(), ())
        for transport in pair:
            await transport.aclose()

    def _pair(self) -> Pair:
        # A connection that belongs to another event loop sends the request and then fails: a dial taken for a failure.
        loop = asyncio.get_running_loop()
        if self._own is not None:
            if (self._own_loop or loop) is not loop:
                raise NotConnected(
                    "The transport given to this client belongs to another event loop; make a client for each."
                )
            self._own_loop = loop
            return self._own, self._own
        if loop not in self._pairs:
            open_pairs = {each: pair for each, pair in self._pairs.items() if not each.is_closed()}
            self._pairs = {**open_pairs, loop: self._connect()}
        return self._pairs[loop]


def _over_httpx(network: Network) -> Pair:
    context = httpx.create_ssl_context()
    dialling, asking = (network.options(context, keep=keep) for keep in (False, True))
    return httpx.AsyncHTTPTransport(**dialling), httpx.AsyncHTTPTransport(**asking)


def _over_aiohttp(network: Network) -> Pair:
    """Aiohttp's pool costs less than httpx's, the more so the more connections there are."""
    from .aiohttp_transport import aiohttp_transport  # noqa: PLC0415 - an extra, and heavy

    context, proxy = httpx.create_ssl_context(), network.proxy()
    return aiohttp_transport(context, proxy, keep=False), aiohttp_transport(context, proxy, keep=True)

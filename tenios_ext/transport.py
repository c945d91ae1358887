"""
All that is said to httpx by hand; the rest is in the generated client.

Two rules live here. A callback is started over a connection of its own, because a kept connection that the server closes at
that very moment would leave it open whether the request arrived. And an answer is read whole, within a bound in bytes and
in seconds, before anybody looks at it.
"""

from __future__ import annotations

import asyncio
import time
import urllib.request
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import httpx
from attrs import define, field, frozen

from .errors import InvalidRequestError
from .settings import is_loopback
from .version import __version__

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable, Mapping, Sequence

    from .settings import Settings

    EventHooks = Mapping[str, Sequence[Callable[..., Any]]]

CONNECT_SECONDS = 5.0
# Few connections, as many kept as allowed: what one request costs httpx grows with the connections that its pool holds.
CONNECTIONS = 20
KEEP_SECONDS = 30.0
CONNECT_RETRIES = 2
LARGEST_ANSWER = 1 << 20
_OK = 200
_DIALS = "/callback/init"


class NotOk(Exception):  # noqa: N818 - never leaves the package
    """An answer came whose status is not 200."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(f"HTTP {response.status_code}")
        self.response = response


class NotConnected(Exception):  # noqa: N818 - never leaves the package
    """No connection was made, and nothing was sent."""


def http_options(settings: Settings, event_hooks: EventHooks | None, last_hook: Callable[..., Any]) -> dict[str, Any]:
    """The arguments that ``httpx.Client`` and ``httpx.AsyncClient`` have in common."""
    hooks = {name: list((event_hooks or {}).get(name, ())) for name in ("request", "response")}
    hooks["response"].append(last_hook)
    read = settings.timeout
    return {
        "base_url": settings.base_url,
        "event_hooks": hooks,
        "follow_redirects": False,
        "headers": {
            "User-Agent": f"tenios-callback/{__version__} httpx/{httpx.__version__}",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        },
        "timeout": httpx.Timeout(read, connect=min(CONNECT_SECONDS, read)),
        "trust_env": False,
    }


def refuse_unless_ok(response: httpx.Response) -> None:
    """Let nobody but the error translation see an answer that is not 200."""
    if response.status_code != _OK:
        raise NotOk(response)


async def async_refuse_unless_ok(response: httpx.Response) -> None:
    """Let nobody but the error translation see an answer that is not 200."""
    refuse_unless_ok(response)


@frozen
class Network:
    """
    How the service is reached.

    Attributes:
        proxy: The proxy's address; None for the one that the environment names, if any.
    """

    settings: Settings
    proxy: str | None = field(default=None, repr=False)

    def for_threads(self) -> tuple[httpx.BaseTransport, httpx.BaseTransport]:
        """Two transports that share nothing but the TLS context: one to dial, one to ask."""
        context = httpx.create_ssl_context()
        return httpx.HTTPTransport(**self._options(context, keep=False)), httpx.HTTPTransport(
            **self._options(context, keep=True),
        )

    def for_asyncio(self) -> tuple[httpx.AsyncBaseTransport, httpx.AsyncBaseTransport]:
        """The same for asyncio."""
        context = httpx.create_ssl_context()
        return httpx.AsyncHTTPTransport(**self._options(context, keep=False)), httpx.AsyncHTTPTransport(
            **self._options(context, keep=True),
        )

    def for_asyncio_over_aiohttp(self) -> tuple[httpx.AsyncBaseTransport, httpx.AsyncBaseTransport]:
        """The same over aiohttp, whose pool costs less the more connections there are."""
        from .aiohttp_transport import aiohttp_transport  # noqa: PLC0415 - an extra, and heavy

        context = httpx.create_ssl_context()
        proxy = self._proxy()
        return aiohttp_transport(context, proxy, keep=False), aiohttp_transport(context, proxy, keep=True)

    def _options(self, context: ssl.SSLContext, *, keep: bool) -> dict[str, Any]:
        kept = CONNECTIONS if keep else 0
        limits = httpx.Limits(
            max_connections=CONNECTIONS, max_keepalive_connections=kept, keepalive_expiry=KEEP_SECONDS
        )
        return {"verify": context, "limits": limits, "retries": CONNECT_RETRIES, "proxy": self._proxy()}

    def _proxy(self) -> str | None:
        parts = urlsplit(self.settings.base_url)
        host = parts.hostname or ""
        if self.proxy is not None or is_loopback(host) or urllib.request.proxy_bypass(host):
            return self.proxy
        named = urllib.request.getproxies()
        return named.get(parts.scheme, named.get("all"))


class Transport(httpx.BaseTransport):
    """Dials over connections of their own, asks over kept ones, and reads each answer within bounds."""

    def __init__(self, network: Network, own: httpx.BaseTransport | None) -> None:
        self._dialling, self._asking = (own, own) if own is not None else network.for_threads()
        self._bound = network.settings.timeout

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and read the answer whole."""
        inner = self._dialling if request.url.path.endswith(_DIALS) else self._asking
        response = inner.handle_request(request)
        body = _Body(request, self._bound)
        try:
            for chunk in cast("httpx.SyncByteStream", response.stream):
                body.add(chunk)
        finally:
            response.close()
        return body.whole(response)

    def close(self) -> None:
        """Close all connections."""
        for transport in {self._dialling, self._asking}:
            transport.close()


class AsyncTransport(httpx.AsyncBaseTransport):
    """The same for asyncio, with connections of its own for each event loop."""

    def __init__(self, network: Network, own: httpx.AsyncBaseTransport | None, *, aiohttp: bool | None) -> None:
        self._own = own
        self._own_loop: asyncio.AbstractEventLoop | None = None
        self._bound = network.settings.timeout
        installed = find_spec("httpx_aiohttp") is not None
        if aiohttp and not installed:
            raise InvalidRequestError("aiohttp=True needs an extra: pip install 'tenios-callback[aiohttp]'")
        use_aiohttp = installed if aiohttp is None else aiohttp
        self._connect = network.for_asyncio_over_aiohttp if use_aiohttp else network.for_asyncio
        self._pairs: dict[asyncio.AbstractEventLoop, tuple[httpx.AsyncBaseTransport, httpx.AsyncBaseTransport]] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and read the answer whole."""
        dialling, asking = self._pair()
        inner = dialling if request.url.path.endswith(_DIALS) else asking
        body = _Body(request, self._bound)
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

    def _pair(self) -> tuple[httpx.AsyncBaseTransport, httpx.AsyncBaseTransport]:
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


@define
class _Body:
    """An answer's bytes as they arrive, bounded in number and time."""

    request: httpx.Request
    seconds: float
    started: float = field(factory=time.monotonic)
    parts: bytearray = field(factory=bytearray)

    def add(self, chunk: bytes) -> None:
        self.parts += chunk
        if len(self.parts) > LARGEST_ANSWER:
            raise httpx.ReadError(f"The answer has more than {LARGEST_ANSWER} bytes.", request=self.request)
        if time.monotonic() - self.started > self.seconds * 2:
            raise httpx.ReadTimeout("The answer took too long as a whole.", request=self.request)

    def whole(self, response: httpx.Response) -> httpx.Response:
        try:
            return self._response(response, response.headers)
        except httpx.DecodingError:
            # The body is lost, but the status is known, and says more than that.
            headers = [(name, value) for name, value in response.headers.multi_items() if name != "content-encoding"]
            return self._response(response, httpx.Headers(headers))

    def _response(self, response: httpx.Response, headers: httpx.Headers) -> httpx.Response:
        body = bytes(self.parts)
        return httpx.Response(response.status_code, headers=headers, content=body, extensions=response.extensions)

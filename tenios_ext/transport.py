"""
All that is said to httpx by hand; the rest is in the generated client.

Two rules live here. A callback is started over a connection of its own, because a kept connection that the server closes at
that very moment would leave it open whether the request arrived. And an answer is read whole, within a bound in bytes and
in seconds, before anybody looks at it.
"""

from __future__ import annotations

import time
import urllib.request
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import httpx

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


def is_dial(request: httpx.Request) -> bool:
    """Whether *request* starts a callback; if so, its connection is made to end with it."""
    dials = request.url.path.endswith(_DIALS)
    if dials:
        # A pool that keeps no connection may still hand one on that has just become idle in another thread.
        request.headers["Connection"] = "close"
    return dials


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


class Network:
    """How the service is reached; through *proxy*, or the one that the environment names, if any."""

    def __init__(self, settings: Settings, proxy: str | None = None) -> None:
        self.settings = settings
        self._named_proxy = proxy

    def for_threads(self) -> tuple[httpx.BaseTransport, httpx.BaseTransport]:
        """Two transports that share nothing but the TLS context: one to dial, one to ask."""
        context = httpx.create_ssl_context()
        dialling, asking = (self.options(context, keep=keep) for keep in (False, True))
        return httpx.HTTPTransport(**dialling), httpx.HTTPTransport(**asking)

    def options(self, context: ssl.SSLContext, *, keep: bool) -> dict[str, Any]:
        """The arguments of httpx's own transports, whose connections are kept for the next request, or never."""
        kept = CONNECTIONS if keep else 0
        limits = httpx.Limits(
            max_connections=CONNECTIONS, max_keepalive_connections=kept, keepalive_expiry=KEEP_SECONDS
        )
        return {"verify": context, "limits": limits, "retries": CONNECT_RETRIES, "proxy": self.proxy()}

    def proxy(self) -> str | None:
        """The proxy's address; None where there is none, and for this machine."""
        parts = urlsplit(self.settings.base_url)
        host = parts.hostname or ""
        if self._named_proxy is not None or is_loopback(host) or urllib.request.proxy_bypass(host):
            return self._named_proxy
        named = urllib.request.getproxies()
        return named.get(parts.scheme, named.get("all"))


class Transport(httpx.BaseTransport):
    """Dials over connections of their own, asks over kept ones, and reads each answer within bounds."""

    def __init__(self, network: Network, own: httpx.BaseTransport | None) -> None:
        self._dialling, self._asking = (own, own) if own is not None else network.for_threads()
        self._bound = network.settings.timeout

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send, and read the answer whole."""
        inner = self._dialling if is_dial(request) else self._asking
        response = inner.handle_request(request)
        body = AnswerBody(request, self._bound)
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


class AnswerBody:
    """An answer's bytes as they arrive, bounded in number and time."""

    def __init__(self, request: httpx.Request, seconds: float) -> None:
        self._request = request
        self._parts = bytearray()
        self._give_up_at = time.monotonic() + 2 * seconds

    def add(self, chunk: bytes) -> None:
        """Take note of some bytes; raise where they are too many or come too late."""
        self._parts += chunk
        if len(self._parts) > LARGEST_ANSWER:
            raise httpx.ReadError(f"The answer has more than {LARGEST_ANSWER} bytes.", request=self._request)
        if time.monotonic() > self._give_up_at:
            raise httpx.ReadTimeout("The answer took too long as a whole.", request=self._request)

    def whole(self, response: httpx.Response) -> httpx.Response:
        """The answer, with its body read."""
        try:
            return self._response(response, response.headers)
        except httpx.DecodingError:
            # The body is lost, but the status is known, and says more than that.
            headers = [(name, value) for name, value in response.headers.multi_items() if name != "content-encoding"]
            return self._response(response, httpx.Headers(headers))

    def _response(self, response: httpx.Response, headers: httpx.Headers) -> httpx.Response:
        body = bytes(self._parts)
        return httpx.Response(response.status_code, headers=headers, content=body, extensions=response.extensions)

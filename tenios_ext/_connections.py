"""
The shared part of both transports: proxy, TLS, preparation of requests, limits on responses.

Three rules:

- Each init request has a new connection. If the server closed a kept one at that moment, the
  outcome would be unknown.
- A response is read completely, within limits on bytes and seconds, before it is used.
- The access key is added to a request here, after the caller's hooks have seen it.
"""

from __future__ import annotations

import json
import re
import ssl
import urllib.request
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

import httpx

from ._attempt import CONNECT_TIMEOUT, Attempt
from ._exceptions import ConfigurationError
from ._hosts import is_loopback, parse_url
from ._secret import mask_logs
from ._version import __version__

if TYPE_CHECKING:
    from ._settings import Settings

#: httpx's event hooks: lists of functions by "request" and "response".
EventHooks = Mapping[str, Sequence[Callable[..., Any]]]

KEEPALIVE_SECONDS = 30.0
MAX_RESPONSE_BYTES = 1 << 20
MAX_HEADER_BYTES = 100 * 1024
_HTTPS = 443
_SOCKS = {"socks5", "socks5h"}
_ENCODING = b"content-encoding"
_OF_THE_BODY = {_ENCODING, b"content-length", b"transfer-encoding"}
_DECOMPRESSED = [[b"gzip"], [b"x-gzip"], [b"deflate"]]
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_KEY = b'"access_key":'
#: The access key in a request until :meth:`Connections.prepare` adds the real one.
KEY_IS_ADDED_LATER = ""


class _NoCookies(httpx.Cookies):
    def extract_cookies(self, response: httpx.Response) -> None:
        pass


class UnexpectedStatusError(Exception):
    def __init__(self, response: httpx.Response) -> None:
        super().__init__(f"HTTP {response.status_code}")
        self.response = response


def http_options(settings: Settings, event_hooks: EventHooks | None) -> dict[str, Any]:
    """Return the arguments for ``httpx.Client``. Raises ConfigurationError."""
    if event_hooks is not None:
        _check_hooks(event_hooks)
    return {
        "base_url": settings.base_url,
        "event_hooks": event_hooks,
        "follow_redirects": False,
        "headers": {
            "User-Agent": f"tenios-callback/{__version__} httpx/{httpx.__version__}",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        },
        "timeout": settings.timeout,
        "trust_env": False,
    }


class AttemptedRequest(httpx.Request):
    """
    A request with its attempt.

    Attributes:
        attempt: The attempt. Not an extension, because a hook may replace those.
    """

    attempt: Attempt


class LeanClient:
    """
    An httpx client that does not merge the same URL, headers and time limits for each request, nor
    look for cookies. That would take a third of a poll's CPU.
    """

    #: The API has no cookies.
    cookies: httpx.Cookies = _NoCookies()

    def build_request(
        self, method: str, url: httpx.URL | str, *, json: Any | None = None, **options: Any
    ) -> AttemptedRequest:
        """Return a copy of the first request to *url*, which httpx builds, with another body."""
        templates: dict[object, httpx.Request] = vars(self).setdefault("_templates", {})
        if url not in templates:
            templates[url] = cast("httpx.Client", super()).build_request(
                method, url, json=json, **options
            )
        return _with_body(templates[url], _ENCODER.encode(json).encode())


def _check_hooks(event_hooks: EventHooks) -> None:
    with suppress(AttributeError, TypeError):
        functions = [each for listed in event_hooks.values() for each in listed]
        if event_hooks.keys() <= {"request", "response"} and all(map(callable, functions)):
            return
    raise ConfigurationError(
        "event_hooks must be a dict such as {'request': [function], 'response': [function]}."
    )


class Connections:
    """
    The proxy, the TLS context and the preparation of requests.

    Attributes:
        settings: The client's settings.
        proxy: The caller's proxy, else, for HTTPS, that of the environment; None for none.

    Raises:
        ConfigurationError: The proxy is invalid.
    """

    def __init__(self, settings: Settings, proxy: str | None = None) -> None:
        self.settings = settings
        mask_logs(settings.access_key)
        url = httpx.URL(settings.base_url)
        self._address = (url.scheme, url.netloc)
        self._is_plain = url.scheme == "http"
        self.proxy = self._proxy(proxy)

    def prepare(self, request: AttemptedRequest, seconds: float) -> httpx.Request:
        """Return *request* with the access key and with time limits of at most *seconds*."""
        if (request.url.scheme, request.url.netloc) != self._address:
            raise httpx.UnsupportedProtocol("An event hook has changed the host of the request")
        # JSON escapes the quotation marks in texts, so only this member matches.
        key = _ENCODER.encode(self.settings.access_key.reveal()).encode()
        content = request.content.replace(_KEY + b'""', _KEY + key)
        prepared = _with_body(request, content)
        each = min(self.settings.timeout, seconds)
        prepared.extensions["timeout"] = {
            **dict.fromkeys(("read", "write", "pool"), each),
            "connect": min(CONNECT_TIMEOUT, each),
        }
        if not request.attempt.is_poll:
            prepared.headers["Connection"] = "close"  # No other request uses this connection.
        return prepared

    @cached_property
    def context(self) -> ssl.SSLContext:
        """The TLS context of all connections. Raises ConfigurationError."""
        if self._is_plain:
            # Never used. It loads no certificates.
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            return httpx.create_ssl_context()
        except OSError as error:
            raise ConfigurationError(
                f"Cannot load the certificates (SSL_CERT_FILE, SSL_CERT_DIR or certifi's): {error}"
            ) from None

    def _proxy(self, named: object) -> httpx.Proxy | None:
        if named is None and not self._is_plain:
            named = proxy_of_environment(self.settings.base_url)
        if named is None:
            return None
        source = "The proxy (proxy=..., HTTPS_PROXY or ALL_PROXY)"
        url = parse_url(_with_scheme(named)) if isinstance(named, str) else None
        if url is None or url.scheme not in {"http", "https", *_SOCKS}:
            raise ConfigurationError(f"{source} must be a URL such as 'http://proxy:3128'.")
        if url.scheme in _SOCKS and find_spec("socksio") is None:
            raise ConfigurationError(
                f"{source} is a SOCKS proxy, but socksio is not installed. Run: pip install "
                "'httpx[socks]'"
            )
        if self._is_plain and not is_loopback(url.host):
            raise ConfigurationError(
                "A proxy on another machine cannot be used with an http:// base_url, because it "
                "would get the access key unencrypted."
            )
        return httpx.Proxy(url)


def proxy_of_environment(base_url: str) -> str | None:
    """Return the proxy for a URL from the environment or the system's settings."""
    url = httpx.URL(base_url)
    host = f"{url.host.rstrip('.')}:{url.port or _HTTPS}"
    proxies = urllib.request.getproxies()
    if "no" in proxies:
        # curl also allows spaces, brackets around addresses, and "*." before a domain.
        listed = ",".join(re.sub(r"[\[\],]", " ", proxies["no"]).split()).replace("*.", ".")
        is_direct = urllib.request.proxy_bypass_environment(host, {"no": listed})  # type: ignore[attr-defined] # not in typeshed
    else:
        is_direct = bool(urllib.request.proxy_bypass(host))
    named = proxies.get("https", proxies.get("all"))
    return None if is_direct or not named else _with_scheme(named)


def _with_scheme(proxy: str) -> str:
    return proxy if "://" in proxy else f"http://{proxy}"


def _with_body(request: httpx.Request, content: bytes) -> AttemptedRequest:
    copy = AttemptedRequest(
        request.method,
        request.url,
        headers=request.headers,
        stream=httpx.ByteStream(content),
        extensions=dict(request.extensions),
    )
    copy.headers["Content-Length"] = str(len(content))
    copy.read()
    return copy


def may_connect_unnoticed(transport: object) -> bool:
    """Return whether a caller's transport may connect without a call of httpcore's trace."""
    in_memory = (httpx.MockTransport, httpx.ASGITransport, httpx.WSGITransport)
    traced = (httpx.HTTPTransport, httpx.AsyncHTTPTransport)
    return not isinstance(transport, in_memory) and type(transport) not in traced


class _WholeResponse(httpx.Response):
    """A response that event hooks may read in any way and repeatedly."""

    def __init__(self, status_code: int, *, content: bytes, **options: Any) -> None:
        self._content = content  # httpx reads nothing if this is set.
        super().__init__(status_code, stream=httpx.ByteStream(content), **options)

    def iter_raw(self, *_: object, **__: object) -> Iterator[bytes]:
        yield self._content  # Always one chunk.

    async def aiter_raw(self, *_: object, **__: object) -> AsyncIterator[bytes]:
        yield self._content


def whole_response(response: httpx.Response, content: bytes) -> httpx.Response:
    """Return the response with its body, decompressed within the limit, in UTF-8."""
    raw = response.headers.raw
    encodings = [value.strip().lower() for name, value in raw if name.lower() == _ENCODING]
    if encodings in _DECOMPRESSED:
        content = _decompressed(content)
    content = _as_utf8(content)
    headers = [each for each in raw if each[0].lower() not in _OF_THE_BODY]
    headers.append((b"Content-Length", b"%d" % len(content)))
    # httpx would log the server's reason phrase. Without one, it logs the standard phrase.
    extensions = {
        name: each for name, each in response.extensions.items() if name != "reason_phrase"
    }
    return _WholeResponse(
        response.status_code, headers=headers, extensions=extensions, content=content
    )


def _decompressed(content: bytes) -> bytes:
    """
    Return *content* decompressed. Raises an httpx error if it is incomplete or too long.

    We do not accept compression, but some proxies use it. Other encodings stay as they are.
    """
    decompressor = zlib.decompressobj(_GZIP_OR_ZLIB)
    with suppress(zlib.error):
        decompressed = decompressor.decompress(content, MAX_RESPONSE_BYTES)
        if decompressor.eof:
            return decompressed
    raise httpx.DecodingError("The compressed response is incomplete or too long.")


def _as_utf8(content: bytes) -> bytes:
    """Return *content* in UTF-8. Text that is not UTF-8, UTF-16 or UTF-32 is read as Latin-1."""
    if content.isascii():
        return content
    try:
        content.decode(json.detect_encoding(content))
    except UnicodeDecodeError:
        return content.decode("latin-1").encode()
    return content

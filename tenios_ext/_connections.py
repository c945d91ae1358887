"""
What both transports share: proxy, TLS, the preparation of requests and the limits on responses.
Hand-written uses of httpx are here, in the transports and in the mapping of responses.

Three rules:

- An init request has a connection of its own: a kept one that the server closes at that moment
  would leave the outcome unknown.
- A response is read whole, within limits on bytes and seconds, before anything looks at it.
- The access key is put into a request here, after the caller's hooks have seen it.
"""

from __future__ import annotations

import json
import os
import ssl
import urllib.request
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import urlsplit

import httpx

from ._attempt import CONNECT_RETRIES, CONNECT_TIMEOUT, TOO_LONG
from ._clock import running_time
from ._exceptions import ConfigurationError
from ._hosts import is_excluded, is_loopback, parse_url
from ._version import __version__

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from ._settings import Settings

#: httpx's event hooks: functions by "request" and "response".
EventHooks = Mapping[str, Sequence[Callable[..., Any]]]

KEEPALIVE_SECONDS = 30.0
MAX_RESPONSE_BYTES = 1 << 20
MAX_HEADER_BYTES = 100 * 1024
_OK = 200
_HTTPS = 443
_INIT_PATH = b"/callback/init"
_SOCKS = {"socks5", "socks5h"}
_ENCODING = b"content-encoding"
_OF_THE_BODY = {_ENCODING, b"content-length", b"transfer-encoding"}
_DECOMPRESSED = [[b"gzip"], [b"x-gzip"], [b"deflate"]]
_GZIP_OR_ZLIB = 32 + zlib.MAX_WBITS
_ENCODER = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
_KEY = b'"access_key":'
#: The access key in a request until :meth:`Connections.prepare` puts the real one in.
KEY_IS_ADDED_LATER = ""


class _NoCookies(httpx.Cookies):
    def extract_cookies(self, response: httpx.Response) -> None:
        """Look for none."""


class UnexpectedStatusError(Exception):
    """The status of the response is not 200."""

    def __init__(self, response: httpx.Response) -> None:
        super().__init__(f"HTTP {response.status_code}")
        self.response = response


def http_options(settings: Settings, event_hooks: EventHooks | None) -> dict[str, Any]:
    """
    Return the arguments that ``httpx.Client`` and ``httpx.AsyncClient`` have in common. Raises
    ConfigurationError.
    """
    if event_hooks is not None:
        _check_hooks(event_hooks)
    read = settings.timeout
    return {
        "base_url": settings.base_url,
        "event_hooks": event_hooks,
        "follow_redirects": False,
        "headers": {
            "User-Agent": f"tenios-callback/{__version__} httpx/{httpx.__version__}",
            "Accept": "application/json",
            "Accept-Encoding": "identity",
        },
        "timeout": httpx.Timeout(read, connect=min(CONNECT_TIMEOUT, read)),
        "trust_env": False,
    }


class LeanClient:
    """
    What our httpx clients do not do for each request, since the API does not need it: merge the
    same URL, headers and time limits, and look for cookies. That would be a third of a poll's CPU.
    """

    #: None, whatever a response sets: the API has none.
    cookies: httpx.Cookies = _NoCookies()

    def build_request(
        self, method: str, url: httpx.URL | str, *, json: Any | None = None, **options: Any
    ) -> httpx.Request:
        """Return a request like the first one to *url*, which httpx builds, with another body."""
        templates: dict[object, httpx.Request] = vars(self).setdefault("_templates", {})
        if url not in templates:
            templates[url] = cast("httpx.Client", super()).build_request(
                method, url, json=json, **options
            )
        template = templates[url]
        return _with_body(
            template, _ENCODER.encode(json).encode(), timeout=template.extensions["timeout"]
        )


def _check_hooks(event_hooks: EventHooks) -> None:
    try:
        is_valid = event_hooks.keys() <= {"request", "response"} and all(
            callable(function) for functions in event_hooks.values() for function in functions
        )
    except (AttributeError, TypeError):
        is_valid = False
    if not is_valid:
        raise ConfigurationError(
            "event_hooks must be a dict such as {'request': [function], 'response': [function]}."
        )


def raise_for_status(response: httpx.Response) -> httpx.Response:
    """
    Return a response whose status is 200. Otherwise raise UnexpectedStatusError: the generated
    client raises none of its own for an unknown status.
    """
    if response.status_code != _OK:
        raise UnexpectedStatusError(response)
    return response


class Connections:
    """
    All that is needed to connect, prepared and checked when a client is made.

    Attributes:
        settings: The client's settings.
        proxy: The caller's proxy, or the one that the environment names; None if there is none, or
            for plain HTTP.

    Raises:
        ConfigurationError: The URL or the proxy cannot be used.
    """

    def __init__(self, settings: Settings, proxy: str | None = None) -> None:
        self.settings = settings
        url = httpx.URL(settings.base_url)
        self._address = (url.scheme, url.netloc)
        self._is_plain = url.scheme == "http"
        self.proxy = self._proxy(proxy)

    def prepare(self, request: httpx.Request, seconds: float) -> httpx.Request:
        """
        Return *request* as it is sent: with the access key, and with time limits of at most
        *seconds*.
        """
        if (request.url.scheme, request.url.netloc) != self._address:
            raise httpx.UnsupportedProtocol("An event hook has changed the address of the request")
        # JSON quotes the quotation marks of a text, so that this member is found nowhere else.
        key = _ENCODER.encode(self.settings.access_key.reveal()).encode()
        content = request.content.replace(_KEY + b'""', _KEY + key)
        timeouts = {
            name: seconds if each is None else min(each, seconds)
            for name, each in request.extensions.get("timeout", {}).items()
        }
        prepared = _with_body(request, content, timeout=timeouts)
        if is_init_request(request):
            prepared.headers["Connection"] = "close"  # It is the only one over its connection.
        return prepared

    def options(self, *, keep: bool) -> dict[str, Any]:
        """
        Return the arguments of httpx's own transports, which keep their connections for the next
        request or have one only. There is no limit on kept ones: the caller's threads, or
        max_concurrency, are it.
        """
        limits = httpx.Limits(
            max_connections=None if keep else 1, keepalive_expiry=KEEPALIVE_SECONDS
        )
        return {
            "verify": self.context,
            "limits": limits,
            "retries": CONNECT_RETRIES,
            "proxy": self.proxy,
        }

    @cached_property
    def context(self) -> ssl.SSLContext:
        """The TLS context; one for all connections. Raises ConfigurationError."""
        if self._is_plain:
            # never used, and made without loading certificates
            return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        try:
            if path := os.environ.get("SSL_CERT_FILE"):
                # httpx 0.27 ignores a file that is gone, and trusts its own certificates instead.
                Path(path).stat()
            return httpx.create_ssl_context()
        except OSError as error:
            raise ConfigurationError(
                "The certificates (the system's, or those of SSL_CERT_FILE or SSL_CERT_DIR) cannot "
                f"be loaded: {error}"
            ) from None

    def _proxy(self, named: object) -> httpx.Proxy | None:
        if named is None and not self._is_plain:
            named = proxy_of_environment(self.settings.base_url)
        if named is None:
            return None
        if not isinstance(named, str):
            raise ConfigurationError(
                f"proxy must be a URL such as 'http://proxy:3128', got {type(named).__name__}."
            )
        source = "The proxy (proxy=..., HTTPS_PROXY or ALL_PROXY)"
        url = parse_url(_with_scheme(named))
        if url is None or url.scheme not in {"http", "https", *_SOCKS}:
            raise ConfigurationError(f"{source} must be a URL such as 'http://proxy:3128'.")
        if url.scheme in _SOCKS and find_spec("socksio") is None:
            raise ConfigurationError(
                f"{source} is a SOCKS proxy, and socksio is not installed. Run: pip install "
                "'httpx[socks]'"
            )
        if self._is_plain and not is_loopback(url.host):
            raise ConfigurationError(
                "A proxy on another machine cannot be used with an http:// base_url: it would get "
                "the access key unencrypted."
            )
        return httpx.Proxy(url)


def proxy_of_environment(base_url: str) -> str | None:
    """Return the proxy that the environment, or the system's settings, name for a URL."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    proxies = urllib.request.getproxies()
    if "no" in proxies:
        is_direct = is_excluded(host, parts.port or _HTTPS, proxies["no"])
    else:
        is_direct = bool(urllib.request.proxy_bypass(host))
    named = proxies.get("https", proxies.get("all"))
    return None if is_direct or not named else _with_scheme(named)


def _with_scheme(proxy: str) -> str:
    return proxy if "://" in proxy else f"http://{proxy}"


def _with_body(
    request: httpx.Request, content: bytes, *, timeout: Mapping[str, float | None]
) -> httpx.Request:
    """Return a copy of *request* with another body and other time limits."""
    copy = httpx.Request(
        request.method,
        request.url,
        headers=request.headers,
        stream=httpx.ByteStream(content),
        extensions={**request.extensions, "timeout": dict(timeout)},
    )
    copy.headers["Content-Length"] = str(len(content))
    copy.read()
    return copy


def is_init_request(request: httpx.Request) -> bool:
    """Return whether *request* starts a callback."""
    return request.url.raw_path.endswith(_INIT_PATH)


class _WholeResponse(httpx.Response):
    """A response that event hooks may read in any way, and as often as they like."""

    def __init__(self, status_code: int, *, content: bytes, **options: Any) -> None:
        self._content = content  # where httpx puts what it has read, so that it reads nothing
        super().__init__(status_code, stream=httpx.ByteStream(content), **options)

    def iter_raw(self, chunk_size: int | None = None) -> Iterator[bytes]:
        del chunk_size  # It is one chunk already.
        yield self._content

    async def aiter_raw(self, chunk_size: int | None = None) -> AsyncIterator[bytes]:
        del chunk_size
        yield self._content


class BoundedBody:
    """The bytes of a response as they arrive, limited in number and time."""

    def __init__(self, deadline: float) -> None:
        self._content = bytearray()
        self._deadline = deadline

    def add(self, chunk: bytes) -> None:
        """Add some bytes. Raises an httpx error if they are too many or too late."""
        self._content += chunk
        if len(self._content) > MAX_RESPONSE_BYTES:
            raise httpx.ReadError(f"The response has more than {MAX_RESPONSE_BYTES} bytes.")
        if running_time() > self._deadline:
            raise httpx.ReadTimeout(TOO_LONG)

    def complete(self, response: httpx.Response) -> httpx.Response:
        """Return the response with its body read: decompressed within the limit, and as UTF-8."""
        content = bytes(self._content)
        raw = response.headers.raw
        encodings = [value.strip().lower() for name, value in raw if name.lower() == _ENCODING]
        if encodings in _DECOMPRESSED:
            content = _decompressed(content)
        content = _as_utf8(content)
        headers = [each for each in raw if each[0].lower() not in _OF_THE_BODY]
        headers.append((b"Content-Length", b"%d" % len(content)))
        # httpx logs the reason phrase, which is the server's; without it, it logs the standard one.
        extensions = {
            name: each for name, each in response.extensions.items() if name != "reason_phrase"
        }
        return _WholeResponse(
            response.status_code, headers=headers, extensions=extensions, content=content
        )


def _decompressed(content: bytes) -> bytes:
    """
    Return *content* decompressed; as it is if it cannot be, since the status says more than the
    body.

    Compression was not asked for, but some proxies do it all the same. Other encodings are left as
    they are.
    """
    decompressor = zlib.decompressobj(_GZIP_OR_ZLIB)
    try:
        decompressed = decompressor.decompress(content, MAX_RESPONSE_BYTES)
    except zlib.error:
        return content
    return decompressed if decompressor.eof else content


def _as_utf8(content: bytes) -> bytes:
    """
    Return *content* in UTF-8. Text that is neither that nor UTF-16 or UTF-32 is taken for Latin-1.
    """
    if content.isascii():
        return content
    try:
        content.decode(json.detect_encoding(content))
    except UnicodeDecodeError:
        return content.decode("latin-1").encode()
    return content

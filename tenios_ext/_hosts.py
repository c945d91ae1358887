"""Recognises hosts: this machine and TENIOS."""

from __future__ import annotations

import ipaddress
from contextlib import suppress
from urllib.parse import urlsplit

import httpx


def parse_url(text: str) -> httpx.URL | None:
    """Return a URL; None if it is invalid or has no host."""
    try:
        has_port = urlsplit(text).port != 0  # Stricter than httpx.
        url = httpx.URL(text)
        return url if url.host.rstrip(".") and has_port and " " not in text else None
    except (ValueError, httpx.InvalidURL):
        return None


def ip_address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return *host* as an IP address; None if it is a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def is_loopback(host: str) -> bool:
    """Return whether *host* is this machine."""
    address = ip_address(host)
    return host == "localhost" if address is None else address.is_loopback


def is_tenios(host: str | None) -> bool:
    """Return whether *host* belongs to TENIOS."""
    name = host or ""
    with suppress(UnicodeError):  # Other scripts have dots and letters that mean the same.
        name = name.encode("idna").decode()
    name = name.lower().rstrip(".")
    return name == "tenios.com" or name.endswith(".tenios.com")
